"""Maps of k-mers: what lies together in the vectors lies together on the map, and what was never seen is marked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.config import EmbedSettings
from neandl_core.dataset import load_dataset
from neandl_core.embedding import KmerVectors, learnt_vectors, map_kmers
from neandl_core.encoding import kmer_codes, kmer_text
from neandl_core.errors import InputError
from neandl_core.figures.embedding import map_figure
from neandl_core.figures.print import export_bytes
from neandl_core.kmer_space import (
    composition_vectors,
    kmer_number,
    kmer_properties,
    kmer_texts,
    nearest,
    reverse_complements,
)
from neandl_core.runs import read_summary
from neandl_core.schemas import KMER_POINTS, check_table
from tests.test_training import make_dataset, train

K = 5


def source(unseen: int = 100, seed: int = 0) -> KmerVectors:
    """Vectors whose first axis is the GC content; some k-mers were never seen."""
    rng = np.random.default_rng(seed)
    kmers = np.arange(4**K)
    vectors = rng.normal(0, 0.05, (len(kmers), 10)).astype(np.float32)
    vectors[:, 0] += 4 * kmer_properties(kmers, K)["gc"].to_numpy()
    frequency = rng.integers(1, 200, len(kmers))
    frequency[rng.choice(len(kmers), unseen, replace=False)] = 0
    return KmerVectors(K, kmers, vectors, frequency, True, "made up")


def test_k_mers_are_what_their_text_says() -> None:
    kmers = np.array([0, kmer_number("ACGT"), 6, 255])
    table = kmer_properties(kmers, 4)
    assert table["kmer"].tolist() == [kmer_text(int(kmer), 4) for kmer in kmers]
    assert [kmer_number(text) for text in table["kmer"]] == kmers.tolist()
    row = table.set_index("kmer").loc["ACGT"]
    assert (row["gc"], row["cpg"], row["palindrome"]) == (0.5, 1, 1)
    assert table["palindrome"].tolist() == [0, 1, 0, 0]
    assert kmer_texts(reverse_complements(np.array([kmer_number("AACG")]), 4), 4).tolist() == ["CGTT"]
    shares = composition_vectors(np.array([kmer_number("AACG")]), 4)[0]
    assert shares[:4].tolist() == [0.5, 0.25, 0.25, 0.0]
    assert shares[4:].sum() == pytest.approx(1)
    for bad in ("ACGN", "", "A" * 13):
        with pytest.raises(InputError, match="is no k-mer"):
            kmer_number(bad)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pca_shows_the_axis_that_was_planted(dimensions: int) -> None:
    made = map_kmers(source(), EmbedSettings.make(dimensions=dimensions, clusters=4))
    check_table(made.points, KMER_POINTS, "points")
    assert ("z" in made.points) == (dimensions == 3)
    assert abs(np.corrcoef(made.points["x"], made.points["gc"])[0, 1]) > 0.99
    assert made.facts["explained_variance"][0] > 0.9
    assert len(made.facts["explained_variance"]) == dimensions
    unseen = made.points["seen"] == 0
    assert unseen.sum() == 100
    assert (made.points.loc[unseen, "cluster"] == -1).all()
    assert (made.points.loc[unseen, "fitted"] == 0).all()
    assert (made.points.loc[~unseen, "cluster"] >= 0).all()


def test_k_mers_never_seen_do_not_bend_the_map() -> None:
    one, other = source(), source()
    other.vectors[other.frequency == 0] *= 50
    settings = EmbedSettings.make()
    seen = one.seen
    left, right = (map_kmers(each, settings).points.loc[seen, ["x", "y"]].to_numpy() for each in (one, other))
    assert np.allclose(left, right)


@pytest.mark.slow
def test_umap_places_the_rest_among_its_neighbours() -> None:
    settings = EmbedSettings.make(method="umap", sample=400, threads=1)
    told: list[str] = []
    made = map_kmers(source(), settings, lambda done, total, message: told.append(message))
    assert made.points["fitted"].sum() == 400
    assert "400 k-mers (drawn evenly)" in made.facts["fitted_to"]
    assert "Placing the other k-mers" in told
    assert made.facts["trustworthiness"] > 0.75
    placed = made.points[(made.points["fitted"] == 0) & (made.points["seen"] == 1)]
    fitted = made.points[made.points["fitted"] == 1]
    # A k-mer lands beside fitted ones of its own GC content.
    for row in placed.sample(60, random_state=1).itertuples():
        near = ((fitted["x"] - row.x) ** 2 + (fitted["y"] - row.y) ** 2).nsmallest(5).index
        assert abs(fitted.loc[near, "gc"].mean() - row.gc) < 0.11
    again = map_kmers(source(), settings)
    assert np.array_equal(again.points["x"], made.points["x"]), "one seed, one map"


def test_neighbours_point_the_same_way() -> None:
    vectors = np.array([[1, 0], [2, 0.1], [-1, 0], [0, 1], [0, 0], [0.9, 0.5]], np.float32)
    near = nearest(vectors, 0, 10)
    assert near["row"].tolist() == [1, 5, 3, 2]
    assert near["cosine"].tolist() == pytest.approx([2 / np.hypot(2, 0.1), 0.9 / np.hypot(0.9, 0.5), 0, -1], abs=1e-6)
    assert nearest(vectors, 0, 2, among=[1, 0, 1, 1, 1, 1])["row"].tolist() == [5, 3]


def test_neighbours_of_a_million_are_found_at_once() -> None:
    vectors = np.random.default_rng(0).normal(size=(4**10, 10)).astype(np.float32)
    began = time.process_time()
    near = nearest(vectors, 5, 10)
    assert time.process_time() - began < 0.3
    exact = vectors @ vectors[5] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[5])
    assert near["row"].tolist() == np.argsort(-exact)[1:11].tolist()


@dataclass
class Words:
    """A model that keeps vectors of some k-mers only, as word2vec does, in the order of their frequency."""

    k: int
    kmers: np.ndarray
    vectors: np.ndarray


def test_vectors_come_from_any_model_that_has_them() -> None:
    kmers, vectors = learnt_vectors(Words(2, np.array([7, 3]), np.array([[1.0, 2.0], [3.0, 4.0]])))
    assert kmers.tolist() == [3, 7]
    assert vectors.tolist() == [[3, 4], [1, 2]]
    assert learnt_vectors(object()) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(make_dataset(folder / "data", n=1200), folder / "model", epochs=1, controls=False)
    return folder / "model"


def test_a_whole_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading, out = tmp_path / "reading", tmp_path / "map"
    words = ["--repeats", "1", "--attributed", "20", "--steps", "20", "--threads", "1", "--quiet"]
    assert main(["interpret", str(run), "--out", str(reading), "--device", "cpu", *words]) == 0
    assert main(["embed", str(run), "--out", str(out), "--interpretation", str(reading), "--projector", "60"]) == 0
    summary, points = read_summary(out), pd.read_parquet(out / "points.parquet")
    vectors = np.load(out / "vectors.npy")
    assert summary["points"] == len(points) == len(vectors) == 4**4
    dataset = load_dataset(run.parent / "data")
    counted = np.bincount(kmer_codes(np.array(dataset.codes[dataset.part("train")]), 4).ravel(), minlength=4**4)
    assert points["frequency"].tolist() == counted[: 4**4].tolist()
    attributed = pd.read_parquet(reading / "kmer_attributions.parquet").set_index("kmer")["mean"]
    known = points.dropna(subset=["importance"])
    assert np.allclose(known["importance"], attributed.loc[known["kmer"]])
    lines, names = ((out / name).read_text().splitlines() for name in ("vectors.tsv", "metadata.tsv"))
    assert (len(lines), len(names)) == (60, 61), "the projector wants names of columns for the metadata alone"
    first = points.index[points["kmer"] == names[1].split("\t")[0]][0]
    assert np.allclose([float(value) for value in lines[0].split("\t")], vectors[first], rtol=1e-5)
    capsys.readouterr()
    for arguments, words in (
        ([str(run), "--method", "tsne"], "tsne"), ([str(run), "--dimensions", "4"], "dimensions"),
        ([str(run), "--interpretation", str(run)], "expected the --out folder of `interpret`"),
    ):
        assert main(["embed", *arguments, "--out", str(tmp_path / "bad")]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_model_without_vectors_says_so(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(load_dataset(run.parent / "data"), tmp_path / "plain", "logistic", controls=False)
    assert main(["embed", str(tmp_path / "plain"), "--out", str(tmp_path / "x")]) == 1
    assert "learns no vectors of k-mers" in capsys.readouterr().err
    words = ["--vectors", "composition", "--kmers", "200", "--quiet"]
    assert main(["embed", str(tmp_path / "plain"), "--out", str(tmp_path / "y"), *words]) == 0
    summary = read_summary(tmp_path / "y")
    assert (summary["points"], summary["k"], summary["learnt"]) == (200, 5, False)


@pytest.mark.parametrize("colour", ["gc", "cpg", "frequency", "cluster", "importance"])
def test_maps_are_drawn_with_the_unseen_apart(colour: str) -> None:
    points = map_kmers(source(), EmbedSettings.make(clusters=4)).points
    points = points.assign(importance=np.where(points["gc"] > 0.5, points["gc"], np.nan))
    figure = map_figure(points, colour, "pca", 5000, marked=points.head(2))
    grey = figure.data[0]
    assert grey.name == "never seen (100)"
    assert set(grey.text) == set(points.loc[points["seen"] == 0, "kmer"])
    assert sum(len(trace.x) for trace in figure.data) == len(points) + 2
    assert "drawn at random from 5,000" in figure.layout.title.text
    solid = map_figure(points.assign(z=points["x"]), colour, "pca", len(points))
    assert {trace.type for trace in solid.data} == {"scatter3d"}
    for drawn in (figure, solid):
        assert export_bytes(drawn, "png", 89).startswith(b"\x89PNG")
