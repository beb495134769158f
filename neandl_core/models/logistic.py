"""Logistic regression on k-mer counts: no network, and the baseline that a network must beat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from neandl_core.encoding import kmer_codes, kmer_counts
from neandl_core.models import LOGISTIC_K
from neandl_core.models.arrays import WEIGHTS, check_arrays, read_arrays, write_arrays
from neandl_core.models.solved import SolvedModel

MOST_EXAMPLES = 100_000
"""Training examples used at most, drawn at random: some thousand weights do not need more."""
PENALTY_C = 0.01
"""Inverse strength of the L2 penalty on the weights of standardised counts, against the summed loss of all examples."""
_BLOCK = 8192


@dataclass(frozen=True)
class KmerLogistic(SolvedModel):
    """A fitted model.

    Attributes
    ----------
    weights
        (4**k,) float32: what one more occurrence of a k-mer adds to the log-odds of label 1.
    intercept
        (1,) float32: log-odds of a sequence without any counted k-mer.
    """

    weights: np.ndarray
    intercept: np.ndarray

    @property
    def k(self) -> int:
        """Length of the k-mers."""
        return (len(self.weights).bit_length() - 1) // 2

    @property
    def parameters(self) -> int:
        """A weight for each k-mer, and the intercept."""
        return len(self.weights) + 1

    def save(self, folder: Path) -> None:
        """Write `model.safetensors`."""
        write_arrays(folder / WEIGHTS, {"weights": self.weights, "intercept": self.intercept})

    @classmethod
    def load(cls, folder: Path, k: int) -> Self:
        """Read what `save` wrote; InputError if it is something else."""
        arrays = read_arrays(folder / WEIGHTS)
        check_arrays(arrays, {"weights": (4**k,), "intercept": (1,)}, folder / WEIGHTS)
        return cls(arrays["weights"], arrays["intercept"])

    def probabilities(self, codes: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return P(label = 1), (n,) float32, for (n, width) codes of bases."""
        # Summing the weights of the k-mers met is the product of counts and weights without making the counts.
        weights = np.append(self.weights, np.float32(0))
        result = np.empty(len(codes), np.float32)
        for start in range(0, len(codes), _BLOCK):
            kmers = kmer_codes(np.asarray(codes[start : start + _BLOCK]), self.k)
            log_odds = weights[kmers].sum(axis=1, dtype=np.float64) + self.intercept[0]
            result[start : start + len(kmers)] = 1 / (1 + np.exp(-np.clip(log_odds, -60, 60)))
        return result


def draw_rows(rows: np.ndarray, rng: np.random.Generator, most: int = MOST_EXAMPLES) -> np.ndarray:
    """Return `rows`, or `most` of them drawn at random if there are more; sorted."""
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))


def fit_kmer_logistic(codes: np.ndarray, labels: np.ndarray, k: int = LOGISTIC_K) -> KmerLogistic:
    """Fit the model to all rows given.

    Parameters
    ----------
    codes
        (n, width) codes of bases.
    labels
        (n,) of 0 and 1; both must occur.
    k
        k-mer length.
    """
    from sklearn.linear_model import LogisticRegression

    counts = kmer_counts(codes, k).astype(np.float32)
    mean, spread = counts.mean(axis=0, dtype=np.float64), counts.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1
    counts -= mean.astype(np.float32)
    counts /= spread.astype(np.float32)
    estimator = LogisticRegression(C=PENALTY_C, solver="lbfgs", max_iter=1000, tol=1e-3)
    estimator.fit(counts, labels)
    weights = estimator.coef_[0] / spread
    intercept = estimator.intercept_[0] - mean @ weights
    return KmerLogistic(weights.astype(np.float32), np.array([intercept], np.float32))
