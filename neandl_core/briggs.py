"""Fitting the damage model of Briggs et al. 2007 (PNAS 104:14616) to a profile, with intervals.

A fragment ends in single-stranded overhangs of geometric length; `termination` (lambda) is the probability that the
overhang ends at each next base. Cytosines in it are deaminated with probability `delta_s`, elsewhere with `delta_d`::

    P(damage at i bases from the end) = delta_s (1 - lambda)^(i+1) + delta_d (1 - (1 - lambda)^(i+1))

The rate that is seen adds errors and variants: half of what C>A and C>G, which damage does not make, show together.

Method: maximum likelihood on the binomial counts of the first 25 positions of both ends (Fisher scoring on the logits
of the three parameters), intervals from the profile likelihood: a parameter's interval holds the values that the other
two can make up for, to within half the 95% quantile of chi-squared with one degree of freedom. Counts are taken as
independent; unlike mapDamage there is no prior, no nick parameter, and no draw by Markov chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neandl_core.config import SHOWN_POSITIONS
from neandl_core.damage import DamageProfile

PARAMETERS = ("termination", "delta_s", "delta_d")
METHOD = (
    "Maximum likelihood on the counts of the first 25 positions of both ends; 95% intervals from the profile "
    "likelihood. Errors and variants are taken from C>A and C>G (G>C and G>T)."
)
_HALF_QUANTILE = 3.841459 / 2
_STEPS = 60
_STARTS = ((0.3, 0.3, 0.01), (0.6, 0.1, 0.005), (0.15, 0.6, 0.02), (0.4, 0.05, 0.002))


@dataclass(frozen=True)
class BriggsFit:
    """The three parameters with 95% intervals, and the error rate taken off.

    `values` and `intervals` are by the names of `PARAMETERS`; `log_likelihood` is without its constant.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    error: float
    log_likelihood: float

    def expected(self, positions: int) -> np.ndarray:
        """Return the misincorporation rate that the model expects at 0, 1, ... bases from an end."""
        return _rates(np.array([self.values[name] for name in PARAMETERS]), np.arange(positions), self.error)[0]


def fit_briggs(profile: DamageProfile, library: str) -> BriggsFit | None:
    """Fit the model to a profile.

    Parameters
    ----------
    profile
        Counts of a whole file.
    library
        ``single-stranded``: C>T at both ends; else C>T at the 5' and G>A at the 3' end.

    Returns
    -------
    BriggsFit or None
        None if an end has no bases to count.
    """
    ends = (("5p", "C>T"), ("3p", "C>T" if library == "single-stranded" else "G>A"))
    counts = [tuple(values[:SHOWN_POSITIONS] for values in profile.tally(*end)) for end in ends]
    observed = np.concatenate([k for k, _ in counts]).astype(float)
    n = np.concatenate([total for _, total in counts]).astype(float)
    if any(total[0] == 0 for _, total in counts) or observed.sum() == 0:
        return None
    others = [
        profile.tally(end, f"{substitution[0]}>{other}") for end, substitution in ends
        for other in "ACGT" if other not in substitution
    ]
    error = float(sum(k[:SHOWN_POSITIONS].sum() for k, _ in others) / max(1, 2 * n.sum()))
    return fit_counts(observed, n, np.tile(np.arange(SHOWN_POSITIONS), 2), error)


def fit_counts(observed: np.ndarray, n: np.ndarray, position: np.ndarray, error: float) -> BriggsFit:
    """Fit the model to `observed` of `n` bases at each distance `position`, with a known error rate."""
    fits = [_maximise(_logit(np.array(start)), observed, n, position, error, ()) for start in _STARTS]
    best, likelihood = max(fits, key=lambda fit: fit[1])
    values = _expit(best)
    intervals = {}
    for index, name in enumerate(PARAMETERS):
        bounds = [_bound(best, likelihood, index, side, observed, n, position, error) for side in (-1, 1)]
        intervals[name] = (float(_expit(bounds[0])), float(_expit(bounds[1])))
    return BriggsFit(dict(zip(PARAMETERS, map(float, values), strict=True)), intervals, error, float(likelihood))


def _logit(share: np.ndarray) -> np.ndarray:
    return np.log(share / (1 - share))


def _expit(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def _rates(values: np.ndarray, position: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected rates and their (3, n) derivatives by the parameters."""
    termination, delta_s, delta_d = values
    inside = (1 - termination) ** (position + 1)
    damage = delta_s * inside + delta_d * (1 - inside)
    steepness = -(position + 1) * (1 - termination) ** position * (delta_s - delta_d)
    slopes = np.stack((steepness, inside, 1 - inside)) * (1 - error)
    return np.clip(error + damage * (1 - error), 1e-12, 1 - 1e-12), slopes


def _maximise(
    logits: np.ndarray, observed: np.ndarray, n: np.ndarray, position: np.ndarray, error: float,
    fixed: tuple[int, ...],
) -> tuple[np.ndarray, float]:
    """Return the logits of greatest likelihood, with those in `fixed` left alone, and that log-likelihood."""
    free = [index for index in range(3) if index not in fixed]
    logits = logits.copy()
    damping = 1e-6

    def likelihood(at: np.ndarray) -> float:
        rate, _ = _rates(_expit(at), position, error)
        return float(observed @ np.log(rate) + (n - observed) @ np.log1p(-rate))

    value = likelihood(logits)
    for _ in range(_STEPS):
        share = _expit(logits)
        rate, slopes = _rates(share, position, error)
        slopes = (slopes * (share * (1 - share))[:, None])[free]
        weight = 1 / (rate * (1 - rate))
        gradient = slopes @ ((observed - n * rate) * weight)
        information = (slopes * n * weight) @ slopes.T
        while True:
            step = np.linalg.solve(information + damping * (np.diag(np.diag(information)) + 1e-9 * np.eye(len(free))),
                                   gradient)
            trial = logits.copy()
            trial[free] = np.clip(logits[free] + np.clip(step, -2, 2), -16, 16)
            reached = likelihood(trial)
            if reached >= value or damping > 1e8:
                break
            damping *= 10
        if damping > 1e8:
            break
        gained, logits, value = reached - value, trial, reached
        damping = max(damping / 10, 1e-9)
        if gained < 1e-10 * max(1, abs(value)) and np.max(np.abs(step)) < 1e-6:
            break
    return logits, value


def _bound(
    best: np.ndarray, likelihood: float, index: int, side: int, observed: np.ndarray, n: np.ndarray,
    position: np.ndarray, error: float,
) -> float:
    """Return the logit at which the profile likelihood has fallen by half the quantile, on one side of the best."""
    inner, outer, width, start = best[index], best[index], 0.05, best

    def fallen(at: float) -> float:
        nonlocal start
        trial = start.copy()
        trial[index] = at
        start, reached = _maximise(trial, observed, n, position, error, (index,))
        return likelihood - reached - _HALF_QUANTILE

    while fallen(outer := outer + side * width) < 0:
        inner, width = outer, width * 2
        if abs(outer) > 16:
            return float(np.clip(outer, -16, 16))
    start = best
    for _ in range(40):
        middle = (inner + outer) / 2
        if fallen(middle) < 0:
            inner = middle
        else:
            outer = middle
        if abs(outer - inner) < 1e-5:
            break
    return float(outer)
