"""Genomes: what is read, what is refused, and that an index beside the file changes nothing."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from pysam import tabix_compress

from neandl_core.errors import InputError
from neandl_core.io.sequences import Genome

TEXT = b">one first\nACGTN\nacgtr\n>two\nGGGGCCCC\nAT"


def written(folder: Path, text: bytes, name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_bytes(text)
    return path


def packed(folder: Path, kind: str, text: bytes = TEXT) -> Path:
    plain = written(folder, text)
    if kind == "plain":
        return plain
    path = folder / "genome.fa.gz"
    if kind == "gzip":
        path.write_bytes(gzip.compress(text))
    else:
        tabix_compress(str(plain), str(path), force=True)
    return path


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip"])
def test_codes_are_the_bases_whatever_the_packing(tmp_path: Path, kind: str) -> None:
    genome = Genome(packed(tmp_path, kind))
    assert genome.names == ("one", "two")
    assert genome.lengths == {"one": 10, "two": 10}
    assert genome.codes("one").tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert genome.codes("two").tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 0, 3]
    assert genome.ambiguous == 1
    assert not list(tmp_path.glob("*.fai"))


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip"])
def test_a_large_genome_is_cut_at_the_right_places(tmp_path: Path, kind: str) -> None:
    """Sequences that lie across the pieces in which a file is read, with two kinds of line ends."""
    rng = np.random.default_rng(5)
    sequences = [rng.integers(0, 4, size).astype(np.uint8) for size in (3_000_000, 70_001, 2_500_000, 1)]
    text = b""
    for number, codes in enumerate(sequences):
        letters = np.frombuffer(b"ACGT", np.uint8)[codes].tobytes()
        end = b"\r\n" if number % 2 else b"\n"
        lines = [letters[at : at + 61] for at in range(0, len(letters), 61)]
        text += b">c%d x" % number + end + end.join(lines) + end
    genome = Genome(packed(tmp_path, kind, text))
    for number, codes in enumerate(sequences):
        assert np.array_equal(genome.codes(f"c{number}"), codes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "no sequence"),
        (b"ACGT\n", "line 1: expected a line that begins with '>'"),
        (b"@read\nACGT\n+\nIIII\n", "FASTQ"),
        (b">a\n>b\n", "no A, C, G or T"),
        (b">a x\nAC\n>a y\nGT\n", 'line 3: the name "a" comes twice'),
        (b">a\nACGT\nMKVLEF\n", "line 3: .*protein"),
        (b">a\nACGU\n", "line 2: .*RNA"),
        (b">a\nAC\0T\n", "line 2: .*NUL"),
        (b"\xff\xfe>\0a\0\n\0A\0", "UTF-16"),
        (b">a\rACGT\r", "old Mac"),
        (b">\nACGT\n", "not followed by a name"),
        (b">a\nNNNN\n", "only N"),
        (b"\x1f\x8b\x08\0garbage", "cannot be unpacked|truncated"),
    ],
)
def test_what_is_no_genome_is_refused_with_its_line(tmp_path: Path, text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Genome(written(tmp_path, text))
    assert str(caught.value).startswith("genome.fa")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["gzip", "bgzip"])
def test_a_truncated_packed_genome_is_refused(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 300_000)].tobytes()
    path = packed(tmp_path, kind, b">a\n" + letters + b"\n")
    whole = path.read_bytes()
    for kept in (len(whole) // 2, len(whole) - 28, len(whole) - 5):
        path.write_bytes(whole[:kept])
        if kind == "bgzip" and kept >= len(whole) - 28:
            # Only the end marker is missing or short: the data are whole, and the notes say so.
            assert any("end marker" in note for note in Genome(path).notes)
            continue
        with pytest.raises(InputError, match="truncated"):
            Genome(path)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (b">a\nACGT\n>b\n>c\nAC\n", "1 names have no sequence .b."),
        (b">a\nACGT\n>b", "1 names have no sequence .b."),
        (b">a\nAC-T*.\n", "3 gap or stop characters"),
        (b">a\nAC\n\nGT\n", "blank lines inside"),
        (b">a\nAC\r\nGT\n", "mixes Windows and Unix"),
        (b">a<b>\nACGT\n", "names hold characters"),
    ],
)
def test_what_is_odd_and_harmless_is_read_and_said(tmp_path: Path, text: bytes, note: str) -> None:
    genome = Genome(written(tmp_path, text))
    assert len(genome.names) == text.count(b">") - text.count(b"<")
    assert genome.total == sum(text.count(letter) for letter in (b"A", b"C", b"G", b"T", b"-", b"*", b"."))
    assert [said for said in genome.notes if re.search(note, said)], genome.notes


def test_blank_lines_between_sequences_are_nothing_to_say(tmp_path: Path) -> None:
    assert Genome(written(tmp_path, b">a\nAC\n\n>b\nGT\n\n")).notes == []


def test_an_index_beside_the_file_must_fit_it(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    index = Path(f"{path}.fai")
    good = [f"{entry.name}\t{entry.length}\t{entry.start}\t5\t6" for entry in Genome(path)._entries.values()]
    index.write_text("\n".join(good) + "\n")
    assert Genome(path).lengths == {"one": 10, "two": 10}
    for lines in (good[:1], ["one\t1000000000000000\t3\t5\t6", good[1]], [*good, "three\t5\t90\t5\t6"], ["noise"]):
        index.write_text("\n".join(lines) + "\n")
        with pytest.raises(InputError, match=r"genome\.fa\.fai.*samtools faidx"):
            Genome(path)


def test_an_unknown_name_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sequence named three"):
        Genome(written(tmp_path, TEXT)).codes("three")


@pytest.mark.shared
def test_chromosome_21_has_its_published_length_and_gaps(shared: Path) -> None:
    genome = Genome(shared / "hg19" / "human_g1k_v37.20.21.fasta.gz")
    codes = genome.codes("21")
    assert genome.lengths == {"20": 63_025_520, "21": 48_129_895}
    assert int((codes == 4).sum()) == 13_023_253
