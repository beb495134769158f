"""Probabilities that mean what they say: Platt's scaling, fitted to the validation part, judged on the test part.

A network's probabilities rank reads well and are often too sure. Platt scaling (Platt 1999) is a logistic regression
on the network's log-odds: two numbers, so the ranking stays as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from neandl_core.config import Settings, as_sentence
from neandl_core.errors import InputError
from neandl_core.files import require_file, write_json
from neandl_core.metrics import expected_calibration_error

FILE = "calibration.json"
_SURE = 1e-6


class Calibration(Settings):
    """How a run's probabilities are corrected, and how good they are before and after.

    P = 1 / (1 + exp(-(slope * log-odds + intercept))).
    """

    title = "calibration"

    method: str = "Platt scaling on the validation part"
    slope: float = Field(gt=0)
    intercept: float
    validation: int = Field(ge=2, description="examples it was fitted to")
    ece_before: float = Field(ge=0, le=1, description="expected calibration error on the test part")
    ece_after: float = Field(ge=0, le=1)
    reliability: list[dict[str, Any]] = Field(description="of the test part, after: one row a bin")
    reliability_before: list[dict[str, Any]]

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float32."""
        return scaled(probabilities, self.slope, self.intercept)


def scaled(probabilities: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return probabilities whose log-odds are stretched and shifted."""
    sure = np.clip(np.asarray(probabilities, float), _SURE, 1 - _SURE)
    log_odds = slope * np.log(sure / (1 - sure)) + intercept
    return (1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))).astype(np.float32)


def fit_calibration(
    validation_labels: np.ndarray, validation: np.ndarray, test_labels: np.ndarray, test: np.ndarray
) -> Calibration:
    """Fit Platt's scaling to the validation part and measure it on the test part.

    A network that ranks the validation part upside down keeps its probabilities as they are.

    Parameters
    ----------
    validation_labels, validation
        (n,) labels and probabilities to fit to.
    test_labels, test
        (m,) labels and probabilities to judge on.
    """
    from sklearn.linear_model import LogisticRegression

    slope, intercept = 1.0, 0.0
    if len(np.unique(validation_labels)) == 2:
        sure = np.clip(np.asarray(validation, float), _SURE, 1 - _SURE)
        fitted = LogisticRegression(C=1e4).fit(np.log(sure / (1 - sure))[:, None], validation_labels)
        if fitted.coef_[0, 0] > 0:
            slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    before, table_before = expected_calibration_error(test_labels, test)
    after, table = expected_calibration_error(test_labels, scaled(test, slope, intercept))
    return Calibration.make(
        slope=slope, intercept=intercept, validation=max(2, len(validation)), ece_before=before, ece_after=after,
        reliability=_rows(table), reliability_before=_rows(table_before),
    )


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
