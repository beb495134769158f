"""How a model does at every threshold and at every read length: small tables for figures and files."""

from __future__ import annotations

from typing import Any

import numpy as np

from neandl_core.metrics import locus_bootstrap, score

POINTS = 200
"""Points of a stored curve at most; the area under it is then right to about 0.001."""
LENGTH_STEP = 10
"""Bases of a length bin."""
FEWEST_READS = 50
"""A length bin with fewer reads is joined with the next."""
_SAMPLES = 200


def roc_points(labels: np.ndarray, probabilities: np.ndarray, points: int = POINTS) -> dict[str, list[float]]:
    """Return the ROC curve, thinned.

    Parameters
    ----------
    labels, probabilities
        (n,) arrays.
    points
        At most so many, at least 2; evenly spaced along the curve, both ends among them.

    Returns
    -------
    dict
        `false_positive_rate`, `true_positive_rate` (rising from 0 to 1), `threshold` (falling; the first is above
        every probability, given as None). Empty lists if one class is missing.
    """
    thresholds, true, false = _counts(labels, probabilities)
    if not len(true) or not true[-1] or not false[-1]:
        return {"false_positive_rate": [], "true_positive_rate": [], "threshold": []}
    hits, alarms = np.append(0, true / true[-1]), np.append(0, false / false[-1])
    kept = _thinned(hits + alarms, points)
    return {
        "false_positive_rate": alarms[kept].tolist(), "true_positive_rate": hits[kept].tolist(),
        "threshold": [None, *thresholds[kept[1:] - 1].tolist()],
    }


def precision_recall_points(
    labels: np.ndarray, probabilities: np.ndarray, points: int = POINTS
) -> dict[str, list[float]]:
    """Return precision by recall, thinned: `recall` (rising), `precision`, `threshold`; empty without both classes."""
    thresholds, true, false = _counts(labels, probabilities)
    if not len(true) or not true[-1] or not false[-1]:
        return {"recall": [], "precision": [], "threshold": []}
    recall, precision = true / true[-1], true / (true + false)
    kept = _thinned(recall, points)
    return {
        "recall": recall[kept].tolist(), "precision": precision[kept].tolist(), "threshold": thresholds[kept].tolist(),
    }


def _counts(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each distinct probability, falling, and the ones and zeros at or above it."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, float)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.array([], np.int64)
    true = np.cumsum(labels[order] == 1)[ends] if len(ends) else ends
    return ranked[ends], true, ends + 1 - true


def _thinned(along: np.ndarray, points: int) -> np.ndarray:
    """Return places of a rising array that are spread evenly over its values, with the first and the last."""
    if len(along) <= points:
        return np.arange(len(along))
    wanted = np.linspace(along[0], along[-1], points)
    places = np.unique(np.searchsorted(along, wanted).clip(max=len(along) - 1))
    places[0], places[-1] = 0, len(along) - 1
    return places


def scores_by_length(
    labels: np.ndarray, probabilities: np.ndarray, lengths: np.ndarray, loci: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return accuracy and AUC of reads by their length, with 95% intervals by loci.

    Bins are 10 bases wide; one with fewer than 50 reads is joined with the next longer one, the last with the one
    before it.

    Parameters
    ----------
    labels, probabilities, lengths, loci
        (n,) arrays.
    rng
        Source of the bootstrap.

    Returns
    -------
    list of dict
        `shortest`, `longest` (bases, both included), `n`, `ones`, `accuracy`, `accuracy_ci`, `auc`, `auc_ci`; NaN
        where a bin holds one class or one locus.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    lengths, loci = np.asarray(lengths, np.int64), np.asarray(loci)
    rows = []
    for low, high in _length_bins(lengths):
        here = (lengths >= low) & (lengths < high)
        one = score(labels[here], probabilities[here])
        spread = locus_bootstrap(labels[here], probabilities[here], loci[here], _SAMPLES, rng).intervals
        rows.append({
            "shortest": int(lengths[here].min()), "longest": int(lengths[here].max()), "n": one["n"],
            "ones": one["ones"], "accuracy": one["accuracy"], "accuracy_ci": list(spread["accuracy"]),
            "auc": one["auc"], "auc_ci": list(spread["auc"]),
        })
    return rows


def _length_bins(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Return half-open bins of lengths with enough reads each, from the shortest to the longest."""
    if not len(lengths):
        return []
    first, last = int(lengths.min()) // LENGTH_STEP * LENGTH_STEP, int(lengths.max()) + 1
    bins, low = [], first
    for high in range(first + LENGTH_STEP, last + LENGTH_STEP, LENGTH_STEP):
        if ((lengths >= low) & (lengths < high)).sum() >= FEWEST_READS:
            bins.append((low, high))
            low = high
    if low < last:
        if bins:
            low = bins.pop()[0]
        bins.append((low, last))
    return bins
