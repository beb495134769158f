"""Probabilities that mean what they say: a correction chosen on the validation part, judged on the test part.

A network's probabilities rank reads well and may be too sure. Three candidates are compared by their log loss on
validation reads of loci that they were not fitted to: none; Platt scaling (Platt 1999), a logistic regression on the
network's log-odds; and centred isotonic regression (Oron and Flournoy 2017, Stat. Biopharm. Res. 9:258), a rising
curve through the observed shares. All three rise everywhere, so the ranking of reads stays as it was. Both classes
weigh the same in fitting and comparing: probabilities are meant at even odds, and loci may hold one class only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from neandl_core.config import Settings, as_sentence
from neandl_core.errors import InputError
from neandl_core.files import require_file, write_json
from neandl_core.metrics import expected_calibration_error

FILE = "calibration.json"
FOLDS = 5
"""Parts that the validation reads are divided into, by locus, to compare the candidates."""
DRAWS = 200
"""Draws of labels that say what calibration error chance alone gives."""
METHODS = {
    "none": "none, as the network's own probabilities did best",
    "platt": "Platt scaling on the validation part",
    "isotonic": "centred isotonic regression on the validation part",
}
_SURE = 1e-6


class Calibration(Settings):
    """How a run's probabilities are corrected, and how good they are before and after.

    Platt: P = 1 / (1 + exp(-(slope * log-odds + intercept))). Isotonic: straight lines between `knots`.
    """

    title = "calibration"

    kind: Literal["none", "platt", "isotonic"] = "platt"
    method: str = METHODS["platt"]
    slope: float = Field(1.0, gt=0)
    intercept: float = 0.0
    knots: list[list[float]] = Field([], description="pairs of network's and corrected probability, both rising")
    validation: int = Field(ge=2, description="examples it was fitted to")
    log_loss: dict[str, float] = Field({}, description="of each candidate on validation loci it was not fitted to")
    ece_before: float = Field(ge=0, le=1, description="expected calibration error on the test part")
    ece_after: float = Field(ge=0, le=1)
    ece_expected: float | None = Field(None, description="mean error of right probabilities, from chance alone")
    reliability: list[dict[str, Any]] = Field(description="of the test part, after: one row a bin")
    reliability_before: list[dict[str, Any]]

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float32; those that differ by less than its rounding may become equal."""
        if self.kind == "none":
            return np.asarray(probabilities, np.float32)
        if self.kind == "isotonic":
            return np.interp(probabilities, *np.array(self.knots).T).astype(np.float32)
        return scaled(probabilities, self.slope, self.intercept)

    def brief(self) -> dict[str, Any]:
        """Return what `summary.json` says of it: kind, method, log losses and calibration errors."""
        return self.model_dump(include={"kind", "method", "log_loss", "ece_before", "ece_after", "ece_expected"})


