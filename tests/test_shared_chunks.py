"""A file read by several workers at once: everything once, whoever is held up, and of several faults the first."""

from __future__ import annotations

import random
import threading
import time

import pysam
import pytest

from neandl_core.errors import InputError
from neandl_core.io import shared_chunks
from neandl_core.io.alignments import open_alignments
from neandl_core.io.records import whole_records

RECORDS = 60_000


@pytest.fixture(scope="module")
def bam(tmp_path_factory):
    """Return a BAM of some thirty parts; its bytes are random, so that blocks hold little more than they are long."""
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


def _counters(seen, *seconds):
    """Return workers that note (records before, records); each takes so many seconds for a chunk."""
    def counter(seconds):
        def count(chunk, before):
            time.sleep(seconds)
            seen.append((before, whole_records(chunk)[1]))
        return count

    return [counter(wait) for wait in seconds]


def _all_once(seen):
    reached = 0
    for before, records in sorted(seen):
        assert before == reached
        reached += records
    return reached


def test_every_record_is_seen_once_with_how_many_precede_it(bam):
    seen, told = [], []
    with open_alignments(bam, threads=2) as alignments:
        alignments.share_chunks(_counters(seen, 0.0, 0.0), told.append)
        assert told[-1] <= alignments.size
    assert len(seen) > 25
    assert _all_once(seen) == RECORDS


def test_a_worker_that_is_held_up_leaves_the_rest_to_the_others(bam):
    """The first worker sleeps for longer than all of the file takes; it gets one chunk, and nobody waits in between."""
    slow, quick = [], []
    with open_alignments(bam, threads=2) as alignments:
        began = time.monotonic()
        alignments.share_chunks([*_counters(slow, 1.5), *_counters(quick, 0.0)], lambda done: None)
        took = time.monotonic() - began
    assert _all_once(slow + quick) == RECORDS
    assert len(slow) == 1
    assert took < 2.6


def test_one_that_is_held_up_while_it_unpacks_does_not_stop_the_unpacking(bam, monkeypatch):
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
    with open_alignments(bam, threads=2) as alignments:
        alignments.share_chunks(_counters(seen, 0.0, 0.0), lambda done: None)
    assert _all_once(seen) == RECORDS


def test_of_several_faults_the_first_in_the_file_is_told(bam):
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
    with open_alignments(bam, threads=2) as alignments:
        alignments.share_chunks([lambda chunk, before: second.setdefault(before, None)] * 2, lambda done: None)
    with open_alignments(bam, threads=2) as alignments, pytest.raises(InputError) as caught:
        alignments.share_chunks([counter(0.0), counter(0.0)], lambda done: None)
    assert str(sorted(second)[1]) in str(caught.value)


def test_a_damaged_block_is_told_after_all_before_it_was_looked_at(bam, tmp_path):
    data = bytearray(bam.read_bytes())
    at = len(data) * 2 // 3
    data[at : at + 64] = bytes(64)
    damaged = tmp_path / "damaged.bam"
    damaged.write_bytes(data)
    for _ in range(3):
        seen = []
        with open_alignments(damaged, threads=2) as alignments, pytest.raises(InputError, match="corrupt at byte"):
            alignments.share_chunks(_counters(seen, 0.01, 0.0), lambda done: None)
        # The part with the fault, of eight blocks, is not looked at, and no part before it is left out.
        assert _all_once(seen) > RECORDS * 0.6


def test_what_ends_the_progress_ends_the_workers(bam):
    class Cancelled(Exception):
        pass

    def cancel(done):
        raise Cancelled

    seen = []
    with open_alignments(bam, threads=2) as alignments, pytest.raises(Cancelled):
        alignments.share_chunks(_counters(seen, 0.3, 0.3), cancel)
    assert len(seen) <= 2
