"""Trivial rivals of a model, fitted to the same training part: what does not beat them has not learnt sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from neandl_core.dataset import Dataset
from neandl_core.models import LOGISTIC_K
from neandl_core.models.logistic import MOST_EXAMPLES, draw_rows, fit_kmer_logistic

NAMES = {"gc": "GC content", "length": "length", "kmer_logistic": f"{LOGISTIC_K}-mer logistic regression"}
"""The baselines, and what to call them in a sentence."""


@dataclass(frozen=True)
class Baseline:
    """A baseline's answer on the test part.

    Attributes
    ----------
    name
        Key of `NAMES`.
    probabilities
        (test rows,) P(label = 1).
    note
        What to know of it, in words; empty if nothing.
    """

    name: str
    probabilities: np.ndarray
    note: str = ""


def fit_baselines(
    dataset: Dataset, train: np.ndarray, test: np.ndarray, rng: np.random.Generator, *, with_kmers: bool = True
) -> list[Baseline]:
    """Fit each baseline to the training rows and apply it to the test rows.

    Parameters
    ----------
    dataset
        The examples.
    train, test
        Rows of the two parts; `train` must hold both classes.
    rng
        Draws the training examples of the k-mer baseline where there are more than it uses.
    with_kmers
        False where the model itself is that baseline, or examples are shorter than its k-mers.
    """
    labels = dataset.labels
    found = [_from_gc(dataset.examples["gc"], labels, train, test), _from_length(dataset, labels, train, test)]
    if with_kmers and dataset.description.width >= LOGISTIC_K:
        rows = draw_rows(train, rng)
        model = fit_kmer_logistic(dataset.codes[rows], labels[rows])
        note = "" if len(rows) == len(train) else f"Fitted to {MOST_EXAMPLES:,} training examples drawn at random."
        found.append(Baseline("kmer_logistic", model.probabilities(dataset.codes[test]), note))
    return found


def _from_gc(gc: pd.Series, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> Baseline:
    values = gc.to_numpy(float)
    blank = np.isnan(values)
    if blank.all():
        return Baseline("gc", np.full(len(test), labels[train].mean()), "No example has a known base.")
    note = f"{int(blank.sum()):,} examples without a known base take the mean GC content." if blank.any() else ""
    values = np.where(blank, np.nanmean(values), values)
    return Baseline("gc", _one_number(values, labels, train, test), note)


def _from_length(dataset: Dataset, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> Baseline:
    if "length" not in dataset.examples:
        note = f"All examples are {dataset.description.width} bases long, so length tells nothing."
        return Baseline("length", np.full(len(test), labels[train].mean()), note)
    lengths = dataset.examples["length"].to_numpy(float)
    note = "All examples have the same length, so it tells nothing." if len(np.unique(lengths)) == 1 else ""
    return Baseline("length", _one_number(lengths, labels, train, test), note)


def _one_number(values: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return P(label = 1) by logistic regression on one number an example."""
    from sklearn.linear_model import LogisticRegression

    spread = values[train].std() or 1.0
    scaled = ((values - values[train].mean()) / spread)[:, None]
    return LogisticRegression().fit(scaled[train], labels[train]).predict_proba(scaled[test])[:, 1]
