"""Opening alignment files: by content, whole records, one sentence for what is wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pysam
import pytest

from neandl_core.errors import InputError
from neandl_core.io.alignments import open_alignments
from neandl_core.io.bgzf import BgzfFile
from neandl_core.io.records import whole_records
from tests.sam_files import HEADER, line, write_bam, write_fasta

LINES = [line(f"r{number}", 0, number % 900, "40M", "ACGT" * 10, "40") for number in range(3_000)]


def records(path: Path, reference: Path | None = None) -> int:
    with open_alignments(path, reference) as alignments:
        total = 0
        for chunk, done in alignments.chunks():
            end, count, _ = whole_records(chunk)
            assert end == chunk.size
            assert 0 < done <= alignments.size
            total += count
        return total


def raw_bam(path: Path, body: bytes, header: bytes = b"", contigs: tuple[bytes, ...] = (b"chr1",)) -> Path:
    """Write BAM from its bytes."""
    listed = b"".join(struct.pack("<i", len(name) + 1) + name + struct.pack("<xi", 1000) for name in contigs)
    plain = path.with_suffix(".plain")
    plain.write_bytes(
        b"BAM\1" + struct.pack("<i", len(header)) + header + struct.pack("<i", len(contigs)) + listed + body
    )
    pysam.tabix_compress(str(plain), str(path), force=True)
    return path


@pytest.mark.parametrize("name", ["a.bam", "a.sam", "a.txt"])
def test_the_type_is_told_by_content(tmp_path: Path, name: str) -> None:
    bam = write_bam(tmp_path / "x.bam", LINES)
    path = tmp_path / name
    path.write_bytes((bam if name != "a.sam" else bam.with_suffix(".sam")).read_bytes())
    with open_alignments(path) as alignments:
        assert alignments.kind == ("SAM" if name == "a.sam" else "BAM")
        assert alignments.contigs == (("chr1", 1000),)
        assert alignments.read_groups["a"]["SM"] == "sample"
        assert alignments.sort_order == "unsorted"
    assert records(path) == 3_000


def test_cram_needs_its_reference_and_leaves_no_index_beside_it(tmp_path: Path) -> None:
    genome = "".join(np.random.default_rng(1).choice(list("ACGT"), 1000))
    reference = write_fasta(tmp_path / "ref.fa", {"chr1": genome})
    lines = [line(f"r{n}", 0, n, "40M", genome[n : n + 40], None) for n in range(100)]
    bam = write_bam(tmp_path / "x.bam", lines)
    copy = write_fasta(tmp_path / "copy.fa", {"chr1": genome})
    pysam.view("-C", "-T", str(copy), "-o", str(tmp_path / "x.cram"), str(bam), catch_stdout=False)
    with pytest.raises(InputError, match="can only be read with its reference"):
        records(tmp_path / "x.cram")
    assert records(tmp_path / "x.cram", reference) == 100
    assert not (tmp_path / "ref.fa.fai").exists()


@pytest.mark.parametrize("options", [(), ("-c",), ("-c", "-m", "10")])
@pytest.mark.parametrize("ending", ["x.bam.", "x."])
def test_an_index_that_counted_other_records_is_not_passed_over(
    tmp_path: Path, options: tuple[str, ...], ending: str
) -> None:
    ordered = sorted(LINES, key=lambda text: int(text.split("\t")[3]))
    bam = write_bam(tmp_path / "x.bam", ordered)
    pysam.index(*options, str(bam))
    made = next(tmp_path.glob("x.bam.?[as]i"))
    index = made.rename(tmp_path / f"{ending}{made.suffix[1:]}")
    assert records(bam) == 3_000
    write_bam(bam, ordered[:-1])
    with pytest.raises(InputError, match=rf"2,999 records, but .* .{index.name}. counted 3,000: reads are"):
        records(bam)
    write_bam(bam, ordered + ordered[-1:])
    with pytest.raises(InputError, match=r"3,001 records.*counted 3,000: the index belongs to another file"):
        records(bam)
    content = index.read_bytes()
    for damaged in (b"", b"nonsense", content[: len(content) // 2], content[:-40]):
        index.write_bytes(damaged)
        with pytest.raises(InputError, match=r"the index beside it .* is damaged or is no index"):
            records(bam)


def test_a_file_without_end_marker_is_read_if_its_last_block_says_that_it_is_whole(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "x.bam", LINES * 39)
    with BgzfFile(bam) as file:
        blocks = list(file.blocks())
    content = bam.read_bytes()
    assert blocks[-2].plain < 0.6 * blocks[-3].plain  # the last with data in it
    bam.write_bytes(content[: blocks[-1].offset])
    with open_alignments(bam) as alignments:
        assert "end marker of the file is missing" in alignments.notes[0]
    assert records(bam) == 39 * len(LINES)
    for end in (blocks[-2].offset, blocks[-1].offset - 1, blocks[3].offset):
        bam.write_bytes(content[:end])
        with pytest.raises(InputError, match="truncated"):
            records(bam)


@pytest.mark.parametrize("name", ["a.vcf", "a.fasta.gz", "a\u202emab.exe", "a\u200b.bam", "a\n.bam"])
def test_names_that_mislead_are_refused(tmp_path: Path, name: str) -> None:
    bam = write_bam(tmp_path / "x.bam", LINES[:5]).rename(tmp_path / name)
    with pytest.raises(InputError, match=r"ename it"):
        records(bam)


@pytest.mark.parametrize(("name", "says"), [("x.sam", "x.sam is a BAM file"), (".bam", "no name but"), ("x", None)])
def test_names_that_are_odd_are_told(tmp_path: Path, name: str, says: str | None) -> None:
    bam = write_bam(tmp_path / "x.bam", LINES[:5]).rename(tmp_path / name)
    with open_alignments(bam) as alignments:
        assert (says in alignments.notes[0]) if says else not alignments.notes


def test_records_across_blocks_are_whole(tmp_path: Path) -> None:
    sequence = "ACGT" * 60_000
    bam = write_bam(tmp_path / "x.bam", [line("long", 4, 0, "*", sequence, None)] * 3 + LINES)
    assert records(bam) == 3_003


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b">chr1\nACGT\n", "got a FASTA file"),
        (b"\x1f\x8b\x08\x00abcdefghijklmnopqrstuvw", "plain gzip"),
        (b"\x1f\x8b\x08\x04", "truncated"),
        (b"<html>no</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"hello world\n", 'text ."hello world'),
        (b"@read1\nACGT\n+\nIIII\n", "FASTQ"),
        (b"r\t0\tchr1\t1\t30\t4M\t*\t0\t0\tACGT\tIIII\n", "SAM without its header"),
        (b"\xff\xfe@\0H\0", "UTF-16"),
        (b"", "empty"),
        (bytes(range(200)), "binary data"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.bam"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        records(path)


def test_a_sam_fault_says_what_htslib_said(tmp_path: Path) -> None:
    path = tmp_path / "x.sam"
    path.write_text(HEADER + LINES[0].replace("40M", "39M"))
    with pytest.raises(InputError, match="CIGAR and query sequence"):
        records(path)
    path.write_text(HEADER + LINES[0].replace("chr1", "chrX"))
    with pytest.raises(InputError, match="header does not list"):
        records(path)


@pytest.mark.parametrize(
    ("header", "contigs", "says"),
    [
        (b"@SQ\tSN:chr2\tLN:1000\n", (b"chr1",), "differ"),
        (b"@SQ\tSN:chr1\tLN:999\n", (b"chr1",), "differ"),
        (b"", (b"chr1", b"chr1"), "listed twice"),
        (b"", (b"chr\xe9",), "UTF-8"),
        (b"", (b"=1",), "impossible name"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    tmp_path: Path, header: bytes, contigs: tuple[bytes, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        records(raw_bam(tmp_path / "x.bam", b"", header, contigs))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (struct.pack("<i", 2_147_483_632) + bytes(100), "claims 2,147,483,632 bytes"),
        (struct.pack("<i", 8) + bytes(100), "claims 8 bytes"),
        (struct.pack("<i", -5) + bytes(100), "claims -5 bytes"),
        (b"BAM\1" + bytes(100), "second BAM header"),
        (struct.pack("<i", 500) + bytes(100), "ends within this record"),
        (b"\0\0", "ends within this record"),
    ],
)
def test_an_impossible_record_is_placed(tmp_path: Path, body: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"record 1: .*{says}"):
        records(raw_bam(tmp_path / "x.bam", body))


def test_a_header_of_absurd_size_is_not_allocated(tmp_path: Path) -> None:
    path = raw_bam(tmp_path / "x.bam", b"")
    plain = path.with_suffix(".plain")
    plain.write_bytes(b"BAM\1" + struct.pack("<i", 2_147_483_647))
    pysam.tabix_compress(str(plain), str(path), force=True)
    with pytest.raises(InputError, match="claims 2,147,483,647 bytes"):
        records(path)


def test_a_simulated_file_says_so(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "x.bam", LINES[:5], HEADER + "@CO\tsimulated by NeanDL, seed 1\n")
    with open_alignments(bam) as alignments:
        assert alignments.simulated
