"""How good a set of probabilities is: arrays in, numbers out. Undefined measures are NaN, never an exception.

Accuracy alone misleads where classes are unequal: always saying the larger class is then right most of the time.
AUC, average precision and balanced accuracy stand beside it. Windows of one locus are near-copies of each other,
so intervals come from resampling whole loci, not single windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CALIBRATION_BINS = 15
"""Equal-width bins of the reliability table, as in Guo et al. 2017 (On calibration of modern neural networks)."""
FEW_LOCI = 20
"""Below this many loci a bootstrap interval is rough, and its note says so."""
BOOTSTRAPPED = ("accuracy", "balanced_accuracy", "auc", "ap", "brier")


def wilson_interval(
    successes: np.ndarray | float, trials: np.ndarray | float, z: float = 1.96
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Wilson score interval of a proportion.

    Parameters
    ----------
    successes, trials
        Counts, of any shapes that broadcast.
    z
        Normal quantile; 1.96 gives 95%.

    Returns
    -------
    low, high
        Arrays in [0, 1]; NaN where `trials` is 0. Wilson 1927, J. Am. Stat. Assoc. 22:209.
    """
    successes, trials = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / trials
        denominator = 1 + z**2 / trials
        centre = (share + z**2 / (2 * trials)) / denominator
        half = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / denominator
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


@dataclass(frozen=True)
class _Ranking:
    """Examples sorted by falling probability; `ends` are the last rows of groups of equal probability."""

    order: np.ndarray
    ends: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray) -> _Ranking:
        order = np.argsort(-probabilities, kind="stable")
        ranked = probabilities[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.array([], int)
        return cls(order, ends, labels[order].astype(float))

    def auc_and_ap(self, weights: np.ndarray) -> tuple[float, float]:
        """Return AUC and average precision with these weights, given in ranked order."""
        if not len(self.ends):
            return np.nan, np.nan
        of_ones = weights * self.labels
        true_positives = np.cumsum(of_ones)[self.ends]
        false_positives = np.cumsum(weights - of_ones)[self.ends]
        ones, zeros = true_positives[-1], false_positives[-1]
        if ones <= 0:
            return np.nan, np.nan
        gained = np.diff(true_positives, prepend=0.0)
        called = true_positives + false_positives
        precision = np.divide(true_positives, called, out=np.zeros_like(called), where=called > 0)
        ap = float(gained @ precision / ones)
        if zeros <= 0:
            return np.nan, ap
        # Within a group of ties the curve is a slope: half of the group's zeros count as ranked below its ones.
        wrong = np.diff(false_positives, prepend=0.0)
        return float(wrong @ (true_positives - gained / 2) / (ones * zeros)), ap


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the area under the ROC curve: P(a random 1 is ranked above a random 0), ties counting half.

    Parameters
    ----------
    labels
        (n,) array of 0 and 1.
    probabilities
        (n,) array; any score that rises with P(label = 1) will do.

    Returns
    -------
    float
        In [0, 1]; NaN if only one class is there.
    """
    ranking = _Ranking.of(np.asarray(labels), np.asarray(probabilities))
    return ranking.auc_and_ap(np.ones(len(ranking.labels)))[0]


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean precision over the ones, ties taken together; NaN if there are no ones.

    A ranking without information scores the share of ones, not 0.5.
    """
    ranking = _Ranking.of(np.asarray(labels), np.asarray(probabilities))
    return ranking.auc_and_ap(np.ones(len(ranking.labels)))[1]


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean squared distance of probability and label, in [0, 1]; 0 is perfect, 0.25 is a coin's."""
    labels = np.asarray(labels, float)
    return float(np.mean((np.asarray(probabilities, float) - labels) ** 2)) if len(labels) else float("nan")


def confusion(labels: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Return the (2, 2) int table of true class (rows) by called class (columns); 1 is called from `threshold` up."""
    called = np.asarray(probabilities) >= threshold
    return np.bincount(np.asarray(labels, np.int64) * 2 + called, minlength=4).reshape(2, 2)


def accuracy(table: np.ndarray) -> float:
    """Return the share of right calls of a `confusion` table; NaN if it is empty."""
    total = table.sum()
    return float(np.trace(table) / total) if total else float("nan")


def balanced_accuracy(table: np.ndarray) -> float:
    """Return the mean of the two classes' shares of right calls; NaN unless both classes are there."""
    sizes = table.sum(axis=1)
    return float(np.mean(np.diag(table) / sizes)) if sizes.all() else float("nan")


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS
) -> tuple[float, pd.DataFrame]:
    """Return how far probabilities are from observed shares, with the table behind it.

    Returns
    -------
    ece
        Mean of |observed share of ones - mean probability| over bins, weighted by examples; NaN without examples.
    table
        One row a bin: `low`, `high` (its edges), `count`, `mean_probability`, `observed` (both NaN if it is empty).
    """
    import pandas as pd

    labels, probabilities = np.asarray(labels, float), np.asarray(probabilities, float)
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    some = count > 0
    mean = np.divide(np.bincount(index, probabilities, bins), count, out=np.full(bins, np.nan), where=some)
    observed = np.divide(np.bincount(index, labels, bins), count, out=np.full(bins, np.nan), where=some)
    edges = np.linspace(0, 1, bins + 1)
    table = pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], "count": count, "mean_probability": mean, "observed": observed}
    )
    ece = float(np.sum(count[some] * np.abs(observed - mean)[some]) / count.sum()) if some.any() else float("nan")
    return ece, table


