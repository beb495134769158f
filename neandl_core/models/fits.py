"""Fit and load the models that are solved outright, each by its preset's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neandl_core.config import TrainSettings
from neandl_core.errors import SettingsError
from neandl_core.models.logistic import KmerLogistic, fit_kmer_logistic
from neandl_core.models.solved import SolvedModel
from neandl_core.models.trees import KmerBoosting, KmerForest, TreeModel
from neandl_core.models.word_vectors import KmerVectors, fit_kmer_vectors

_TREES: dict[str, type[TreeModel]] = {"bag-of-kmers-forest": KmerForest, "boosting": KmerBoosting}

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
    if settings.preset in _TREES:
        return _TREES[settings.preset].fit(
            codes, labels, k, trees=settings.trees, depth=settings.depth, leaves=settings.leaves or 0,
            learning_rate=settings.learning_rate, seed=settings.seed, threads=settings.threads, tell=tell,
        )
    if settings.preset == "word2vec":
        return fit_kmer_vectors(
            codes, labels, k, vector_size=settings.vector_size, context=settings.context,
            min_count=settings.min_count, epochs=settings.epochs, learning_rate=settings.learning_rate,
            seed=settings.seed, tell=tell,
        )
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
    if preset in _TREES:
        return _TREES[preset].load(folder, k)
    if preset == "word2vec":
        return KmerVectors.load(folder, k)
    raise SettingsError(f"train: there is no model {preset!r}.")
