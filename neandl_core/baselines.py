"""Trivial rivals of a model, fitted to the same training part: what does not beat them has not learnt sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from neandl_core.dataset import Dataset
from neandl_core.encoding import filled_lengths
from neandl_core.models import LOGISTIC_K
from neandl_core.models.logistic import MOST_EXAMPLES, draw_rows, fit_kmer_logistic
from neandl_core.pmd import pmd_scores
from neandl_core.read_rows import NO_QUALITY

NAMES = {
    "gc": "GC content", "length": "length", "kmer_logistic": f"{LOGISTIC_K}-mer logistic regression",
    "interior": f"{LOGISTIC_K}-mer logistic regression without the ends", "pmd": "the PMD score",
    "quality": "mean base quality",
}
"""The baselines, and what to call them in a sentence."""


END_BASES = 10
"""Bases masked at either end for the `interior` baseline: what it scores cannot come from damage at the ends."""


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
    if dataset.description.kind == "reads":
        found += _of_reads(dataset, labels, train, test, rng)
    return found


def _of_reads(
    dataset: Dataset, labels: np.ndarray, train: np.ndarray, test: np.ndarray, rng: np.random.Generator
) -> list[Baseline]:
    """Fit what only reads have: their interior, and where the dataset has them PMD score and mean quality."""
    found = []
    if dataset.description.width >= 2 * END_BASES + LOGISTIC_K:
        rows = draw_rows(train, rng)
        model = fit_kmer_logistic(mask_ends(dataset.codes[rows]), labels[rows])
        found.append(Baseline("interior", model.probabilities(mask_ends(dataset.codes[test]))))
    if dataset.reference is not None and dataset.quality is not None:
        both = np.concatenate([train, test])
        codes, quality = dataset.codes[both], dataset.quality[both]
        place = np.arange(len(both))
        parts = (labels[both], place[: len(train)], place[len(train) :])
        scores = pmd_scores(codes, dataset.reference[both], quality)
        found.append(Baseline("pmd", _one_number(scores, *parts)))
        known = quality < NO_QUALITY
        sums = np.where(known, quality, 0).sum(axis=1).astype(float)
        mean = np.divide(sums, known.sum(axis=1), out=np.zeros(len(both)), where=known.any(axis=1))
        note = "Above 0.5 the classes come from different sequencers or years, and qualities give them away."
        found.append(Baseline("quality", _one_number(mean, *parts), note))
    return found


def mask_ends(codes: np.ndarray, bases: int = END_BASES) -> np.ndarray:
    """Return (n, width) codes whose first and last `bases` places of each read are 4."""
    place = np.arange(codes.shape[1])
    inside = (place >= bases) & (place < filled_lengths(codes)[:, None] - bases)
    return np.where(inside, codes, np.uint8(4))


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