def score(labels: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, float | int | list]:
    """Return every measure at once.

    Returns
    -------
    dict
        `n`, `ones`, `accuracy`, `balanced_accuracy`, `majority_accuracy` (of always calling the larger class),
        `auc`, `ap`, `brier`, `ece`, `confusion` (rows true 0, 1; columns called 0, 1).
    """
    table = confusion(labels, probabilities, threshold)
    n, ones = len(labels), int(np.sum(labels))
    return {
        "n": n,
        "ones": ones,
        "accuracy": accuracy(table),
        "balanced_accuracy": balanced_accuracy(table),
        "majority_accuracy": max(ones, n - ones) / n if n else float("nan"),
        "auc": auc(labels, probabilities),
        "ap": average_precision(labels, probabilities),
        "brier": brier(labels, probabilities),
        "ece": expected_calibration_error(labels, probabilities)[0],
        "confusion": table.tolist(),
    }


@dataclass(frozen=True)
class LocusBootstrap:
    """95% percentile intervals by resampling loci.

    Attributes
    ----------
    intervals
        (low, high) for each of `BOOTSTRAPPED`; NaN where undefined.
    loci, samples
        Loci resampled, and how often.
    note
        What to know of the intervals, in words; empty if nothing.
    """

    intervals: dict[str, tuple[float, float]]
    loci: int
    samples: int
    note: str


def locus_bootstrap(
    labels: np.ndarray,
    probabilities: np.ndarray,
    loci: np.ndarray,
    samples: int,
    rng: np.random.Generator,
    threshold: float = 0.5,
) -> LocusBootstrap:
    """Resample whole loci with replacement and return the spread of each measure (cluster bootstrap, Field 2007).

    Parameters
    ----------
    labels, probabilities
        (n,) arrays.
    loci
        (n,) array; examples of equal value are drawn together, as many times as their locus is.
    samples
        How many times the loci are resampled.
    rng
        Source of the resampling.
    threshold
        From which probability a 1 is called.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, float)
    names, members = np.unique(np.asarray(loci), return_inverse=True)
    if len(names) < 2:
        nothing = dict.fromkeys(BOOTSTRAPPED, (float("nan"), float("nan")))
        return LocusBootstrap(nothing, len(names), samples, "No interval: resampling needs at least two loci.")
    # Everything that does not depend on the draw is done once: the ranking, and sums per locus for the plain means.
    ranking = _Ranking.of(labels, probabilities)
    ranked_members = members[ranking.order]
    called = probabilities >= threshold
    right, one = called == (labels == 1), labels == 1
    sums = np.stack([
        np.bincount(members, part, len(names))
        for part in (np.ones(len(labels)), one, right, right & one, (probabilities - labels) ** 2)
    ])
    values = np.empty((samples, len(BOOTSTRAPPED)))
    for row in range(samples):
        drawn = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names)).astype(float)
        n, ones, rights, right_ones, squares = sums @ drawn
        zeros = n - ones
        balanced = (right_ones / ones + (rights - right_ones) / zeros) / 2 if ones > 0 and zeros > 0 else np.nan
        area, precision = ranking.auc_and_ap(drawn[ranked_members])
        values[row] = rights / n, balanced, area, precision, squares / n
    intervals = {
        name: percentile_interval(values[:, column]) for column, name in enumerate(BOOTSTRAPPED)
    }
    return LocusBootstrap(intervals, len(names), samples, _bootstrap_note(len(names), values))


def locus_auc_draws(
    labels: np.ndarray, answers: Mapping[str, np.ndarray], loci: np.ndarray, samples: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the AUC of several models on the same resamplings of loci, so that their differences have an interval.

    Parameters
    ----------
    labels, loci
        (n,) arrays, as in `locus_bootstrap`.
    answers
        Name -> (n,) probabilities.
    samples, rng
        As in `locus_bootstrap`; the same generator gives the same draws.

    Returns
    -------
    dict
        Name -> (samples,) float array; NaN where a draw held one class only, or there is only one locus.
    """
    labels = np.asarray(labels)
    names, members = np.unique(np.asarray(loci), return_inverse=True)
    rankings = {name: _Ranking.of(labels, np.asarray(answer, float)) for name, answer in answers.items()}
    found = {name: np.full(samples, np.nan) for name in answers}
    if len(names) < 2:
        return found
    ranked = {name: members[ranking.order] for name, ranking in rankings.items()}
    for row in range(samples):
        drawn = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names)).astype(float)
        for name, ranking in rankings.items():
            found[name][row] = ranking.auc_and_ap(drawn[ranked[name]])[0]
    return found


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the middle 95% of bootstrap values, those that are NaN left out; NaN if none is left."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _bootstrap_note(loci: int, values: np.ndarray) -> str:
    notes = []
    if loci < FEW_LOCI:
        notes.append(f"Only {loci} loci: the intervals are rough.")
    undefined = int(np.isnan(values).any(axis=1).sum())
    if undefined:
        notes.append(f"{undefined:,} of {len(values):,} resamplings held one class only and are left out of the AUC.")
    return " ".join(notes)
