"""The read dataset: orientation, equal lengths, no copies, no stretch in two parts, nothing lost unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neandl_core.config import ReadSetSettings
from neandl_core.dataset import Dataset, load_dataset
from neandl_core.errors import InputError
from neandl_core.io.alignments import open_alignments
from neandl_core.read_draw import Draw
from neandl_core.read_set import make_read_set, read_keys
from tests.sam_files import write_bam

LETTERS = np.array(list("ACGT"))
HEADER = "@HD\tVN:1.6\tSO:unsorted\n@SQ\tSN:{0}1\tLN:60000000\n@SQ\tSN:{0}2\tLN:40000000\n"


def sam(name: str, flag: int, contig: str, start: int, sequence: str) -> str:
    cigar, place = (f"{len(sequence)}M", f"{contig}\t{start + 1}") if not flag & 4 else ("*", "*\t0")
    return f"{name}\t{flag}\t{place}\t30\t{cigar}\t*\t0\t0\t{sequence}\t*\n"


def bam(path: Path, rng: np.random.Generator, count: int, low: int, high: int, prefix: str = "chr") -> Path:
    lines = []
    for number in range(count):
        sequence = "".join(LETTERS[rng.integers(0, 4, rng.integers(low, high + 1))])
        contig = f"{prefix}{rng.integers(1, 3)}"
        flag = int(rng.choice([0, 16, 0, 16, 0, 16, 4, 1024]))
        lines.append(sam(f"r{number}", flag, contig, int(rng.integers(0, 39_000_000)), sequence))
        if number % 10 == 0:
            lines.append(lines[-1])
    return write_bam(path, lines, HEADER.format(prefix))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(8)
    ancient = bam(folder / "ancient.bam", rng, 3_000, 25, 90)
    modern = bam(folder / "modern.bam", rng, 4_000, 60, 101, prefix="")
    (folder / "out").mkdir()
    summary = make_read_set(folder / "out", [ancient], [modern], ReadSetSettings(max_reads=1_500, seed=3))
    return load_dataset(folder / "out"), summary


def test_classes_are_equal_in_number_and_in_lengths(made: tuple[Dataset, dict[str, Any]]) -> None:
    dataset, summary = made
    table = dataset.examples
    lengths = [sorted(table.loc[table["label"] == label, "length"]) for label in (0, 1)]
    assert lengths[0] == lengths[1]
    assert min(lengths[0]) >= 30
    assert max(lengths[0]) == 76
    assert summary["length"]["equal"]
    assert np.array_equal((dataset.codes != 4).sum(axis=1), table["length"])
    assert abs(summary["audit"]["length_auc"] - 0.5) < 0.1


def test_no_stretch_of_the_genome_lies_in_two_parts(made: tuple[Dataset, dict[str, Any]]) -> None:
    table = made[0].examples
    assert table.groupby("locus")["split"].nunique().max() == 1
    assert table["locus"].nunique() >= 50
    names = table["contig"].str.removeprefix("chr")
    stretch = names + ":" + (table["start"] // 1_000_000).astype(str)
    assert pd.DataFrame({"a": stretch, "split": table["split"]}).groupby("a")["split"].nunique().max() == 1
    assert made[1]["audit"]["identical"] == made[1]["audit"]["shared_stretches"] == 0
    assert made[1]["comparison_audit"]["shared_stretches"] > 0.9


def test_no_sequence_comes_twice(made: tuple[Dataset, dict[str, Any]]) -> None:
    dataset, _ = made
    keys = read_keys(np.asarray(dataset.codes), dataset.examples["length"].to_numpy())
    assert len(np.unique(keys)) == len(keys)


def test_every_record_is_accounted_for(made: tuple[Dataset, dict[str, Any]]) -> None:
    _, summary = made
    for name in ("ancient", "modern"):
        kept = sum(part[name] for part in summary["counts"]["split"].values())
        assert kept == summary["examples"] // 2
        assert kept + sum(summary["dropped"][name].values()) == summary["reads_total"][name]
        assert summary["dropped"][name]["same sequence as another read"] > 50
        assert summary["dropped"][name]["unmapped"] > 100


def test_a_read_and_its_reverse_complement_have_one_key() -> None:
    rng = np.random.default_rng(1)
    codes = np.full((200, 40), 4, np.uint8)
    turned = codes.copy()
    lengths = rng.integers(1, 41, 200)
    for row, length in enumerate(lengths):
        bases = rng.integers(0, 4, length)
        codes[row, :length] = bases
        turned[row, :length] = 3 - bases[::-1]
    assert np.array_equal(read_keys(codes, lengths), read_keys(turned, lengths))
    assert len(np.unique(read_keys(codes[lengths > 15], lengths[lengths > 15]))) == (lengths > 15).sum()


def draw(path: Path, wanted: int, width: int = 6, seed: int = 1):
    drawing = Draw(wanted, width, 1, 0, np.random.default_rng(seed))
    with open_alignments(path) as alignments:
        drawing.add(alignments)
    return drawing.reads()


def test_reads_are_turned_as_they_were_sequenced(tmp_path: Path) -> None:
    lines = [sam("f", 0, "chr1", 5, "AACCGGTN"), sam("r", 16, "chr1", 9, "NACCGGTT"), sam("s", 16, "chr1", 7, "ACG")]
    reads = draw(write_bam(tmp_path / "a.bam", lines, HEADER.format("chr")), 10)
    by_start = {int(start): codes.tolist() for start, codes in zip(reads.starts, reads.codes, strict=True)}
    assert by_start == {5: [0, 0, 1, 1, 2, 2], 9: [0, 0, 1, 1, 2, 2], 7: [1, 2, 3, 4, 4, 4]}


def test_the_draw_covers_the_whole_file_and_follows_the_seed(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lines = [sam(f"r{n}", 0, "chr1", n, "".join(LETTERS[rng.integers(0, 4, 30)])) for n in range(5_000)]
    path = write_bam(tmp_path / "a.bam", lines, HEADER.format("chr"))
    reads = draw(path, 500)
    assert len(reads.starts) == len(set(reads.starts.tolist())) == 500
    quarters = np.bincount(reads.starts // 1_250, minlength=4)
    assert quarters.min() > 80  # about 125 each; the first 500 reads would give 500, 0, 0, 0
    assert np.array_equal(draw(path, 500).starts, reads.starts)
    assert not np.array_equal(draw(path, 500, seed=2).starts, reads.starts)


def test_too_few_reads_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ancient, modern = bam(tmp_path / "a.bam", rng, 300, 70, 76), bam(tmp_path / "m.bam", rng, 300, 30, 40)
    with pytest.raises(InputError, match="are left for the dataset"):
        make_read_set(tmp_path, [ancient], [modern], ReadSetSettings())
    unmapped = write_bam(tmp_path / "u.bam", [sam("u", 4, "", 0, "ACGT" * 20)], HEADER.format("chr"))
    with pytest.raises(InputError, match=r"0 usable ancient reads of 1 \(unmapped: 1\)"):
        make_read_set(tmp_path, [unmapped], [modern], ReadSetSettings())
