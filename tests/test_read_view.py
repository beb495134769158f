"""Single reads: laid out as they were aligned, drawn fairly, kept in the run, shown with what differs."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from neandl_core.__main__ import main
from neandl_core.errors import InputError
from neandl_core.figures.alignments import alignment_figure
from neandl_core.figures.print import export_bytes
from neandl_core.read_sample import FILE, PER_BIN, Bins, ReadSample, ReadSampler
from neandl_core.read_view import align, view_reads
from neandl_core.schemas import DAMAGE_RATES, VIEWED_BASES, VIEWED_READS, check_table, read_table
from tests.sam_files import line, random_record, write_bam, write_fasta

TURN = str.maketrans("ACGTN-", "TGCAN-")


def turned(text: str) -> str:
    return text[::-1].translate(TURN)


def bam_records(path: Path) -> list[bytes]:
    """Records of a BAM file, each with its length in front, found without the code under test."""
    with pysam.BGZFile(str(path)) as file:
        data = file.read()
    at = 8 + int.from_bytes(data[4:8], "little")
    count, at = int.from_bytes(data[at : at + 4], "little"), at + 4
    for _ in range(count):
        at += 8 + int.from_bytes(data[at : at + 4], "little")
    found = []
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        found.append(data[at:end])
        at = end
    return found


def test_columns_are_those_of_the_alignment_in_the_reads_own_direction(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    made = [random_record(rng, f"r{number}", genome) for number in range(200)]
    path = write_bam(tmp_path / "a.bam", [with_md for with_md, _, _ in made])
    bare = write_bam(tmp_path / "b.bam", [without for _, without, _ in made])
    codes = np.array(["ACGT".index(base) for base in genome], np.uint8)
    for record, other, (text, _, columns) in zip(bam_records(path), bam_records(bare), made, strict=True):
        read = align(record, ("chr1",))
        reverse = text.split("\t")[1] == "16"
        reference, seen = ("".join(column[place] for column in columns) for place in (1, 2))
        if reverse:
            reference, seen = turned(reference), turned(seen)
        assert read.reference.strip(" ") == reference
        assert "".join(base for base in read.read if not base.islower()) == seen
        assert len(read.read) == len(read.reference) == len(read.qualities)
        start = int(text.split("\t")[3]) - 1
        again = align(other, ("chr1",), codes[start : start + 500].tobytes())
        assert (again.read, again.reference) == (read.read, read.reference)
        assert set(align(other, ("chr1",)).reference) <= set("? -"), "without MD and reference nothing is a match"


def test_differences_are_named_by_where_they_lie(tmp_path: Path) -> None:
    genome = "ACGTC" * 12
    sequence = list(genome)
    for place, base in ((1, "T"), (21, "T"), (57, "A"), (34, "T"), (3, "A")):  # C>T, C>T far, G>A at the 3' end, ...
        sequence[place] = base
    md = "1C1T17C12C22G2"
    path = write_bam(tmp_path / "a.bam", [line("r", 0, 0, "60M", "".join(sequence), md)])
    record = bam_records(path)[0]
    sample = ReadSample(Bins(0, 1, 2), np.array([1, 0]), 0, np.zeros(1), np.array([0.5]), (record,), (b"",), ("chr1",))
    reads, bases = view_reads(sample, np.array([0]))
    check_table(reads, VIEWED_READS, "reads")
    check_table(bases, VIEWED_BASES, "bases")
    assert dict(zip(bases["from_5p"], bases["kind"], strict=True)) == {
        2: "damage at its end", 4: "other mismatch", 22: "C>T or G>A elsewhere", 35: "C>T or G>A elsewhere",
        58: "damage at its end",
    }
    assert reads["changes"][0] == "C>T at 2, T>A at 4, C>T at 22, C>T at 35, G>A at 58"
    single = view_reads(sample, np.array([0]), single_stranded=True)[1]
    assert single.set_index("from_5p")["kind"][58] == "C>T or G>A elsewhere"
    assert (bases["from_5p"] + bases["from_3p"] == 61).all()


def fake_chunk(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Records of 8 bytes, of which the last four say which they are."""
    chunk = np.zeros((count, 8), np.uint8)
    chunk[:, 0] = 4
    chunk[:, 4:] = np.arange(count, dtype="<u4").view(np.uint8).reshape(-1, 4)
    return chunk.ravel(), np.arange(count) * 8