def scaled(probabilities: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return probabilities whose log-odds are stretched and shifted."""
    log_odds = slope * _log_odds(probabilities) + intercept
    return (1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))).astype(np.float32)


def isotonic_knots(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> list[list[float]]:
    """Return the curve of centred isotonic regression, from 0 to 1, rising everywhere.

    Isotonic regression is flat over each block of reads that it pools, which would make reads of different
    probabilities equal. Its centred form puts the block's share at the block's mean and joins these by straight lines.
    No share is 0 or 1: half a read of either class is added to all. Beyond the outermost blocks the line goes on to
    half the share that is left.

    Parameters
    ----------
    labels, probabilities
        (n,) arrays, n at least 1.
    weights
        (n,) how much each counts, above 0; all the same if None.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(probabilities, kind="stable")
    x, y = np.asarray(probabilities, float)[order], np.asarray(labels, float)[order]
    w = np.ones(len(x)) if weights is None else np.asarray(weights, float)[order]
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(x, y, sample_weight=w)
    starts = np.append(0, np.flatnonzero(np.diff(fitted) > 1e-12) + 1)
    sizes = np.add.reduceat(w, starts)
    centre = np.add.reduceat(x * w, starts) / sizes
    share = (np.add.reduceat(y * w, starts) / sizes * len(x) + 0.5) / (len(x) + 1)
    inside = (centre > 0) & (centre < 1)
    centre, share = centre[inside], share[inside]
    if not len(centre):
        return [[0.0, 0.0], [1.0, 1.0]]
    return [[0.0, float(share[0] / 2)], *np.stack([centre, share], 1).tolist(), [1.0, float((1 + share[-1]) / 2)]]


def fit_calibration(
    validation_labels: np.ndarray, validation: np.ndarray, test_labels: np.ndarray, test: np.ndarray,
    loci: np.ndarray | None = None, seed: int = 1,
) -> Calibration:
    """Choose and fit a correction on the validation part and measure it on the test part.

    A network that ranks the validation part upside down keeps its probabilities as they are.

    Parameters
    ----------
    validation_labels, validation
        (n,) labels and probabilities to fit to.
    test_labels, test
        (m,) labels and probabilities to judge on.
    loci
        (n,) locus of each validation example; those of one locus are not divided. Each by itself if None.
    seed
        Divides the loci, and draws the labels of `ece_expected`.
    """
    labels, raw = np.asarray(validation_labels), np.asarray(validation, float)
    rng = np.random.default_rng([seed, 47])
    losses = _compare(labels, raw, np.arange(len(labels)) if loci is None else np.asarray(loci), rng)
    kind = min(losses, key=losses.__getitem__) if losses else "none"
    slope, intercept = _platt(labels, raw) if kind == "platt" else (1.0, 0.0)
    fields = {
        "kind": kind, "method": METHODS[kind], "slope": slope, "intercept": intercept,
        "knots": isotonic_knots(labels, raw, _even(labels)) if kind == "isotonic" else [],
        "validation": max(2, len(validation)), "log_loss": losses,
    }
    before, table_before = expected_calibration_error(test_labels, test)
    nothing = {"ece_before": before, "ece_after": before, "reliability": [], "reliability_before": []}
    after = Calibration.make(**fields, **nothing).apply(test)
    error, table = expected_calibration_error(test_labels, after)
    chance = [expected_calibration_error(rng.random(len(after)) < after, after)[0] for _ in range(DRAWS)]
    return Calibration.make(
        **fields, ece_before=before, ece_after=error, ece_expected=float(np.mean(chance)), reliability=_rows(table),
        reliability_before=_rows(table_before),
    )


def _compare(labels: np.ndarray, raw: np.ndarray, loci: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return each candidate's log loss on loci it was not fitted to; nothing where there is nothing to fit."""
    if len(np.unique(labels)) < 2 or _platt(labels, raw)[0] <= 0:
        return {}
    names, member = np.unique(loci, return_inverse=True)
    fold = rng.permutation(len(names))[member.ravel()] % FOLDS
    answers = {"none": raw, "platt": np.empty(len(raw)), "isotonic": np.empty(len(raw))}
    for number in range(FOLDS):
        out = fold == number
        if not out.any():
            continue
        if len(np.unique(labels[~out])) < 2:
            return {}
        slope, intercept = _platt(labels[~out], raw[~out])
        knots = np.array(isotonic_knots(labels[~out], raw[~out], _even(labels[~out]))).T
        answers["platt"][out] = scaled(raw[out], slope, intercept)
        answers["isotonic"][out] = np.interp(raw[out], *knots)
    weights = _even(labels)
    losses = {}
    for name, answer in answers.items():
        sure = np.clip(answer, _SURE, 1 - _SURE)
        losses[name] = -float(np.average(np.where(labels == 1, np.log(sure), np.log1p(-sure)), weights=weights))
    return losses


def _even(labels: np.ndarray) -> np.ndarray:
    """Return weights of mean 1 under which both classes weigh the same."""
    sizes = np.bincount(labels, minlength=2)
    return len(labels) / (2 * sizes[labels])


def _platt(labels: np.ndarray, raw: np.ndarray) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e4).fit(_log_odds(raw)[:, None], labels, sample_weight=_even(labels))
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    sure = np.clip(np.asarray(probabilities, float), _SURE, 1 - _SURE)
    return np.log(sure / (1 - sure))


def _rows(table: Any) -> list[dict[str, Any]]:
    """Return a table as rows, without NaN, which the settings do not take."""
    return [
        {name: None if value != value else value for name, value in row.items()} for row in table.to_dict("records")
    ]


def save_calibration(folder: Path, calibration: Calibration) -> None:
    """Write `calibration.json` into an existing folder."""
    write_json(folder / FILE, calibration.model_dump())


def load_calibration(folder: Path) -> Calibration:
    """Read the calibration of a `train` run on reads.

    Raises
    ------
    InputError
        If there is none or it makes no sense.
    """
    path = require_file(Path(folder) / FILE, "calibration of a model of reads")
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"this is no calibration ({as_sentence(error, 'calibration').rstrip('.')})",
                         path=path, advice="Train the model again.") from None
