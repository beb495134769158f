"""Layers of a read: reference bases from the MD tag against a slow twin, qualities, PMD scores by their formula."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from neandl_core.baselines import mask_ends
from neandl_core.io.alignments import open_alignments
from neandl_core.io.reference import ReferenceBases
from neandl_core.pmd import pmd_scores
from neandl_core.read_draw import Draw, DrawnReads
from tests.sam_files import HEADER, line, random_record, write_bam, write_fasta

LETTERS = "ACGT"


def drawn(path: Path, width: int = 300, fasta: Path | None = None) -> DrawnReads:
    drawing = Draw(1_000, width, 1, 0, np.random.default_rng(1))
    with open_alignments(path) as alignments:
        drawing.add(alignments, reference=None if fasta is None else ReferenceBases(fasta, alignments))
    return drawing.reads()


def code(letter: str) -> int:
    return LETTERS.find(letter) if letter in LETTERS else 4


def test_reference_bases_are_those_of_the_alignment(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    genome = "".join(LETTERS[i] for i in rng.integers(0, 4, 1_000))
    lines, expected = [], {}
    for number in range(300):
        text, _, columns = random_record(rng, f"r{number}", genome)
        fields = text.split("\t")
        length, turned = len(fields[9]), int(fields[1]) & 16
        row = np.full(300, 4)
        for index, reference, read in columns:
            if index >= 0 and reference != "-":
                value = code(reference) if read != reference or read in LETTERS else 4
                row[length - 1 - index if turned else index] = 3 - value if turned and value < 4 else value
        expected[(int(fields[3]) - 1, length, bool(turned))] = row
        lines.append(text)
    reads = drawn(write_bam(tmp_path / "a.bam", lines))
    assert reads.with_reference.all()
    compared = 0
    for key, row in zip(zip(reads.starts, reads.lengths, reads.reverse, strict=True), reads.reference, strict=True):
        wanted = expected[(int(key[0]), int(key[1]), bool(key[2]))]
        compared += np.array_equal(row, wanted)
    assert compared >= 298  # two records may share start, length and strand


def test_without_tags_the_fasta_gives_the_same_layers(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    genomes = ["".join(LETTERS[i] for i in rng.integers(0, 4, 1_000)) for _ in range(2)]
    header = HEADER.replace("LN:1000\n", "LN:1000\n@SQ\tSN:chr2\tLN:1000\n")
    with_md, without = [], []
    for number in range(300):
        tagged, bare, _ = random_record(rng, f"r{number}", genomes[number % 2])
        for lines, text in ((with_md, tagged), (without, bare)):
            # Every third record keeps its tag, and every tenth has one that is wrong.
            text = tagged if number % 3 == 0 else text
            wrong = number % 10 == 1 and lines is without
            text = bare.rstrip("\n") + "\tMD:Z:1A1\n" if wrong else text
            lines.append(text.replace("\tchr1\t", f"\tchr{number % 2 + 1}\t"))
    by_tag = drawn(write_bam(tmp_path / "a.bam", with_md, header))
    fasta = write_fasta(tmp_path / "genome.fa", {"2": genomes[1], "1": genomes[0]})
    by_fasta = drawn(write_bam(tmp_path / "b.bam", without, header), fasta=fasta)
    assert by_tag.with_reference.all()
    assert by_fasta.with_reference.all()
    for name in ("codes", "quality", "starts", "contigs", "lengths"):
        assert np.array_equal(getattr(by_tag, name), getattr(by_fasta, name))
    # An N of the read leaves the tag's base unknown where it counts as a match, and the FASTA's known.
    differ = by_tag.reference != by_fasta.reference
    assert (by_tag.codes[differ] == 4).all()
    assert differ.mean() < 0.05
    assert by_fasta.total == by_fasta.passed == 300


def test_bases_past_the_contigs_end_are_unknown(tmp_path: Path) -> None:
    bam = write_bam(tmp_path / "a.bam", [line("r", 0, 996, "8M", "ACGTACGT", None)])
    reads = drawn(bam, 10, write_fasta(tmp_path / "genome.fa", {"chr1": "A" * 996 + "CCCC"}))
    assert reads.reference[0].tolist() == [1, 1, 1, 1, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("md", [None, "3", "9", "4A", "4^A4", "A3A33", "8x"])
def test_a_missing_or_wrong_tag_leaves_no_reference(tmp_path: Path, md: str | None) -> None:
    reads = drawn(write_bam(tmp_path / "a.bam", [line("r", 0, 5, "8M", "ACGTACGT", md)]), width=10)
    assert not reads.with_reference[0]
    assert (reads.reference == 4).all()


def test_layers_follow_the_reads_own_direction(tmp_path: Path) -> None:
    text = line("r", 16, 5, "2S6M", "TTACGTAC", "0C5").replace("I" * 8, "!\"#$%&'(")
    reads = drawn(write_bam(tmp_path / "a.bam", [text], HEADER), width=10)
    assert reads.codes[0].tolist() == [2, 3, 0, 1, 2, 3, 0, 0, 4, 4]
    assert reads.reference[0].tolist() == [2, 3, 0, 1, 2, 2, 4, 4, 4, 4]
    assert reads.quality[0].tolist() == [7, 6, 5, 4, 3, 2, 1, 0, 255, 255]


def test_pmd_scores_are_the_formula_written_out() -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (50, 60)).astype(np.uint8)
    reference = np.where(rng.random(codes.shape) < 0.8, codes, rng.integers(0, 5, codes.shape)).astype(np.uint8)
    quality = rng.integers(2, 42, codes.shape).astype(np.uint8)
    lengths = rng.integers(30, 61, 50)
    beyond = np.arange(60) >= lengths[:, None]
    codes[beyond] = reference[beyond] = 4
    got = pmd_scores(codes, reference, quality)

    def equal(damage: float, error: float) -> float:
        return (1 - damage) * (1 - error) * 0.999 + damage * error * 0.999 + error * 0.001 * (1 - damage)

    for row in range(50):
        total = 0.0
        for place in range(lengths[row]):
            pair = LETTERS[reference[row, place]] if reference[row, place] < 4 else "N"
            pair += LETTERS[codes[row, place]]
            distance = {"C": place, "G": lengths[row] - 1 - place}.get(pair[0])
            if pair not in ("CC", "CT", "GG", "GA"):
                continue
            error = 10 ** (-int(quality[row, place]) / 10) / 3
            ancient, modern = equal(0.7**distance * 0.3 + 0.01, error), equal(0.001, error)
            same = pair in ("CC", "GG")
            total += math.log(ancient / modern) if same else math.log((1 - ancient) / (1 - modern))
        assert got[row] == pytest.approx(total, abs=1e-9)


def test_masked_reads_keep_their_interior_alone() -> None:
    codes = np.array([[0, 1, 2, 3, 0, 1, 4, 4]], np.uint8)
    assert mask_ends(codes, 2).tolist() == [[4, 4, 2, 3, 4, 4, 4, 4]]
