"""Every preset can be interpreted: stretches of bases, what its k-mers weigh, and what its own answers add up to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.attribution import integrated_gradients, log_odds
from neandl_core.models.store import load_stored
from neandl_core.prediction import torch_threads
from neandl_core.runs import read_summary
from neandl_core.schemas import KMER_WEIGHTS, POSITION_IMPORTANCE, read_table
from tests.test_interpretation import MOTIF, PLACE, make_planted

SMALL = {
    "logistic": ["--k", "4"],
    "bag-of-kmers-forest": ["--k", "4", "--trees", "40"],
    "boosting": ["--k", "4", "--trees", "15"],
    "word2vec": ["--k", "4", "--vector-size", "12", "--epochs", "2"],
    "bag-of-kmers-mlp": ["--k", "4", "--hidden", "40", "--learning-rate", "0.05", "--epochs", "4"],
    "cnn-windows": ["--filters", "24", "--hidden", "8", "--learning-rate", "0.01", "--epochs", "4", "--batch-size",
                    "32"],
    "cnn-shallow": ["--epochs", "4"],
    "cnn-deep": ["--epochs", "2", "--batch-size", "64"],
    "bilstm": ["--epochs", "2", "--batch-size", "32", "--learning-rate", "0.01"],
    "bilstm-6": ["--k", "6", "--epochs", "1", "--batch-size", "64"],
    "bilstm-10": ["--k", "10", "--epochs", "1", "--batch-size", "64"],
}
"""Settings with which a model is trained in a second or two."""
UNORDERED = ("logistic", "bag-of-kmers-forest", "boosting", "word2vec", "bag-of-kmers-mlp")
LINEAR = ("logistic", "word2vec")
QUICK = ["--device", "cpu", "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    make_planted(folder / "data", n=1200)
    return folder


@pytest.mark.parametrize("name", SMALL)
def test_every_preset_is_interpreted(planted: Path, name: str) -> None:
    preset = "bilstm" if name.startswith("bilstm") else name
    model, out = planted / name, planted / f"{name}-reading"
    assert main(["train", str(planted / "data"), "--preset", preset, "--no-controls", "--out", str(model), *SMALL[name],
                 *QUICK]) == 0
    assert main(["interpret", str(model), "--windows", "200", "--repeats", "2", "--attributed", "8", "--steps", "20",
                 "--mutated", "2", "--block", "8", "--out", str(out), *QUICK]) == 0
    summary = read_summary(out)
    table = read_table(out / "importance.tsv", POSITION_IMPORTANCE, "importance")
    stretches = table[table["unit"] == "bases"]
    assert stretches["start"].tolist() == list(range(0, summary["width"], 8))
    assert len(pd.read_parquet(out / "mutations.parquet")) == 2 * 3 * summary["width"]
    if name not in ("bilstm-6", "bilstm-10", "cnn-deep"):
        best = stretches.loc[stretches["log_loss_lost"].idxmax()]
        assert best["start"] < PLACE + len(MOTIF), "the motif lies in the stretches that matter"
        assert best["end"] > PLACE
        assert best["log_loss_low"] > 0
    assert any("wherever they stand" in note for note in summary["notes"]) == (preset in UNORDERED)
    weights = out / "kmer_weights.tsv"
    assert weights.exists() == (preset in UNORDERED and preset != "bag-of-kmers-mlp")
    if weights.exists():
        ranked = read_table(weights, KMER_WEIGHTS, "weights")
        motifs = {MOTIF[at : at + 4] for at in range(len(MOTIF) - 3)}
        assert ranked["kmer"].iloc[0] in motifs
        assert summary["kmer_weights"]["top"][0] == ranked["kmer"].iloc[0]
        assert ranked["spread"].notna().all() == (preset == "bag-of-kmers-forest")
        if preset not in LINEAR:
            assert ranked["importance"].sum() == pytest.approx(1)


@pytest.mark.parametrize("preset", LINEAR)
def test_shares_of_a_linear_model_add_up_to_its_answer(planted: Path, preset: str) -> None:
    _, model = load_stored(planted / preset)
    codes = np.random.default_rng(1).integers(0, 5, (20, 40), dtype=np.uint8)
    with torch_threads(1):
        found = integrated_gradients(model, codes, 10)
    bare = log_odds(model, np.full((1, 40), 4, np.uint8))[0]
    np.testing.assert_allclose(found.values.sum(axis=1), log_odds(model, codes) - bare, rtol=1e-3)


def test_maps_of_word_vectors_hold_the_words_that_have_one(planted: Path, tmp_path: Path) -> None:
    words = ["embed", str(planted / "word2vec"), "--interpretation", str(planted / "word2vec-reading")]
    assert main([*words, "--out", str(tmp_path / "map"), "--threads", "1", "--quiet"]) == 0
    _, model = load_stored(planted / "word2vec")
    points = pd.read_parquet(tmp_path / "map" / "points.parquet")
    assert sorted(points["kmer"]) == sorted(model.words)
    assert dict(zip(points["kmer"], points["frequency"], strict=True)) == dict(
        zip(model.words, model.counts.tolist(), strict=True)
    )
    vectors = np.load(tmp_path / "map" / "vectors.npy")
    at = model.words.index(points["kmer"].iloc[0])
    np.testing.assert_array_equal(vectors[0], model.vectors[at])
    assert points["importance"].notna().any()
