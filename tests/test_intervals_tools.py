"""Merging, coverage, overlap counts and distances against bedtools (stored and live) and bioframe."""

from __future__ import annotations

import shutil
import subprocess

import bioframe
import numpy as np
import pandas as pd
import pytest

from neandl_core.intervals import covered_bases, merge, nearest_distances
from neandl_core.io.annotation import read_bed

# Of bioframe's functions on tables, which only these tests call; the engine uses its arrays.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
CHROMOSOMES = ["3", "12", "20", "21", "X"]
"""Of the published maps, some: bedtools coverage takes seconds on all."""
NONE = np.iinfo(np.int64).max
FIRST = (
    "1:37-72 1:44-72 1:187-225 1:259-273 1:282-310 1:285-294 1:289-297 1:298-302 2:25-40 2:35-51 2:77-103 2:214-224 "
    "3:10-20"
)
SECOND = (
    "1:32-37 1:52-90 1:92-108 1:190-197 1:254-289 1:288-292 1:292-312 1:294-314 2:160-190 2:175-204 2:185-205"
)
# bedtools 2.30.0: merge -d -1 -i FIRST; coverage -a FIRST -b SECOND (columns 5 and 4); closest -d -t first -a FIRST
# -b on the merged SECOND, of which bedtools' distances are one more than the bases in between.
MERGED = "1:37-72 1:187-225 1:259-273 1:282-310 2:25-51 2:77-103 2:214-224 3:10-20"
COVERED = [20, 20, 7, 14, 28, 9, 8, 4, 0, 0, 0, 0, 0]
OVERLAPS = [1, 1, 1, 1, 4, 3, 3, 2, 0, 0, 0, 0, 0]
CLOSEST = [0, 0, 0, 0, 0, 0, 0, 0, 121, 110, 58, 10, -1]


def table(text: str) -> pd.DataFrame:
    rows = [word.replace("-", ":").split(":") for word in text.split()]
    frame = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    return frame.astype({"start": int, "end": int})


def merged(intervals: pd.DataFrame) -> pd.DataFrame:
    pieces = []
    for chrom, rows in intervals.groupby("chrom"):
        starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
        pieces.append(pd.DataFrame({"chrom": chrom, "start": starts, "end": ends}))
    return pd.concat(pieces, ignore_index=True)


def by_chromosome(function, queries: pd.DataFrame, targets: pd.DataFrame, absent: int) -> np.ndarray:
    result = np.full(len(queries), absent, np.int64)
    for chrom, rows in queries.groupby("chrom"):
        here = targets[targets["chrom"] == chrom]
        places = queries.index.get_indexer(rows.index)
        result[places] = function(*(frame[name].to_numpy() for frame in (rows, here) for name in ("start", "end")))
    return result


def as_bedtools(distances: np.ndarray, covered: np.ndarray) -> list[int]:
    """bedtools counts touching as 1, and gives -1 where the chromosome has nothing."""
    return np.where(covered > 0, 0, np.where(distances == NONE, -1, distances % NONE + 1)).tolist()


def test_small_files_give_what_bedtools_gave():
    first, second = table(FIRST), table(SECOND)
    pd.testing.assert_frame_equal(merged(first), table(MERGED), check_dtype=False)
    joined = merged(second)
    covered = by_chromosome(covered_bases, first, joined, 0)
    assert covered.tolist() == COVERED
    assert bioframe.count_overlaps(first, second)["count"].tolist() == OVERLAPS
    assert as_bedtools(by_chromosome(nearest_distances, first, joined, NONE), covered) == CLOSEST


def test_random_intervals_give_what_bioframe_gives():
    rng = np.random.default_rng(4)
    for _ in range(20):
        first, second = (
            pd.DataFrame({"chrom": rng.choice(["1", "2"], 40), "start": rng.integers(0, 2000, 40)}) for _ in range(2)
        )
        for frame in (first, second):
            frame["end"] = frame["start"] + rng.integers(1, 40, 40)
        joined = merged(second)
        expected = bioframe.merge(second, min_dist=None)[["chrom", "start", "end"]]
        pd.testing.assert_frame_equal(joined, expected, check_dtype=False)
        covered = by_chromosome(covered_bases, first, joined, 0)
        assert covered.tolist() == bioframe.coverage(first, second)["coverage"].tolist()
        nearest = bioframe.closest(first, joined, return_index=True).set_index("index")["distance"].sort_index()
        assert by_chromosome(nearest_distances, first, joined, NONE).tolist() == nearest.tolist()


def test_nothing_is_merged_covered_and_near():
    nothing = np.empty(0, np.int64)
    assert [part.tolist() for part in merge(nothing, nothing)] == [[], [], []]
    assert covered_bases([5], [9], nothing, nothing).tolist() == [0]
    assert nearest_distances([5], [9], nothing, nothing).tolist() == [NONE]


def bedtools(*words: object) -> list[list[str]]:
    done = subprocess.run(["bedtools", *map(str, words)], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.shared
@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Akey_depl_coords.bed.gz", "schaefer_2021_regions_merged.bed.gz"),
        ("vernot_2016_regions_merged.bed.gz", "sankararaman_2016_1_regions_merged.bed.gz"),
        ("introgressed_regions_at_least_3_methods.bed.gz", "Akey_intr_coords.bed.gz"),
    ],
)
def test_published_maps_give_what_bedtools_gives(shared, tmp_path, first, second):
    frames = []
    for name in (first, second):
        frame = read_bed(shared / "introgression" / name).table.rename(columns={"contig": "chrom"})
        frame["chrom"] = frame["chrom"].str.removeprefix("chr")
        frame = frame[frame["chrom"].isin(CHROMOSOMES)][["chrom", "start", "end"]]
        frame = frame.sort_values(["chrom", "start", "end"], ignore_index=True)
        frame.to_csv(tmp_path / f"{len(frames)}.bed", sep="\t", header=False, index=False)
        frames.append(frame)
    a, b = frames
    joined = merged(b)
    joined.to_csv(tmp_path / "joined.bed", sep="\t", header=False, index=False)
    lines = bedtools("merge", "-d", "-1", "-i", tmp_path / "1.bed")
    assert [[chrom, str(start), str(end)] for chrom, start, end in joined.itertuples(index=False)] == lines
    covered = by_chromosome(covered_bases, a, joined, 0)
    assert covered.tolist() == [int(line[-3]) for line in bedtools(
        "coverage", "-a", tmp_path / "0.bed", "-b", tmp_path / "joined.bed"
    )]
    counts = [int(line[-1]) for line in bedtools("intersect", "-c", "-a", tmp_path / "0.bed", "-b", tmp_path / "1.bed")]
    assert bioframe.count_overlaps(a, b)["count"].tolist() == counts
    assert sum(counts) > 1000
    closest = bedtools("closest", "-d", "-t", "first", "-a", tmp_path / "0.bed", "-b", tmp_path / "joined.bed")
    distances = by_chromosome(nearest_distances, a, joined, NONE)
    assert as_bedtools(distances, covered) == [int(line[-1]) for line in closest]
