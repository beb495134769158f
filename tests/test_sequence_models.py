"""The presets on k-mer counts, word vectors and windows: sizes, a planted signal, storage, repeats, refusals."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
import torch

from neandl_core.config import TrainSettings
from neandl_core.encoding import kmer_codes, kmer_counts, kmer_text
from neandl_core.errors import InputError, SettingsError
from neandl_core.fitting import fit_cost, held_out_probabilities
from neandl_core.metrics import auc
from neandl_core.models import check_fit, parameter_count
from neandl_core.models.networks import build
from neandl_core.models.trees import KmerForest, counts_for_fit
from neandl_core.prediction import load_model, torch_threads
from neandl_core.presets import OPTIONS, PRESET_TEXT, PRESETS
from neandl_core.schemas import IMPORTANCES, read_table
from tests.test_training import make_dataset, train

SMALL = {
    "bag-of-kmers-mlp": {"epochs": 6, "hidden": 40, "learning_rate": 0.05, "k": 4},
    "bag-of-kmers-forest": {"trees": 40, "k": 4},
    "boosting": {"trees": 15, "k": 4},
    "word2vec": {"vector_size": 12, "epochs": 2},
    "cnn-windows": {"epochs": 5, "batch_size": 32, "filters": 24, "hidden": 8, "learning_rate": 0.01},
    "logistic": {"k": 4},
    "bilstm": {"epochs": 4, "batch_size": 32, "hidden": 6, "k": 3, "learning_rate": 0.02},
}


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("models") / "data", n=1200, loci=100)


def codes_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, (n, width), dtype=np.uint8)


def test_every_preset_is_explained_and_its_options_are_settings():
    assert PRESETS.keys() == OPTIONS.keys() == PRESET_TEXT.keys()
    for preset, options in OPTIONS.items():
        settings = TrainSettings.preset_of(preset)
        for name in options:
            assert name in TrainSettings.model_fields
            assert TrainSettings.model_fields[name].title, name
            assert TrainSettings.model_fields[name].description, name
            assert getattr(settings, name) is not None or name in ("k", "depth")


def test_published_settings():
    mlp = TrainSettings.preset_of("bag-of-kmers-mlp")
    assert (mlp.k, mlp.hidden, mlp.l1, mlp.learning_rate, mlp.batch_size, mlp.epochs) == (5, 3000, 1e-5, 1e-4, 32, 200)
    assert TrainSettings.preset_of("bag-of-kmers-forest").trees == 500
    words = TrainSettings.preset_of("word2vec")
    assert (words.k, words.vector_size, words.min_count) == (5, 100, 2)


def test_sizes():
    assert parameter_count("bag-of-kmers-mlp", vocabulary=1024) == 1025 * 3000 + 3001
    for preset, k, sizes in (
        ("bag-of-kmers-mlp", 3, {"hidden": 7, "l1": 0.0}), ("cnn-windows", 0, {"filters": 5, "hidden": 3}),
        ("cnn-windows", 0, {}), ("bilstm", 2, {"hidden": 4}),
    ):
        network = build(preset, 200, k, 1, sizes)
        learnt = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        counted = {name: value for name, value in sizes.items() if name != "l1"}
        unknown_row = sizes["hidden"] if preset == "bilstm" else 0
        assert learnt - unknown_row == parameter_count(preset, width=200, vocabulary=4**k, **counted)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_counts_by_kernel_and_network_equal_counting_by_hand(k):
    codes = codes_of(50, 40)
    expected = np.zeros((50, 4**k), int)
    for row, kmers in enumerate(kmer_codes(codes, k)):
        for kmer in kmers[kmers < 4**k]:
            expected[row, kmer] += 1
    np.testing.assert_array_equal(kmer_counts(codes, k), expected)
    np.testing.assert_array_equal(build("bag-of-kmers-mlp", 40, k, 1).counts(torch.from_numpy(codes)), expected)
    assert kmer_counts(np.zeros((2, 300), np.uint8), 1)[0, 0] == 300


@pytest.mark.parametrize("preset", SMALL)
def test_planted_signal_is_found_stored_and_repeated(preset, dataset, tmp_path):
    summary = train(dataset, tmp_path / "run", preset, controls=False, **SMALL[preset])
    assert summary["test"]["auc"] > 0.9
    stored = json.loads((tmp_path / "run" / "model.json").read_text())
    assert stored["parameters"] == summary["parameters"] > 0
    predictor = load_model(tmp_path / "run", device="cpu", threads=2)
    rows = dataset.part("test")
    written = pd.read_parquet(tmp_path / "run" / "predictions.parquet")["probability"]
    np.testing.assert_array_equal(predictor.probabilities(np.asarray(dataset.codes[rows])), written)
    settings = TrainSettings.preset_of(preset, device="cpu", threads=1, **SMALL[preset])
    again, _ = held_out_probabilities(dataset, dataset.part("train"), dataset.part("validation"), rows, settings)
    np.testing.assert_array_equal(again, written)
    other, _ = held_out_probabilities(
        dataset, dataset.part("train"), dataset.part("validation"), rows, settings.model_copy(update={"seed": 9})
    )
    assert np.array_equal(other, again) == (preset in ("logistic", "boosting"))


def test_dropout_repeats_with_the_seed_and_leaves_torch_alone(dataset):
    parts = [dataset.part(name)[:160] for name in ("train", "validation", "test")]
    settings = TrainSettings.preset_of("cnn-deep", epochs=1, batch_size=64, device="cpu", threads=1)
    before = torch.get_rng_state()
    first, again = (held_out_probabilities(dataset, *parts, settings)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("preset", ["logistic", "bag-of-kmers-forest", "cnn-windows"])
def test_shuffled_labels_leave_nothing_to_find(preset, dataset):
    settings = TrainSettings.preset_of(preset, device="cpu", threads=1, **SMALL[preset])
    labels = np.random.default_rng(0).permutation(dataset.labels)
    parts = [dataset.part(name) for name in ("train", "validation", "test")]
    records, done = [], []
    probabilities, fit = held_out_probabilities(
        dataset, *parts, settings, labels=labels, name="shuffled", record=lambda **values: records.append(values),
        advance=lambda count, message: done.append(count),
    )
    assert abs(auc(dataset.labels[parts[2]], probabilities) - 0.5) < 0.15
    assert {record["run"] for record in records} == {"shuffled"}
    assert fit.samples_per_second > 0
    assert sum(done) == pytest.approx(fit_cost(*map(len, parts), settings))


def test_importances_name_the_planted_kmers(dataset, tmp_path):
    train(dataset, tmp_path / "run", "bag-of-kmers-forest", controls=False, trees=60, k=4)
    table = read_table(tmp_path / "run" / "importances.tsv", IMPORTANCES, "importances")
    assert set(table["kmer"][:4]) == {"GATT", "ATTA", "TTAC", "TACA"}
    assert table["importance"].sum() == pytest.approx(1)
    assert table["importance"].is_monotonic_decreasing
    assert (table["spread"][:4] > 0).all()
    assert len(table) == 256


def test_a_forest_grown_by_and_by_is_the_forest_grown_at_once():
    from sklearn.ensemble import RandomForestClassifier

    codes, labels = codes_of(300, 40), np.random.default_rng(1).integers(0, 2, 300)
    shares = []
    ours = KmerForest.fit(codes, labels, 3, trees=45, depth=None, seed=3, threads=1, tell=shares.append)
    at_once = RandomForestClassifier(45, random_state=3).fit(kmer_counts(codes, 3), labels)
    expected = at_once.predict_proba(kmer_counts(codes, 3))[:, 1].astype(np.float32)
    np.testing.assert_array_equal(ours.probabilities(codes), expected)
    np.testing.assert_array_equal(ours.probabilities(codes, threads=2), expected)
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_model_files_that_ask_for_other_types_or_hold_broken_trees_are_refused(dataset, tmp_path):
    run = tmp_path / "run"
    train(dataset, run, "bag-of-kmers-forest", controls=False, trees=5, k=3)
    path = run / "model.skops"
    forest = skops.io.load(path, trusted=sorted(KmerForest._types))

    class Bomb:
        def __reduce__(self):
            return (print, ("run",))

    forest.verbose = Bomb()
    skops.io.dump(forest, path)
    with pytest.raises(InputError, match=r"asks for .*Bomb.*not loaded"):
        load_model(run)
    # A type that skops itself would trust, and no forest needs.
    forest.verbose = np.random.RandomState(1)
    skops.io.dump(forest, path)
    with pytest.raises(InputError, match=r"RandomState.*not loaded"):
        load_model(run)
    forest.verbose = 0
    forest.estimators_[2].tree_.feature[0] = 10**6
    skops.io.dump(forest, path)
    with pytest.raises(InputError, match="does not hold a sound KmerForest"):
        load_model(run)
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="not a skops model file"):
        load_model(run)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "[")
    with pytest.raises(InputError, match="not a skops model file"):
        load_model(run)


def test_word_vectors_have_their_vocabulary_beside_them(dataset, tmp_path):
    run = tmp_path / "run"
    train(dataset, run, "word2vec", controls=False, vector_size=8, epochs=1, min_count=60)
    words = json.loads((run / "vocabulary.json").read_text())
    rows = dataset.part("train")
    counts = kmer_counts(dataset.codes[rows], 5).sum(axis=0)
    assert words == {kmer_text(kmer, 5): count for kmer, count in enumerate(counts) if count >= 60}
    model = load_model(run)._model
    assert model.vectors.shape == (len(words), 8)
    codes = np.asarray(dataset.codes[:20])
    log_odds = model.means(codes) @ model.weights + model.intercept
    np.testing.assert_allclose(model.probabilities(codes), 1 / (1 + np.exp(-log_odds)), atol=1e-6)
    (run / "vocabulary.json").write_text(json.dumps({"GATTX": 3}))
    with pytest.raises(InputError, match="expected 5-mers"):
        load_model(run)
    with pytest.raises(SettingsError, match="no k-mer comes 999,999 times"):
        train(dataset, tmp_path / "none", "word2vec", controls=False, min_count=999_999)


@pytest.mark.parametrize(
    ("preset", "values", "words"),
    [
        ("bag-of-kmers-forest", {"trees": 0}, "trees = 0 is refused"),
        ("bilstm", {"batch_size": 0}, "batch-size = 0 is refused"),
        ("bilstm", {"learning_rate": float("nan")}, "learning-rate = nan is refused"),
        ("bilstm", {"trees": 5}, "trees is no setting of bilstm; it has epochs"),
        ("logistic", {"epochs": 3}, "epochs is no setting of logistic"),
        ("word2vec", {"vector_size": 0}, "vector-size = 0 is refused"),
        ("boosting", {"leaves": 1}, "leaves = 1 is refused"),
        ("bag-of-kmers-mlp", {"l1": -1.0}, "l1 = -1.0 is refused"),
        ("cnn-windows", {"filters": 0}, "filters = 0 is refused"),
        ("logistic", {"k": 13}, "k = 13 is refused"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(preset, values, words):
    with pytest.raises(SettingsError) as caught:
        TrainSettings.preset_of(preset, **values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_that_do_not_fit_the_examples_are_refused():
    for preset, width, k, words in (
        ("logistic", 200, 7, "counts all k-mers of 1 to 6 bases"), ("word2vec", 8, 10, "do not fit into examples of 8"),
        ("cnn-windows", 12, 0, "at least 16 bases"), ("bilstm", 200, 13, "k-mers of 1 to 12"),
    ):
        with pytest.raises(SettingsError, match=words):
            check_fit(preset, width, k)
    with pytest.raises(SettingsError, match=r"need 20\d GB of memory.*smaller --most-examples"):
        counts_for_fit(np.broadcast_to(np.uint8(0), (200_000_000 // 4, 20)), 5, 4)


def test_fits_to_a_draw_say_so_and_take_both_strands(dataset, tmp_path):
    one = train(dataset, tmp_path / "one", "logistic", controls=False, k=2, most_examples=200)
    assert any("Fitted (main) to 200 of" in note for note in one["notes"])
    train(dataset, tmp_path / "both", "logistic", controls=False, k=3, reverse_complements=True)
    weights = load_model(tmp_path / "both")._model.weights
    complement = [int("".join("3210"[int(digit)] for digit in reversed(f"{np.base_repr(kmer, 4):0>3}")), 4)
                  for kmer in range(64)]
    np.testing.assert_allclose(weights, weights[complement], atol=1e-3)
    assert np.abs(weights).max() > 0.01
