"""Records dealt out to several workers: every record once, with its number, and the first fault of the file."""

from __future__ import annotations

import random
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pysam
import pytest
from pysam import tabix_compress

from neandl_core.config import ReadSettings
from neandl_core.damage import count_damage
from neandl_core.errors import CancelledError, InputError
from neandl_core.io import shared_chunks
from neandl_core.io.alignments import Alignments, open_alignments
from neandl_core.io.bgzf import BgzfFile
from neandl_core.io.records import whole_records
from neandl_core.io.shared_chunks import Worker
from tests.sam_files import HEADER, line, write_bam

RECORDS = 60_000
"""Of the large file."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM of several groups of blocks, with records across their borders and one longer than a block."""
    rng = np.random.default_rng(1)
    lines = []
    for number in range(30_000):
        size = int(rng.integers(30, 120))
        sequence = "".join("ACGT"[code] for code in rng.integers(0, 4, size))
        lines.append(line(f"read{number}", 16 * (number % 2), int(number / 40), f"{size}M", sequence, str(size)))
    lines[15_000] = line("long", 0, 375, "200000M", "A" * 200_000, "200000")
    header = HEADER.replace("unsorted", "coordinate").replace("LN:1000", "LN:1000000")
    return write_bam(tmp_path_factory.mktemp("many") / "many.bam", lines, header)


