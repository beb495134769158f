"""One way to fit any preset and to ask it, whatever kind of model it is.

`fit_model` trains on given rows and labels, `predict_rows` asks the model about rows, and `held_out_probabilities`
does both: a control under another split or with shuffled labels is one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neandl_core.config import TrainSettings
from neandl_core.dataset import Dataset
from neandl_core.encoding import filled_lengths, reverse_complement
from neandl_core.errors import OutputError, SettingsError
from neandl_core.metrics import score
from neandl_core.models import ENDS, LAYERS_SEEN, NETWORKS, WORDS, check_fit, parameter_count
from neandl_core.models.fits import fit_solved
from neandl_core.models.logistic import draw_rows
from neandl_core.models.solved import SolvedModel
from neandl_core.models.store import sizes_of
from neandl_core.prediction import network_probabilities, resolve_device, solved_probabilities, torch_threads

if TYPE_CHECKING:
    from neandl_core.models.store import Model

PREDICTION_COST = 0.12
"""Cost of predicting an example, in that of training on it."""
_LAYER_BYTES = 4 * 64 * 4
"""Bytes that a base of an example leaves in the layers of a network: some 64 channels, in four of them."""
_ROW_BYTES = 200
"""Bytes of an example in the tables of a training."""
_TORCH_BYTES = 300e6
SOLVING_COST = 25_000
"""Cost of a fit outright, and of the baselines of a split, in training examples of a network."""

Record = Callable[..., None]
"""Takes the fields of a record of `metrics.jsonl` by name."""
Advance = Callable[[float, str], None]
"""Called with (work done since the last call in training examples, what is being done)."""


@dataclass(frozen=True)
class Fit:
    """A fitted model and how it got there.

    Attributes
    ----------
    model
        A network in evaluation mode, or a `SolvedModel`.
    seconds_per_epoch, samples_per_second
        Of training alone; a fit outright counts as one epoch.
    notes
        What the user should know, in words.
    """

    model: Model
    seconds_per_epoch: float
    samples_per_second: float
    notes: list[str] = field(default_factory=list)

    @property
    def pace(self) -> dict[str, float]:
        """The two times as a summary holds them."""
        return {"seconds_per_epoch": self.seconds_per_epoch, "samples_per_second": self.samples_per_second}


def kmer_length(dataset: Dataset, settings: TrainSettings) -> int:
    """Return the k that a preset uses on a dataset; 0 if it reads bases."""
    return (settings.k or dataset.description.k) if settings.preset in WORDS else 0


def check_preset(dataset: Dataset, settings: TrainSettings) -> None:
    """Make sure that a preset can be trained on a dataset.

    Raises
    ------
    SettingsError
        If it cannot, with the reason.
    InputError
        If the dataset lacks a layer that the preset reads.
    """
    preset, described = settings.preset, dataset.description
    k = kmer_length(dataset, settings)
    if preset == "bilstm" and described.kind == "reads":
        short = any(
            (filled_lengths(dataset.codes[start : start + 65_536]) < described.width).any()
            for start in range(0, len(dataset.codes), 65_536)
        )
        if k == 0 or short:
            raise SettingsError(
                "train: bilstm reads the k-mers of full windows, and these are reads "
                f"{'of different lengths' if short else 'without a k-mer length'}. Use cnn-shallow or logistic."
            )
    if preset in ENDS and described.kind != "reads":
        raise SettingsError(f"train: {preset} looks at the ends of reads, and these are windows of a genome.")
    dataset.inputs(LAYERS_SEEN.get(preset, ()))
    check_fit(preset, described.width, k)


def needed_room(dataset: Dataset, settings: TrainSettings) -> tuple[float, float]:
    """Estimate the bytes of memory and of disk that training a network takes at most; models solved outright 0, 0.

    Weights, gradients and up to two numbers of the optimiser a weight, a copy for the checkpoint, what a batch leaves
    in the layers, and the table of examples; on disk the model and three checkpoints, one of them being written.
    """
    if settings.preset not in NETWORKS:
        return 0, 0
    sizes = {name: value for name, value in sizes_of(settings).items() if name in ("hidden", "filters")}
    width = dataset.description.width
    vocabulary = 4 ** kmer_length(dataset, settings)
    weights = 4.0 * parameter_count(settings.preset, width=width, vocabulary=vocabulary, **sizes)
    batch = settings.batch_size * width * _LAYER_BYTES
    memory = 5 * weights + batch + _ROW_BYTES * len(dataset.codes) + _TORCH_BYTES
    return memory, 10 * weights + _ROW_BYTES * len(dataset.codes)


def device_of(settings: TrainSettings) -> str:
    """Return where a preset is trained: `cpu` or `cuda`; models solved outright know only the former.

    Raises
    ------
    SettingsError
        If a GPU was asked for and there is none.
    """
    return str(resolve_device(settings.device)) if settings.preset in NETWORKS else "cpu"


def fit_model(
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    settings: TrainSettings,
    *,
    labels: np.ndarray | None = None,
    name: str = "main",
    record: Record | None = None,
    advance: Advance | None = None,
    checkpoint: Path | None = None,
) -> Fit:
    """Train the preset's model on some rows of a dataset.

    Parameters
    ----------
    dataset
        The examples; `check_preset` has passed.
    train, validation
        Rows to learn from, which hold both classes, and rows for the live scores. Neither may be empty.
    settings
        Preset, its settings, seed, device and threads.
    labels
        (examples,) of 0 and 1 for all rows of the dataset, in place of its own.
    name
        What records and messages call this training.
    record, advance
        Told of losses and of progress; None to go without.
    checkpoint
        File that a network replaces after each epoch; None for none.

    Raises
    ------
    SettingsError
        If the loss stops being a number, there is no such GPU, or the settings ask for too much memory.
    OutputError
        If a checkpoint cannot be written.
    """
    labels = dataset.labels if labels is None else np.asarray(labels)
    record, advance = record or _ignore, advance or _ignore
    if settings.preset not in NETWORKS:
        return _solve(dataset, train, validation, settings, labels, name, record, advance)
    import torch

    from neandl_core.training import train_network

    trained = train_network(
        dataset, train, validation, settings, torch.device(device_of(settings)), labels=labels, name=name,
        record=record, advance=advance, prediction_cost=PREDICTION_COST, checkpoint=checkpoint,
    )
    return Fit(trained.network, trained.seconds_per_epoch, trained.samples_per_second, trained.notes)


def predict_rows(
    model: Model, dataset: Dataset, settings: TrainSettings, rows: np.ndarray, advance: Advance | None = None,
    message: str = "Testing",
) -> np.ndarray:
    """Return P(label = 1) of rows of a dataset, (len(rows),) float32, by a model that `fit_model` returned.

    Raises
    ------
    OutputError
        If the GPU fails, on which alone the weights are.
    """
    advance = advance or _ignore

    def on_block(count: int) -> None:
        advance(count * PREDICTION_COST, message)

    if isinstance(model, SolvedModel):
        return solved_probabilities(model, dataset.codes, rows, on_block, settings.threads)
    import torch

    try:
        return network_probabilities(model, dataset.inputs(LAYERS_SEEN.get(settings.preset, ())), rows, on_block)
    except torch.AcceleratorError as error:
        raise OutputError(
            "The GPU failed while the model was tested. The training is kept: resume the run, and it goes on there."
        ) from error


def held_out_probabilities(
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    settings: TrainSettings,
    *,
    labels: np.ndarray | None = None,
    name: str = "control",
    record: Record | None = None,
    advance: Advance | None = None,
) -> tuple[np.ndarray, Fit]:
    """Train any preset on given rows and labels and return its P(label = 1) of the test rows.

    Parameters are those of `fit_model`; `test` are the rows to predict. Progress adds up to `fit_cost`, less the cost
    of baselines.

    Returns
    -------
    probabilities : (len(test),) float32 array
    fit : Fit
        The model, its pace and what to tell the user.
    """
    check_preset(dataset, settings)
    with torch_threads(settings.threads):
        fit = fit_model(
            dataset, train, validation, settings, labels=labels, name=name, record=record, advance=advance
        )
        return predict_rows(fit.model, dataset, settings, test, advance, f"Testing ({name})"), fit


def fit_cost(train: int, validation: int, test: int, settings: TrainSettings) -> float:
    """Return the work of fitting and testing once, from the sizes of the parts, in training examples of a network."""
    if settings.preset not in NETWORKS:
        return SOLVING_COST + PREDICTION_COST * test
    passes = train * (2 if settings.reverse_complements else 1) + PREDICTION_COST * validation
    return settings.epochs * passes + PREDICTION_COST * test


def learnt_numbers(model: Model, dataset: Dataset, settings: TrainSettings) -> int:
    """Return how many numbers the model learnt; the row for k-mers with an N is none of them."""
    if isinstance(model, SolvedModel):
        return model.parameters
    sizes = {name: value for name, value in sizes_of(settings).items() if name in ("hidden", "filters")}
    vocabulary = 4 ** kmer_length(dataset, settings)
    return parameter_count(settings.preset, width=dataset.description.width, vocabulary=vocabulary, **sizes)


def _solve(
    dataset: Dataset, train: np.ndarray, validation: np.ndarray, settings: TrainSettings, labels: np.ndarray,
    name: str, record: Record, advance: Advance,
) -> Fit:
    """Fit a model outright to the training rows, or to as many drawn from them as the settings allow."""
    message = f"Fitting ({name})"
    advance(0, message)
    began = time.perf_counter()
    most = settings.most_examples or len(train)
    rows = draw_rows(train, np.random.default_rng([settings.seed, 13]), most)
    codes, answers = dataset.codes[rows], labels[rows]
    if settings.reverse_complements:
        codes = np.concatenate([codes, reverse_complement(codes, filled_lengths(codes))])
        answers = np.concatenate([answers, answers])
    done = 0.0

    def tell(share: float) -> None:
        nonlocal done
        advance((share - done) * SOLVING_COST, message)
        done = share

    model = fit_solved(codes, answers, kmer_length(dataset, settings), settings, tell)
    seconds = time.perf_counter() - began
    tell(1.0)
    of_train, of_validation = (
        score(labels[some], solved_probabilities(model, dataset.codes, some, threads=settings.threads))
        for some in (rows, validation)
    )
    record(
        kind="epoch", run=name, epoch=1, epochs=1, train_accuracy=of_train["accuracy"],
        val_accuracy=of_validation["accuracy"],
        val_auc=None if np.isnan(of_validation["auc"]) else of_validation["auc"], seconds=seconds,
        samples_per_second=len(codes) / seconds,
    )
    notes = []
    if len(rows) < len(train):
        notes.append(f"Fitted ({name}) to {len(rows):,} of {len(train):,} training examples, drawn at random.")
    return Fit(model, seconds, len(codes) / seconds, notes)


def _ignore(*_: Any, **__: Any) -> None:
    """Take any progress or record and do nothing with it."""
