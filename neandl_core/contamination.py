"""How much of a sample is modern: a mixture fitted to the scores of its reads, never a count above a threshold.

No classifier is right about every read: a threshold calls some ancient reads modern and some modern ones ancient, so
the share called modern is not the share that is. The scores of held-out reads say how often each score comes up in
either class; the share of modern reads is the one under which the sample's scores are likeliest. Scores of short and
long reads differ, and contaminants are often longer, so both the distributions and the share depend on length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCORE_BINS = 16
LENGTH_BINS = 4
LEAST_IN_BIN = 400
"""Held-out reads of each class that a length bin must hold."""
GROUPS = 200
"""Groups of loci that are resampled."""
METHOD = (
    "Maximum likelihood mixture of the two classes' score distributions in held-out reads, by read length; the share "
    "of modern reads may rise or fall with length (log-odds linear in log length). Interval: 95% percentile bootstrap "
    "of the loci of the sample and of the held-out reads."
)
_RIDGE = 0.1
_STEPS = 100


@dataclass(frozen=True)
class ScoreModel:
    """Held-out reads, ready to say how scores are distributed in either class.

    Attributes
    ----------
    score_edges, length_edges : float64 arrays
        Inner edges of the bins.
    cells : (n,) int64 array
        Cell of each held-out read: (class * length bins + length bin) * score bins + score bin.
    loci : (n,) int64 array
        Locus of each, from 0 on.
    mean_log_length : (length bins,) float64 array
        Standardised, what the share of modern reads may depend on.
    basis : (length bins * score bins, features) float64 array
        What the odds of the classes in a bin may depend on: its score freely, its length, and their product.
    """

    score_edges: np.ndarray
    length_edges: np.ndarray
    cells: np.ndarray
    loci: np.ndarray
    mean_log_length: np.ndarray
    basis: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(length bins, score bins)."""
        return len(self.length_edges) + 1, len(self.score_edges) + 1

    def bins(self, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the bin of each read: length bin * score bins + score bin; (n,) int64."""
        length_bin = np.searchsorted(self.length_edges, lengths, side="right")
        return length_bin * self.shape[1] + np.searchsorted(self.score_edges, scores, side="right")

    def densities(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return P(score bin | class, length bin), (2, length bins, score bins).

        Two raw histograms would each have their own noise, which looks like a little of the other class and biases
        the share. So only the histogram of both classes together is raw; the odds of the classes have a level for each
        score bin, which length shifts smoothly (density ratio model, Qin 1998, Biometrika 85:619). A polynomial in the
        score will not do: damaged and undamaged reads lie on two sides of a step.

        Parameters
        ----------
        weights
            (n,) how often each held-out read counts; once if None.
        """
        shape = self.shape
        modern, ancient = np.bincount(self.cells, weights, 2 * len(self.basis)).reshape(2, -1)
        both = modern / modern.sum() + ancient / ancient.sum() + 1e-6
        share = _logistic(self.basis, ancient / ancient.sum() * len(self.cells) / 2,
                          modern / modern.sum() * len(self.cells) / 2)
        by_class = np.stack([both * (1 - share), both * share]).reshape(2, *shape)
        return by_class / by_class.sum(axis=2, keepdims=True)


def _logistic(basis: np.ndarray, ones: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """Return P(one) of each bin by logistic regression on counts, (bins,)."""
    beta, total = np.zeros(basis.shape[1]), ones + zeros
    ridge = np.full(len(beta), _RIDGE)
    share = np.full(len(basis), 0.5)
    for _ in range(25):
        gradient = basis.T @ (ones - total * share) - ridge * beta
        step = np.linalg.solve((basis * (total * share * (1 - share))[:, None]).T @ basis + np.diag(ridge), gradient)
        beta = beta + np.clip(step, -3, 3)
        share = 1 / (1 + np.exp(-np.clip(basis @ beta, -30, 30)))
        if np.abs(step).max() < 1e-6:
            break
    return share


def make_score_model(labels: np.ndarray, scores: np.ndarray, lengths: np.ndarray, loci: np.ndarray) -> ScoreModel:
    """Lay out the bins so that each holds enough held-out reads.

    Parameters
    ----------
    labels
        (n,) 1 for ancient, 0 for modern; both must occur.
    scores
        (n,) calibrated P(ancient).
    lengths
        (n,) bases.
    loci
        (n,) locus of each read.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, float)
    fewest = int(min(np.bincount(labels, minlength=2)))
    count = int(np.clip(fewest // LEAST_IN_BIN, 1, LENGTH_BINS))
    length_edges = np.unique(np.quantile(lengths, np.linspace(0, 1, count + 1)[1:-1]))
    score_edges = np.unique(np.quantile(scores, np.linspace(0, 1, int(np.clip(fewest // 20, 2, SCORE_BINS)) + 1)[1:-1]))
    length_bin = np.searchsorted(length_edges, lengths, side="right")
    size = len(score_edges) + 1
    cells = (labels * (len(length_edges) + 1) + length_bin) * size + np.searchsorted(score_edges, scores, side="right")
    def means(values: np.ndarray, bins: np.ndarray, number: int) -> np.ndarray:
        count = np.bincount(bins, minlength=number)
        centre = np.bincount(bins, values, number) / np.maximum(count, 1)
        return (centre - values.mean()) / (values.std() or 1.0)

    logs = means(np.log(lengths), length_bin, len(length_edges) + 1)
    odds = np.log(np.clip(scores, 1e-6, 1 - 1e-6)) - np.log1p(-np.clip(scores, 1e-6, 1 - 1e-6))
    x = np.tile(means(odds, np.searchsorted(score_edges, scores, side="right"), size), len(logs))
    y = np.repeat(logs, size)
    of_bin = np.tile(np.eye(size), (len(logs), 1))
    basis = np.column_stack([of_bin, y, y**2, x * y])
    return ScoreModel(
        score_edges, length_edges, cells.astype(np.int64), np.unique(loci, return_inverse=True)[1].ravel(), logs, basis
    )


def fit_share(counts: np.ndarray, densities: np.ndarray, log_length: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the share of modern reads and that of each length bin.

    Log-odds of modern = intercept + slope * length; the slope has a normal prior of spread 1, which matters only where
    the reads say nothing of it. Solved by expectation and maximisation, whose second half is a logistic regression on
    a handful of bins (Newton's method).

    Parameters
    ----------
    counts : (length bins, score bins) array
        Reads of the sample.
    densities : (2, length bins, score bins) array
        Modern, ancient.
    log_length : (length bins,) array
        Standardised log length of each bin.
    """
    reads = counts.sum(axis=1)
    total = reads.sum()
    beta = np.zeros(2)
    design = np.stack([np.ones_like(log_length), log_length], axis=1)

    def likelihood(beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        share = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        mixed = share[:, None] * densities[0] + (1 - share[:, None]) * densities[1]
        difference = densities[0] - densities[1]
        first = (counts * difference / mixed).sum(axis=1)
        second = (counts * (difference / mixed) ** 2).sum(axis=1)
        value = float((counts * np.log(mixed)).sum()) - beta[1] ** 2 / 2
        return value, share, first, second

    value, share, first, second = likelihood(beta)
    for _ in range(_STEPS):
        slope = share * (1 - share)
        gradient = design.T @ (first * slope) - np.array([0, beta[1]])
        # Fisher's scoring: the expected curvature is never negative, so every step goes uphill if it is short enough.
        curvature = (design * (second * slope**2)[:, None]).T @ design + np.diag([1e-9, 1.0])
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        for _ in range(20):
            tried = np.clip(beta + step, [-14, -4], [14, 4])
            better = likelihood(tried)
            if better[0] >= value:
                break
            step = step / 2
        else:
            break
        gained = better[0] - value
        beta, (value, share, first, second) = tried, better
        if gained < 1e-7 * max(1.0, total * 1e-6):
            break
    return float(reads @ share / total) if total else float("nan"), share


def free_share(counts: np.ndarray, densities: np.ndarray) -> float:
    """Return the share of modern reads, the same for all lengths, that may come out below 0 or above 1.

    A share that must lie between 0 and 1 is never exactly 0, so an interval of such shares would never hold the truth
    of a clean sample; this one says whether 0 or 1 is within reach.

    Parameters
    ----------
    counts, densities
        As for `fit_share`.
    """
    difference = densities[0] - densities[1]
    share = 0.5
    for _ in range(50):
        ratio = difference / (densities[1] + share * difference)
        step = float((counts * ratio).sum() / max((counts * ratio**2).sum(), 1e-9))
        tried = share + step
        while (densities[1] + tried * difference).min() <= 0:
            step /= 2
            tried = share + step
        share = tried
        if abs(step) < 1e-6:
            break
    return share


@dataclass(frozen=True)
class Contamination:
    """The estimate and how well it holds.

    Attributes
    ----------
    estimate, low, high
        Share of modern reads among those scored, with its 95% interval.
    expected : (2, score bins) array
        Reads of each class that the fit expects in each score bin: modern, ancient.
    misfit
        Mean squared deviation of observed from expected counts, in units of what sampling explains: about 1 if the
        two classes make up the sample, larger if its reads are like neither.
    """

    estimate: float
    low: float
    high: float
    expected: np.ndarray
    misfit: float


def estimate_contamination(
    counts: np.ndarray, model: ScoreModel, samples: int, rng: np.random.Generator
) -> Contamination:
    """Estimate the share of modern reads.

    Parameters
    ----------
    counts : (groups of loci, length bins * score bins) array
        Reads of the sample.
    model
        The held-out reads.
    samples
        Bootstrap samples.
    rng
        Source of the bootstrap.
    """
    shape = model.shape
    total = counts.sum(axis=0).reshape(shape).astype(float)
    densities = model.densities()
    estimate, share = fit_share(total, densities, model.mean_log_length)
    used = counts[counts.sum(axis=1) > 0].astype(float)
    loci = int(model.loci.max()) + 1
    drawn, free = np.empty(samples), np.empty(samples)
    for number in range(samples):
        weights = rng.multinomial(loci, np.full(loci, 1 / loci))[model.loci]
        resampled = rng.multinomial(len(used), np.full(len(used), 1 / len(used))) @ used
        resampled, redrawn = resampled.reshape(shape), model.densities(weights)
        drawn[number] = fit_share(resampled, redrawn, model.mean_log_length)[0]
        free[number] = free_share(resampled, redrawn)
    low, high = np.quantile(drawn, [0.025, 0.975])
    low = 0.0 if np.quantile(free, 0.025) <= 0 else low
    high = 1.0 if np.quantile(free, 0.975) >= 1 else high
    reads = total.sum(axis=1, keepdims=True)
    by_class = np.stack([reads * share[:, None] * densities[0], reads * (1 - share[:, None]) * densities[1]])
    expected = by_class.sum(axis=0)
    # Held-out reads are a sample too, so the expected counts of a bin have a sampling error of their own.
    held_out = np.bincount(model.cells, minlength=2 * total.size).reshape(2, -1).sum(axis=0).reshape(shape)
    spread = expected + (by_class**2).sum(axis=0) * 2 / np.maximum(held_out, 1)
    misfit = float(((total - expected) ** 2 / np.maximum(spread, 1)).mean())
    return Contamination(
        estimate, float(min(low, estimate)), float(max(high, estimate)), by_class.sum(axis=1), misfit
    )


def locus_groups(contigs: np.ndarray, starts: np.ndarray, stretch: int = 10_000) -> np.ndarray:
    """Return which of `GROUPS` groups each read's stretch of the genome falls into, at random but always the same."""
    key = contigs.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + (starts // stretch).astype(np.uint64)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((key ^ (key >> np.uint64(31))) % np.uint64(GROUPS)).astype(np.int64)
