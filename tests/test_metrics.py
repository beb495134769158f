from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as reference

from neandl_core.metrics import (
    auc,
    average_precision,
    balanced_accuracy,
    brier,
    confusion,
    expected_calibration_error,
    locus_bootstrap,
    score,
    wilson_interval,
)


def tied_scores(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(int)
    return labels, np.round(np.clip(rng.normal(0.4 + 0.15 * labels, 0.2), 0, 1), 1)


def test_measures_equal_sklearn_with_ties_and_unequal_classes():
    labels, probabilities = tied_scores()
    assert auc(labels, probabilities) == pytest.approx(reference.roc_auc_score(labels, probabilities), abs=1e-12)
    expected = reference.average_precision_score(labels, probabilities)
    assert average_precision(labels, probabilities) == pytest.approx(expected, abs=1e-12)
    assert brier(labels, probabilities) == pytest.approx(reference.brier_score_loss(labels, probabilities))
    table = confusion(labels, probabilities)
    called = probabilities >= 0.5
    np.testing.assert_array_equal(table, reference.confusion_matrix(labels, called))
    assert balanced_accuracy(table) == pytest.approx(reference.balanced_accuracy_score(labels, called))


def test_constant_score_is_worth_nothing():
    labels = np.array([0, 1, 1, 1])
    measured = score(labels, np.full(4, 0.9))
    assert measured["auc"] == 0.5
    assert measured["ap"] == 0.75
    assert measured["accuracy"] == measured["majority_accuracy"] == 0.75
    assert measured["balanced_accuracy"] == 0.5


def test_wilson_interval_against_published_values():
    # Newcombe 1998 (Stat. Med. 17:857), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    low, high = wilson_interval(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    np.testing.assert_allclose(low, [0.2553, 0.0624, 0.0, 0.0061], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)
    assert np.isnan(wilson_interval(0, 0)).all()


def test_calibration_error_by_hand():
    labels = np.array([0, 1, 1, 1])
    ece, table = expected_calibration_error(labels, np.array([0.1, 0.1, 0.9, 1.0]))
    # Bin 1 (0.067-0.133): mean 0.1, observed 0.5; bins 13 and 14: 0.9 and 1.0, both observed 1.
    assert ece == pytest.approx((2 * 0.4 + 1 * 0.1 + 1 * 0.0) / 4)
    assert table["count"].sum() == 4
    assert len(table) == 15


def test_bootstrap_equals_repeating_the_drawn_loci():
    labels, probabilities = tied_scores(300)
    loci = np.random.default_rng(3).integers(0, 25, 300) * 7
    names = np.unique(loci)
    fast = locus_bootstrap(labels, probabilities, loci, 200, np.random.default_rng(5))
    rng, slow = np.random.default_rng(5), []
    for _ in range(200):
        rows = np.concatenate([np.flatnonzero(loci == names[one]) for one in rng.integers(0, 25, 25)])
        y, p = labels[rows], probabilities[rows]
        slow.append([
            np.mean((p >= 0.5) == y), reference.balanced_accuracy_score(y, p >= 0.5), reference.roc_auc_score(y, p),
            reference.average_precision_score(y, p), np.mean((p - y) ** 2),
        ])
    low, high = np.percentile(slow, [2.5, 97.5], axis=0)
    np.testing.assert_allclose([pair[0] for pair in fast.intervals.values()], low, atol=1e-12)
    np.testing.assert_allclose([pair[1] for pair in fast.intervals.values()], high, atol=1e-12)
    assert fast.note == ""


def test_copies_in_a_locus_widen_the_interval():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, 60), rng.random(60)
    alone = locus_bootstrap(labels, probabilities, np.arange(60), 500, np.random.default_rng(1)).intervals["auc"]
    copied = locus_bootstrap(
        np.repeat(labels, 20), np.repeat(probabilities, 20), np.repeat(np.arange(60), 20), 500, np.random.default_rng(1)
    ).intervals["auc"]
    # Twenty copies of each example add no knowledge when whole loci are drawn.
    np.testing.assert_allclose(alone, copied, atol=1e-12)


def test_bootstrap_is_fast_enough_for_every_run():
    rng = np.random.default_rng(0)
    began = time.process_time()
    locus_bootstrap(rng.integers(0, 2, 20_000), rng.random(20_000), rng.integers(0, 400, 20_000), 1000, rng)
    assert time.process_time() - began < 10


def test_undefined_is_nan_with_a_note():
    one_class = score(np.ones(5, int), np.linspace(0, 1, 5))
    assert np.isnan(one_class["auc"])
    assert np.isnan(one_class["balanced_accuracy"])
    assert np.isnan(average_precision(np.zeros(3, int), np.linspace(0, 1, 3)))
    assert np.isnan(auc(np.array([], int), np.array([])))
    rng = np.random.default_rng(0)
    alone = locus_bootstrap(np.array([0, 1]), np.array([0.2, 0.7]), np.array([4, 4]), 50, rng)
    assert np.isnan(alone.intervals["auc"]).all()
    assert "two loci" in alone.note
    few = locus_bootstrap(np.array([0, 1]), np.array([0.2, 0.7]), np.array([4, 5]), 50, rng)
    assert "rough" in few.note
    assert "one class only" in few.note