@pytest.mark.parametrize("pieces", [1, 37])
def test_every_read_of_a_range_is_drawn_with_the_same_chance(tmp_path: Path, pieces: int) -> None:
    rng = np.random.default_rng(8)
    times = np.zeros(3000, np.int64)
    # Two bins of very different size: a draw from both must take them as often as they come.
    scores = np.where(np.arange(3000) % 10 == 0, 0.5, 1.5)
    scores[7::100] = np.nan
    chunk, starts = fake_chunk(3000, rng)
    for seed in range(60):
        sampler = ReadSampler(Bins(0.0, 1.0, 3), ("chr1",), seed)
        for part in np.array_split(np.arange(3000), pieces):
            sampler.add(chunk, starts[part], scores[part])
        sampler.save(tmp_path / "s.npz")
        sample = ReadSample.load(tmp_path / "s.npz")
        rows, total = sample.draw(0.0, 2.0)
        assert total == np.isfinite(scores).sum() == 2970
        assert len(rows) == PER_BIN
        drawn = [int.from_bytes(sample.records[row][4:], "little") for row in rows]
        assert len(set(drawn)) == PER_BIN
        times[drawn] += 1
    few = scores == 0.5
    assert times[np.isnan(scores)].sum() == 0
    expected = 60 * PER_BIN * few.sum() / 2970
    assert abs(times[few].sum() - expected) < 4 * np.sqrt(expected)
    halves = times[:1500].sum(), times[1500:].sum()
    assert abs(halves[0] - halves[1]) < 4 * np.sqrt(sum(halves)), "reads late in the file count as much as early ones"
    assert sample.draw(2.0, 3.0)[1] == 0
    assert (sample.scores[sample.draw(0.0, 1.0)[0]] == 0.5).all()


def test_a_run_keeps_reads_that_show_the_damage_it_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    genome = "".join(rng.choice(list("ACGT"), 1000))
    lines = []
    for number in range(80):
        start, length = int(rng.integers(0, 900)), int(rng.integers(35, 90))
        bases = list(genome[start : start + length])
        reverse = number % 2
        first = len(bases) - 1 if reverse else 0
        if bases[first] == ("G" if reverse else "C") and rng.random() < 0.8:
            bases[first] = "A" if reverse else "T"
        lines.append(line(f"r{number}", 16 * reverse, start, f"{len(bases)}M", "".join(bases), None))
    bam = write_bam(tmp_path / "a.bam", lines)
    fasta = write_fasta(tmp_path / "ref.fa", {"chr1": genome})
    assert main(["reads", str(bam), "--reference", str(fasta), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    sample = ReadSample.load(tmp_path / "out" / FILE)
    edges = sample.bins.edges
    assert sample.counts.sum() == 80
    assert (sample.counts <= PER_BIN).all(), "so that the sample holds every read"
    rates = read_table(tmp_path / "out" / "damage_rates.tsv", DAMAGE_RATES, "rates")
    first = rates[(rates["end"] == "5p") & (rates["substitution"] == "C>T") & (rates["position"] == 0)].iloc[0]
    began = time.perf_counter()
    tables = [view_reads(sample, sample.draw(low, high)[0]) for low, high in pairwise(edges)]
    assert time.perf_counter() - began < 1
    bases = pd.concat([bases for _, bases in tables])
    reads = pd.concat([reads for reads, _ in tables])
    assert len(reads) == 80
    terminal = bases[(bases["from_5p"] == 1) & (bases["reference"] == "C") & (bases["base"] == "T")]
    assert len(terminal) == first["n_observed"] > 10
    assert (reads["reference"].str[0] == "C").sum() == first["n_ref"]


def test_a_damaged_sample_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="sample of reads cannot be read"):
        ReadSample.load(tmp_path / FILE)
    with pytest.raises(InputError, match="damaged"):
        align(b"\x10\0\0\0" + b"\xff" * 16, ("chr1",))


def test_the_figure_has_a_letter_for_each_difference_and_prints(tmp_path: Path) -> None:
    reads = pd.DataFrame([
        (number, f"r{number}", 5.0 - number, 60, 60, "chr1", 10, "+", 37, "", "", "", "") for number in (1, 2, 3)
    ], columns=list(VIEWED_READS))
    bases = pd.DataFrame([
        (1, 1, 60, "C", "T", "damage at its end", 30.0), (2, 30, 31, "A", "G", "other mismatch", 20.0),
        (3, 5, 56, "A", "-", "deletion", np.nan),
    ], columns=list(VIEWED_BASES))
    figure = alignment_figure(reads, bases, 1234, score="PMD score")
    assert "3 of 1,234 reads" in figure.layout.title.text
    letters = {trace.name: (list(trace.x), list(trace.text)) for trace in figure.data if trace.text is not None}
    assert letters == {
        "damage at its end": ([1], ["T"]), "other mismatch": ([30], ["G"]), "deletion": ([5], ["-"]),
    }
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the highest score is on top"
    from_3p = alignment_figure(reads, bases, 1234, score="PMD score", from_end="3p")
    assert from_3p.layout.xaxis.range[0] > from_3p.layout.xaxis.range[1]
    assert list(from_3p.data[1].x) == [60]
    assert b">T<" in export_bytes(figure, "svg").replace(b"\n", b"")
