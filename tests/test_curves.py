"""Curves over thresholds and over read lengths: thinned, and still right."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

from neandl_core.curves import POINTS, precision_recall_points, roc_points, scores_by_length
from neandl_core.evaluation import LONG_TABLES, evaluate
from neandl_core.metrics import auc


@pytest.fixture
def answers():
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 2, 5000)
    return labels, np.round(1 / (1 + np.exp(-(rng.normal(0, 1, 5000) + 1.2 * (labels - 0.5)))), 4)


def test_few_points_hold_the_roc_curve(answers):
    labels, probabilities = answers
    curve = roc_points(labels, probabilities)
    x, y = np.array(curve["false_positive_rate"]), np.array(curve["true_positive_rate"])
    assert len(x) == len(y) == len(curve["threshold"]) <= POINTS
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(auc(labels, probabilities), abs=1e-3)
    # Each point is one of the full curve, at its own threshold.
    full_x, full_y, full_at = roc_curve(labels, probabilities, drop_intermediate=False)
    known = dict(zip(full_at.tolist(), zip(full_x, full_y, strict=True), strict=True))
    for at, *point in zip(curve["threshold"][1:], x[1:], y[1:], strict=True):
        assert known[at] == pytest.approx(point)
    assert curve["threshold"][0] is None


def test_few_points_hold_precision_by_recall(answers):
    labels, probabilities = answers
    curve = precision_recall_points(labels, probabilities)
    recall, precision = np.array(curve["recall"]), np.array(curve["precision"])
    assert len(recall) <= POINTS
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(labels.mean())
    area = float(np.diff(recall, prepend=0) @ precision)
    assert area == pytest.approx(average_precision_score(labels, probabilities), abs=0.01)
    full_precision, full_recall, full_at = precision_recall_curve(labels, probabilities)
    known = dict(zip(full_at.tolist(), zip(full_recall[:-1], full_precision[:-1], strict=True), strict=True))
    for at, *point in zip(curve["threshold"], recall, precision, strict=True):
        assert known[at] == pytest.approx(point)


def test_one_class_has_no_curve():
    assert roc_points(np.ones(5), np.arange(5) / 5) == {
        "false_positive_rate": [], "true_positive_rate": [], "threshold": [],
    }
    assert precision_recall_points(np.zeros(5), np.arange(5) / 5)["recall"] == []
    assert roc_points(np.array([]), np.array([]))["threshold"] == []


def test_longer_reads_score_as_they_do_and_every_read_is_in_one_bin():
    rng = np.random.default_rng(1)
    lengths = rng.integers(32, 76, 6000)
    labels = rng.integers(0, 2, 6000)
    skill = np.where(lengths >= 60, 3.0, 0.0)
    probabilities = 1 / (1 + np.exp(-(rng.normal(0, 1, 6000) + skill * (labels - 0.5))))
    loci = rng.integers(0, 300, 6000)
    rows = scores_by_length(labels, probabilities, lengths, loci, np.random.default_rng(2))
    assert [(row["shortest"], row["longest"]) for row in rows] == [(32, 39), (40, 49), (50, 59), (60, 69), (70, 75)]
    assert sum(row["n"] for row in rows) == 6000
    for row in rows:
        here = (lengths >= row["shortest"]) & (lengths <= row["longest"])
        assert row["auc"] == pytest.approx(auc(labels[here], probabilities[here]))
        assert row["auc_ci"][0] < row["auc"] < row["auc_ci"][1]
        assert (row["auc_ci"][0] > 0.9) == (row["shortest"] >= 60)
        assert row["accuracy_ci"][0] < row["accuracy"] < row["accuracy_ci"][1]


def test_bins_of_a_few_reads_are_joined():
    lengths = np.concatenate([np.full(100, 35), np.full(10, 45), np.full(45, 55), np.full(3, 90)])
    labels = np.arange(158) % 2
    rows = scores_by_length(labels, labels * 0.5, lengths, np.arange(158), np.random.default_rng(2))
    assert [(row["shortest"], row["longest"], row["n"]) for row in rows] == [(35, 35, 100), (45, 90, 58)]
    few = scores_by_length(labels[:9], labels[:9] * 0.5, lengths[:9], np.arange(9), np.random.default_rng(2))
    assert [row["n"] for row in few] == [9]


def test_an_evaluation_holds_the_curves_and_the_lengths_where_there_are_some(answers):
    labels, probabilities = answers
    loci, contigs = np.arange(5000) % 50, np.full(5000, "chr1")
    rng = np.random.default_rng
    found = evaluate(labels, probabilities, loci, contigs, 20, rng(1), np.full(5000, 50))
    assert set(LONG_TABLES) <= set(found)
    assert found["by_length"][0]["auc"] == found["auc"]
    assert "by_length" not in evaluate(labels, probabilities, loci, contigs, 20, rng(1))
