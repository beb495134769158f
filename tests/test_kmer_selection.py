"""What is chosen on a map of k-mers: by lasso, by pattern, and what the chosen have in common."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Outline
from scipy.stats import fisher_exact

from neandl_core.config import EmbedSettings
from neandl_core.embedding import map_kmers
from neandl_core.errors import InputError
from neandl_core.figures.embedding import density_figure
from neandl_core.figures.kmer_colours import STEPS, colouring, faded
from neandl_core.figures.logo import logo_figure
from neandl_core.figures.print import export_bytes
from neandl_core.kmer_cloud import KmerCloud, kmer_column
from neandl_core.kmer_selection import (
    IUPAC,
    bases_of,
    describe,
    enriched_parts,
    holding,
    information,
    inside,
    matching,
    read_subset,
    reverse_complement,
    totals_of,
)
from neandl_core.kmer_space import kmer_bases, kmer_number, kmer_texts
from tests.embed_runs import make_embed_run
from tests.test_embedding import source

K = 6
KMERS = kmer_texts(np.arange(4**K), K)
BASES = kmer_bases(np.arange(4**K), K)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> KmerCloud:
    folder = tmp_path_factory.mktemp("runs") / "map"
    make_embed_run(folder, 5)
    return KmerCloud.load(folder)


@pytest.mark.parametrize("pattern", ["CGCG", "tatawr", "NNS", "AUG", "BDHVKM"])
def test_patterns_are_found_on_both_strands(pattern: str) -> None:
    letters = ["".join(sorted(IUPAC[letter])) for letter in pattern.upper()]
    forward = re.compile("".join(f"[{these}]" for these in letters))
    other = str.maketrans("ACGT", "TGCA")
    one = np.array([bool(forward.search(kmer)) for kmer in KMERS])
    two = np.array([bool(forward.search(kmer.translate(other)[::-1])) for kmer in KMERS])
    assert np.array_equal(matching(BASES, pattern), one | two)
    assert np.array_equal(matching(BASES, pattern, both_strands=False), one)
    assert one.any()
    assert reverse_complement("GATRYN") == "NRYATC"


def test_what_is_no_pattern_is_refused() -> None:
    for text, words in (("", "no pattern"), ("AX", "no pattern"), ("ACGTACG", "has 7")):
        with pytest.raises(InputError, match=words):
            matching(BASES, text)
    with pytest.raises(InputError, match="one length"):
        bases_of(np.array(["ACG", "AC"]))


def test_a_lasso_holds_what_lies_inside_it() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20_000))
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    bent = np.column_stack([np.cos(angle) * (1 + 0.5 * np.sin(5 * angle)), np.sin(angle)])
    assert np.array_equal(inside(x, y, bent), Outline(bent).contains_points(np.column_stack([x, y])))
    # Where an outline crosses itself, what it goes round twice is outside.
    star = [(np.cos(turn), np.sin(turn)) for turn in np.pi / 2 + 4 * np.pi / 5 * np.arange(5)]
    assert inside(np.array([0.0, 0.0]), np.array([0.0, 0.8]), star).tolist() == [False, True]
    for bad in ([[0, 0], [1, 1]], [[0, 0], [1, 1], [np.nan, 0]], [[0, 0, 0]] * 4, [[0, 0]] * 501, "abc"):
        with pytest.raises(InputError):
            inside(x, y, bad)


def test_a_million_points_are_chosen_at_once() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 4**10)).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, 160)
    began = time.process_time()
    mask = inside(x, y, np.column_stack([np.cos(angle), np.sin(angle)]))
    assert time.process_time() - began < 2
    assert abs(mask.mean() - (1 - np.exp(-0.5))) < 0.002


def test_enriched_words_are_those_of_a_planted_core() -> None:
    mask = matching(BASES, "CGTA", both_strands=False)
    among = np.ones(len(BASES), bool)
    among[::7] = False
    table = enriched_parts(BASES, mask, among)
    assert set(table["part"].head(6)) >= {"CGTA", "CGT", "GTA"}
    row = table.set_index("part").loc["CG"]
    holds = np.array(["CG" in kmer for kmer in KMERS])
    own, rest = mask & among, ~mask & among
    cells = [[int((own & holds).sum()), int((own & ~holds).sum())],
             [int((rest & holds).sum()), int((rest & ~holds).sum())]]
    assert row["count"] == cells[0][0]
    assert row["rest_share"] == pytest.approx(cells[1][0] / sum(cells[1]))
    assert row["p"] == pytest.approx(fisher_exact(cells, alternative="greater").pvalue, rel=1e-6)
    assert (table["q"] >= table["p"] - 1e-15).all()
    assert enriched_parts(BASES, mask, among, totals_of(BASES, among)).equals(table)
    assert holding(BASES, 2)[kmer_number("CG")] == holds.sum()


def test_a_random_selection_enriches_nothing() -> None:
    mask = np.random.default_rng(3).random(len(BASES)) < 0.2
    assert not enriched_parts(BASES, mask, np.ones(len(BASES), bool))["enriched"].any()


def test_a_logo_is_flat_without_a_choice_and_tall_where_one_base_stands() -> None:
    everything = np.ones(len(BASES), bool)
    mask = BASES[:, 2] == 1
    found = describe(BASES, mask, everything)
    assert (found.count, found.among) == (4**5, 4**6)
    assert found.gc == pytest.approx(0.5 * 5 / 6 + 1 / 6)
    assert found.rest_gc == pytest.approx((4**6 * 0.5 - 4**5 * found.gc) / (3 * 4**5))
    bits = information(found.letters, found.background)
    assert bits[2].tolist() == pytest.approx([0, 2, 0, 0], abs=0.01)
    assert np.abs(np.delete(bits, 2, axis=0)).max() < 1e-3
    assert export_bytes(logo_figure(bits, found.count), "png", 89).startswith(b"\x89PNG")
    empty = describe(BASES, ~everything, everything)
    assert empty.count == 0
    assert np.isnan(empty.gc)
    assert np.abs(information(empty.letters, empty.background)).max() == 0


def test_a_cloud_is_drawn_within_its_frame(cloud: KmerCloud) -> None:
    places = np.frombuffer(cloud.positions, "<f4").reshape(2, -1)
    assert np.abs(places).max() < 1
    frame = cloud.frame
    assert places[0] * frame.half + frame.x == pytest.approx(cloud.points["x"].to_numpy(), abs=1e-5)
    assert places[1] * frame.half + frame.y == pytest.approx(cloud.points["y"].to_numpy(), abs=1e-5)
    right = cloud.inside([[0.5, -9], [9, -9], [9, 9], [0.5, 9]])
    assert cloud.points["gc"][right].min() > 0.5
    half = KmerCloud(cloud.points.iloc[::2].reset_index(drop=True))
    assert half.same_kmers(cloud, right).tolist() == right[::2].tolist()


def test_a_users_column_is_laid_over_the_k_mers(cloud: KmerCloud) -> None:
    table = pd.DataFrame({"name": ["x", "y", "z"], "word": ["acgta", "TTTTT", "TTTTT"], "score": ["1.5", "-2", "7"],
                          "group": ["a", "b", "c"]})
    assert kmer_column(table, 5) == "word"
    score = cloud.column(table, "score")
    assert score.notna().sum() == 2
    assert score[kmer_number("ACGTA")] == 1.5
    assert score[kmer_number("TTTTT")] == -2, "the first row of a k-mer counts"
    assert cloud.column(table, "group")[kmer_number("ACGTA")] == "a"
    for words, value in (("no column 'nothing'", "nothing"),):
        with pytest.raises(InputError, match=words):
            cloud.column(table, value)
    with pytest.raises(InputError, match="holds k-mers of 7 bases"):
        kmer_column(table, 7)


def test_colours_are_small_numbers() -> None:
    values, known = pd.Series([0.0, 0.5, 1.0, np.nan, 0.2]), np.array([True, True, True, True, False])
    made = colouring(values, known, kind="sequential", blank="never seen")
    assert made.levels[[3, 4]].tolist() == [0, 0]
    assert made.levels[[0, 2]].tolist() == [1, STEPS]
    assert 1 < made.levels[1] < STEPS
    assert (len(made.palette), made.legend["blank"]) == (STEPS + 1, "never seen")
    centred = colouring(pd.Series([-1.0, 0.0, 4.0]), np.ones(3, bool), kind="diverging")
    assert centred.legend["low"] == -centred.legend["high"]
    many = colouring(pd.Series([f"c{n % 30}" for n in range(300)]), np.ones(300, bool), kind="classes")
    assert many.levels.max() < len(many.palette)
    assert many.legend["entries"][-1]["name"] == "21 others"
    assert len(faded(made.palette)) == 2 * len(made.palette) < 255


def test_a_subset_is_mapped_alone() -> None:
    made = source()
    wanted = read_subset(["acgta", "", *kmer_texts(made.kmers[::4], 5)], 5)
    points = map_kmers(made, EmbedSettings.make(clusters=3), subset=wanted).points
    assert points["kmer"].tolist() == kmer_texts(np.unique([kmer_number("ACGTA"), *made.kmers[::4]]), 5).tolist()
    with pytest.raises(InputError, match="no k-mer of 5 letters"):
        read_subset(["ACGTA", "ACG"], 5)


def test_density_counts_every_k_mer(cloud: KmerCloud) -> None:
    chosen = cloud.seen & (cloud.points["gc"].to_numpy() > 0.5)
    figure = density_figure(cloud.points, cloud.seen, ("PC1", "PC2"), chosen)
    assert [int(trace.customdata.sum()) for trace in figure.data[:2]] == [cloud.seen.sum(), chosen.sum()]
    assert export_bytes(figure, "png", 89).startswith(b"\x89PNG")


def test_a_run_without_points_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        KmerCloud.load(tmp_path)
