"""Fit and load the models that are solved outright, each by its preset's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neandl_core.config import TrainSettings
from neandl_core.errors import SettingsError
from neandl_core.models.logistic import KmerLogistic, fit_kmer_logistic
from neandl_core.models.solved import SolvedModel

Tell = Callable[[float], None]
"""Called with the share of the work done so far."""


def fit_solved(codes: np.ndarray, labels: np.ndarray, k: int, settings: TrainSettings, tell: Tell) -> SolvedModel:
    """Fit a preset's model to all examples given.

    Parameters
    ----------
    codes
        (n, width) uint8 codes of bases.
    labels
        (n,) of 0 and 1; both must occur.
    k
        k-mer length.
    settings
        Preset of `models.SOLVED`, its settings, seed and threads.
    tell
        Told how far the work is, where a model can say so.

    Raises
    ------
    SettingsError
        If there is no such model.
    """
    if settings.preset == "logistic":
        return fit_kmer_logistic(codes, labels, k)
    raise SettingsError(f"train: there is no model {settings.preset!r}.")


def load_solved(preset: str, folder: Path, k: int) -> SolvedModel:
    """Load what a model's `save` wrote.

    Raises
    ------
    InputError
        If files are missing, are something else, or do not hold such a model.
    SettingsError
        If there is no such model.
    """
    if preset == "logistic":
        return KmerLogistic.load(folder, k)
    raise SettingsError(f"train: there is no model {preset!r}.")