def shared(alignments: Alignments, workers: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    alignments.share_chunks(
        [lambda chunk, before: found.append((before, chunk.tobytes()))] * workers, lambda done: None
    )
    return sorted(found)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_record_comes_once_with_its_number(many: Path, workers: int) -> None:
    with open_alignments(many) as alignments:
        in_order = b"".join(chunk.tobytes() for chunk, _ in alignments.chunks())
        dealt = shared(alignments, workers)
    assert len(dealt) > 3
    assert b"".join(chunk for _, chunk in dealt) == in_order
    before = 0
    for number, chunk in dealt:
        assert number == before
        before += whole_records(np.frombuffer(chunk, np.uint8))[1]
    assert before == 30_000


@pytest.mark.parametrize("threads", [1, 3])
def test_the_counts_do_not_depend_on_the_workers(many: Path, threads: int) -> None:
    class Nobody:
        every_contig = False

        def observe(self, chunk: np.ndarray, taken: np.ndarray, codes: np.ndarray, contig: int) -> None:
            """See nothing; with an observer the chunks are counted in order."""

    with open_alignments(many, threads=threads) as alignments:
        dealt = count_damage(alignments, ReadSettings())
        in_order = count_damage(alignments, ReadSettings(), observer=Nobody())
    assert dealt.notes == in_order.notes
    assert (dealt.reads_total, dealt.reads_used, dealt.dropped) == (30_000, 30_000, {})
    assert dealt.in_order
    np.testing.assert_array_equal(dealt.counts, in_order.counts)
    np.testing.assert_array_equal(dealt.lengths, in_order.lengths)


def test_order_is_tested_across_the_borders_of_chunks(many: Path, tmp_path: Path) -> None:
    """The records of each chunk are in order; the second half begins before the first ends."""
    first, second = ([line(f"r{n}", 0, start + n // 40, "60M", "ACGTAC" * 10, "60") for n in range(12_000)]
                     for start in (400, 0))
    header = HEADER.replace("unsorted", "coordinate")
    with open_alignments(write_bam(tmp_path / "a.bam", first + second, header)) as alignments:
        profile = count_damage(alignments, ReadSettings())
    assert not profile.in_order
    assert any("the records are not" in note for note in profile.notes)


def test_the_first_fault_of_the_file_is_the_one_that_is_told(many: Path, tmp_path: Path) -> None:
    whole = bytearray(many.read_bytes())
    with BgzfFile(many) as file:
        blocks = list(file.blocks())
    for number in (len(blocks) // 3, len(blocks) // 2, len(blocks) - 3):
        whole[blocks[number].data + 20] ^= 0xFF
    damaged = tmp_path / "damaged.bam"
    damaged.write_bytes(whole)
    with open_alignments(damaged) as alignments:
        with pytest.raises(InputError) as in_order:
            list(alignments.chunks())
        for workers in (1, 2, 4):
            with pytest.raises(InputError) as dealt:
                shared(alignments, workers)
            assert str(dealt.value) == str(in_order.value)


@pytest.mark.parametrize("keep", [9_000, 29_999])
@pytest.mark.parametrize("then", [struct.pack("<i", -5) + bytes(100_000), b"BAM\1" + bytes(100_000), b"\xff\0\0\0"])
def test_what_cannot_be_a_record_is_told_as_in_order(many: Path, tmp_path: Path, keep: int, then: bytes) -> None:
    with BgzfFile(many) as file:
        plain = b"".join(text for text, _ in file.groups())
    with open_alignments(many) as alignments:
        records = np.frombuffer(b"".join(chunk.tobytes() for chunk, _ in alignments.chunks()), np.uint8)
    end = 0
    for _ in range(keep):
        end += 4 + int(records[end : end + 4].view(np.int32)[0])
    (tmp_path / "plain").write_bytes(plain[: len(plain) - len(records) + end] + then)
    tabix_compress(str(tmp_path / "plain"), str(tmp_path / "a.bam"), force=True)
    with open_alignments(tmp_path / "a.bam") as alignments:
        with pytest.raises(InputError) as in_order:
            list(alignments.chunks())
        assert f"record {keep + 1:,}" in str(in_order.value)
        with pytest.raises(InputError) as dealt:
            shared(alignments, 3)
    assert str(dealt.value) == str(in_order.value)


@pytest.mark.parametrize("bad", [7_000, 29_999])
def test_a_record_without_md_tag_is_named_by_its_number(tmp_path: Path, bad: int) -> None:
    lines = [line(f"r{n}", 0, n // 60, "60M", "ACGTAC" * 10, "60" if n != bad else None) for n in range(30_000)]
    path = write_bam(tmp_path / "a.bam", lines)
    with open_alignments(path) as alignments, pytest.raises(InputError, match=f"record {bad + 1:,} "):
        count_damage(alignments, ReadSettings())


def test_a_worker_that_breaks_holds_up_nobody(many: Path) -> None:
    def broken(chunk: np.ndarray, before: int) -> None:
        raise ZeroDivisionError

    with open_alignments(many) as alignments, pytest.raises(ZeroDivisionError):
        alignments.share_chunks([broken, lambda chunk, before: None], lambda done: None)
    assert threading.active_count() < 10


def test_a_cancel_ends_the_workers(many: Path) -> None:
    def cancel(done: int) -> None:
        raise CancelledError("Cancelled")

    with open_alignments(many) as alignments, pytest.raises(CancelledError):
        alignments.share_chunks([lambda chunk, before: None] * 2, cancel)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BAM of some thirty parts; its bytes are random, so that blocks hold little more than they are long."""
    path = tmp_path_factory.mktemp("shared") / "reads.bam"
    draw = random.Random(1)
    with pysam.AlignmentFile(str(path), "wb", header={"SQ": [{"SN": "1", "LN": 1_000_000}]}) as file:
        for number in range(RECORDS):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.reference_id, read.reference_start = f"r{number}", 0, number
            read.cigartuples = [(0, 150)]
            read.query_sequence = "".join(draw.choices("ACGT", k=150))
            read.query_qualities = pysam.qualitystring_to_array("".join(chr(draw.randint(35, 73)) for _ in range(150)))
            file.write(read)
    return path


def counters(seen: list[tuple[int, int]], *seconds: float) -> list[Worker]:
    """Return workers that note (records before, records); each takes so many seconds for a chunk."""
    def counter(seconds):
        def count(chunk, before):
            time.sleep(seconds)
            seen.append((before, whole_records(chunk)[1]))
        return count

    return [counter(wait) for wait in seconds]


def all_once(seen: list[tuple[int, int]]) -> int:
    reached = 0
    for before, records in sorted(seen):
        assert before == reached
        reached += records
    return reached


def test_a_worker_that_is_held_up_leaves_the_rest_to_the_others(large: Path) -> None:
    """The first worker sleeps for longer than all of the file takes; it gets one chunk, and nobody waits in between."""
    slow, quick = [], []
    with open_alignments(large, threads=2) as alignments:
        began = time.monotonic()
        alignments.share_chunks([*counters(slow, 1.5), *counters(quick, 0.0)], lambda done: None)
        took = time.monotonic() - began
    assert all_once(slow + quick) == RECORDS
    assert len(slow) == 1
    assert took < 2.6


def test_one_that_is_held_up_while_it_unpacks_does_not_stop_the_unpacking(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first part is not there, nothing can be looked at, but others are unpacked as far as memory goes."""
    file_type = shared_chunks.BgzfFile
    fill, unpacked, release = file_type.fill, [], threading.Event()

    def slow_first(self, blocks, buffer):
        if not unpacked:
            unpacked.append(0)
            assert release.wait(20)
            return fill(self, blocks, buffer)
        end = fill(self, blocks, buffer)
        unpacked.append(end)
        if len(unpacked) == 2 * shared_chunks.PARTS_EACH:
            release.set()
        return end

    monkeypatch.setattr(file_type, "fill", slow_first)
    seen = []
    with open_alignments(large, threads=2) as alignments:
        alignments.share_chunks(counters(seen, 0.0, 0.0), lambda done: None)
    assert all_once(seen) == RECORDS


def test_of_several_faults_the_first_in_the_file_is_told(large: Path) -> None:
    """The quick worker meets a fault late in the file at once, the slow one an earlier fault later."""
    def counter(seconds):
        def count(chunk, before):
            time.sleep(seconds)
            if before > 5_000:
                raise InputError(f"fault after {before}")
            if before > 0:
                time.sleep(0.3)
                raise InputError(f"fault after {before}")
        return count

    second = {}
    with open_alignments(large, threads=2) as alignments:
        alignments.share_chunks([lambda chunk, before: second.setdefault(before, None)] * 2, lambda done: None)
    with open_alignments(large, threads=2) as alignments, pytest.raises(InputError) as caught:
        alignments.share_chunks([counter(0.0), counter(0.0)], lambda done: None)
    assert str(sorted(second)[1]) in str(caught.value)


def test_a_damaged_block_is_told_after_all_before_it_was_looked_at(large: Path, tmp_path: Path) -> None:
    data = bytearray(large.read_bytes())
    at = len(data) * 2 // 3
    data[at : at + 64] = bytes(64)
    damaged = tmp_path / "damaged.bam"
    damaged.write_bytes(data)
    for _ in range(3):
        seen = []
        with open_alignments(damaged, threads=2) as alignments, pytest.raises(InputError, match="corrupt at byte"):
            alignments.share_chunks(counters(seen, 0.01, 0.0), lambda done: None)
        # The part with the fault, of eight blocks, is not looked at, and no part before it is left out.
        assert all_once(seen) > RECORDS * 0.6


def test_after_a_cancel_no_chunk_is_begun(large: Path) -> None:
    def cancel(done: int) -> None:
        raise CancelledError("Cancelled")

    seen = []
    with open_alignments(large, threads=2) as alignments, pytest.raises(CancelledError):
        alignments.share_chunks(counters(seen, 0.3, 0.3), cancel)
    assert len(seen) <= 2
