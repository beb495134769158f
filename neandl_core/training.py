"""The one training loop, for every network: seed, batches, epochs, live records, checkpoints.

Batches come from the memory-mapped bases, or from the GPU that keeps them; k-mers are hashed inside the network. The
order of an epoch follows from the seed and the epoch's number alone, so a run can be taken up at any epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neandl_core import ranks
from neandl_core.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from neandl_core.config import TrainSettings
from neandl_core.dataset import Dataset
from neandl_core.errors import OutputError, SettingsError
from neandl_core.metrics import accuracy, auc, confusion
from neandl_core.models import BILSTM_HIDDEN, ENDS, LAYERS_SEEN
from neandl_core.models.compiling import obstacle
from neandl_core.models.ends import refit_damage
from neandl_core.models.feeding import Feed
from neandl_core.models.networks import build
from neandl_core.models.rmsprop import RowRMSprop
from neandl_core.models.store import sizes_of
from neandl_core.prediction import engine_of, has_bf16, in_bf16, network_probabilities, taking_threads

RECORD_SECONDS = 1.0
"""Time between two records of the loss within an epoch."""
PLATEAU_MARGIN = 0.003
"""A training loss no further than this below that of guessing the class sizes means that nothing was learnt."""

GPU_STEPS = 32
"""Steps between two looks at the loss on a GPU that keeps all examples."""

RESTART_STEPS = 100
"""A first epoch of so many steps that still learnt nothing is begun again from another seed."""

ANNEALED = (*ENDS, "cnn-windows")
"""Presets whose learning rate falls as half a cosine."""
OPTIMISERS = {
    "bilstm": "RMSprop, alpha 0.9, epsilon 1e-7 added outside the square root",
    "cnn-shallow": "SGD, momentum 0.9, learning rate divided by 1 + step * rate / epochs",
    "cnn-deep": "SGD, momentum 0.9, learning rate divided by 10 (not below 0.001) after 5 epochs without a lower "
    "validation loss",
    "cnn-windows": "AdamW, weight decay 0.01, rate falling as half a cosine",
    "bag-of-kmers-mlp": "SGD, momentum 0.9, on the loss and an L1 penalty on the first layer's weights",
    "bag-of-kmers-forest": "CART trees on bootstrap samples, Gini impurity, square root of the counts tried at a node",
    "boosting": "gradient boosting on the log-likelihood, counts in at most 255 bins",
    "word2vec": "CBOW with 5 negative samples; L-BFGS on the L2-penalised log-likelihood of the mean vectors",
    **dict.fromkeys(ENDS, "AdamW, weight decay 0.05, rate falling as half a cosine"),
    "logistic": "L-BFGS on the L2-penalised log-likelihood",
}
"""Optimisers in words, for the model card."""

Advance = Callable[[float, str], None]
"""Called with (examples worked on since the last call, what is being done)."""
Record = Callable[..., None]
"""Takes the fields of a record of `metrics.jsonl` by name."""


@dataclass(frozen=True)
class Trained:
    """A trained network and how it got there.

    Attributes
    ----------
    network
        On its device, in evaluation mode.
    epochs
        One record an epoch, as in `metrics.jsonl`.
    seconds_per_epoch, samples_per_second
        Medians over epochs, of training alone, without validation.
    notes
        What the user should know, in words.
    """

    network: nn.Module
    epochs: list[dict[str, Any]]
    seconds_per_epoch: float
    samples_per_second: float
    notes: list[str] = field(default_factory=list)


def make_optimiser(preset: str, network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Return the preset's published optimiser.

    RMSprop adds its epsilon outside the square root, as torch does. Keras 3 adds it inside: with gradients as small
    as the BiLSTM's first ones (1e-6 to 5e-6) that damps the updates to a few thousandths, and at batch 256 the
    network then never leaves its start (3 of 3 seeds, against 0 of 3).
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if preset == "bilstm":
        return RowRMSprop(parameters, lr=learning_rate, alpha=0.9, eps=1e-7)
    if preset in ANNEALED:
        return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.05 if preset in ENDS else 0.01)
    return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9)


def step_rate(settings: TrainSettings, step: int, steps: int = 1) -> float:
    """Return the learning rate of a step counted from 0, of so many in an epoch.

    The shallow CNN has the published time decay, networks on ends or windows half a cosine, others a constant.
    """
    if settings.preset in ANNEALED:
        return settings.learning_rate * (1 + np.cos(np.pi * step / (steps * settings.epochs))) / 2
    if settings.preset == "cnn-shallow":
        return settings.learning_rate / (1 + settings.learning_rate / settings.epochs * step)
    return settings.learning_rate


class Plateau:
    """Lowers the rate of a preset whose validation loss no longer falls, as Keras' ReduceLROnPlateau does."""

    PATIENCE, FACTOR, LOWEST, MARGIN = 5, 0.1, 1e-3, 1e-4

    def __init__(self) -> None:
        self.scale, self._best, self._waited = 1.0, np.inf, 0

    def look(self, loss: float, rate: float) -> None:
        """Take in an epoch's validation loss; `rate` is the rate that training began with."""
        if loss < self._best - self.MARGIN:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.PATIENCE:
            self.scale, self._waited = max(self.scale * self.FACTOR, min(1.0, self.LOWEST / rate)), 0


def train_network(
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    settings: TrainSettings,
    device: torch.device,
    *,
    labels: np.ndarray,
    name: str,
    record: Record,
    advance: Advance,
    prediction_cost: float,
    checkpoint: Path | None,
) -> Trained:
    """Train a network on some rows of a dataset.

    Some starts never leave the loss of guessing. If the first epoch ends there, training begins once more from a seed
    derived from the first, and the notes say so. The bag of k-mers is exempt: at its small rate one epoch is too few.

    Parameters
    ----------
    dataset
        The examples.
    train, validation
        Rows to learn from, and rows whose scores the live curves show; neither may be empty.
    settings
        Preset, epochs, batch size, learning rate, seed.
    device
        Where to train.
    labels
        (examples,) of 0 and 1, one for each row of the dataset: its own, or shuffled ones.
    name
        What records call this training: `main`, or the split of a control.
    record, advance
        Told of losses and of progress.
    prediction_cost
        Cost of predicting an example in that of training on it, for progress.
    checkpoint
        File replaced after each epoch; none if None. If it holds epochs of this training, they are not done again.

    Raises
    ------
    SettingsError
        If the loss stops being a number.
    OutputError
        If a checkpoint cannot be written.
    """
    labels = labels.astype(np.float32)
    inputs = dataset.inputs(LAYERS_SEEN.get(settings.preset, ()))
    feed = Feed(inputs, labels, device)
    network, optimiser = _start(dataset, settings, device, train, labels)
    guess = _guessing_loss(labels[train])
    epochs: list[dict[str, Any]] = []
    used, notes, plateau = settings, [], Plateau()
    kept = None if checkpoint is None else load_checkpoint(checkpoint, name, settings)
    if kept is not None:
        epochs, notes, used = kept.epochs, kept.notes, kept.settings
        network, optimiser = _start(dataset, used, device, train, labels)
        kept.restore(network, optimiser)
        plateau.__dict__.update(kept.plateau)
        done = len(train) * (2 if used.reverse_complements else 1) + len(validation) * prediction_cost
        advance(done * len(epochs), f"Going on ({name}) after epoch {len(epochs)} of {settings.epochs}")
    elif engine_of(network) == "nn.LSTM" and device.type == "cpu":
        why = obstacle() or f"compiled for {BILSTM_HIDDEN} hidden units alone, and these are {network.hidden}"
        notes.append(f"Trained ({name}) with torch's own LSTM, several times slower than compiled: {why}.")
    if settings.bf16 and not has_bf16(network):
        notes.append(f"Trained ({name}) in single precision: bfloat16 helps networks other than bilstm, on a GPU.")
    while len(epochs) < settings.epochs:
        epoch = len(epochs) + 1
        message = f"Training ({name}), epoch {epoch} of {settings.epochs}"
        try:
            with taking_threads(network), _seeded(used.seed, epoch, device):
                result = _train_epoch(
                    network, optimiser, feed, train, used, epoch, plateau.scale,
                    record=lambda **values: record(kind="batch", run=name, **values),
                    advance=lambda count, message=message: advance(count, message),
                )
            if ranks.is_first():
                probabilities = network_probabilities(
                    network, inputs, validation,
                    lambda count, message=message: advance(count * prediction_cost, message), notes=notes,
                )
        except torch.OutOfMemoryError as error:
            if ranks.process_count() > 1:
                raise OutputError(
                    f"The memory of one of the devices ({device}) does not hold its share of batches of "
                    f"{used.batch_size:,}. Use a smaller --batch-size."
                ) from error
            if used.batch_size < settings.batch_size or used.batch_size == 1:
                raise OutputError(
                    f"The memory of the device ({device}) does not hold this training, even with batches of "
                    f"{used.batch_size:,}. Use a smaller --batch-size, or --device cpu."
                ) from error
            used = used.model_copy(update={"batch_size": used.batch_size // 2})
            notes.append(
                f"Started again ({name} training) with batches of {used.batch_size:,}: the memory of the device "
                f"({device}) did not hold {settings.batch_size:,}."
            )
            network, optimiser = _start(dataset, used, device, train, labels)
            epochs, plateau = [], Plateau()
            record(kind="restart", run=name, batch_size=used.batch_size)
            continue
        except torch.AcceleratorError:
            if ranks.process_count() > 1:
                raise  # The others cannot go on without this one; the run can be resumed from its checkpoint.
            # The GPU is gone, or has failed. What is on it cannot be read any more, the last checkpoint can.
            device = torch.device("cpu")
            feed = Feed(inputs, labels, device)
            network, optimiser = _start(dataset, used, device, train, labels)
            kept = None if checkpoint is None else load_checkpoint(checkpoint, name, settings)
            epochs, plateau = [], Plateau()
            if kept is not None:
                epochs = kept.epochs
                kept.restore(network, optimiser)
                plateau.__dict__.update(kept.plateau)
            notes.append(f"The GPU failed during epoch {epoch} ({name} training); went on with the processor.")
            continue
        stuck = used.seed == settings.seed and epoch == 1 and result["train_loss"] > guess - PLATEAU_MARGIN
        steps = -(-len(train) // settings.batch_size)
        if stuck and steps >= RESTART_STEPS and settings.preset != "bag-of-kmers-mlp":
            seed = int(np.random.default_rng([settings.seed, 23]).integers(2**32))
            used = used.model_copy(update={"seed": seed})
            network, optimiser = _start(dataset, used, device, train, labels)
            record(kind="restart", run=name, seed=seed, train_loss=result["train_loss"])
            notes.append(
                f"Started again ({name} training) from seed {seed}: the first epoch from seed {settings.seed} ended "
                f"with a loss of {result['train_loss']:.4f}, no better than guessing."
            )
            continue
        values = {"epoch": epoch, "epochs": settings.epochs, **result}
        if ranks.is_first():
            values |= _validation_scores(labels[validation], probabilities)
        values = ranks.of_first(values)
        if settings.preset == "cnn-deep":
            plateau.look(values["val_loss"], settings.learning_rate)
        record(kind="epoch", run=name, **values)
        epochs.append(values)
        if checkpoint is not None and ranks.is_first():
            state = Checkpoint(name, used, epochs, notes, dict(plateau.__dict__))
            save_checkpoint(checkpoint, network, optimiser, state)
    if epochs[-1]["train_loss"] > guess - PLATEAU_MARGIN:
        notes.append(
            f"Nothing was learnt ({name} training): after {settings.epochs} epochs the training loss is "
            f"{epochs[-1]['train_loss']:.4f}, and guessing from the class sizes alone gives {guess:.4f}. "
            "Another seed, a smaller batch or more epochs may leave this plateau."
        )
    seconds = float(np.median([values["seconds"] for values in epochs]))
    pace = float(np.median([values["samples_per_second"] for values in epochs]))
    return Trained(network.eval(), epochs, seconds, pace, notes)


def _start(
    dataset: Dataset, settings: TrainSettings, device: torch.device, train: np.ndarray, labels: np.ndarray
) -> tuple[nn.Module, torch.optim.Optimizer]:
    described = dataset.description
    k = settings.k or described.k
    network = build(settings.preset, described.width, k, settings.seed, sizes_of(settings))
    if settings.preset in ENDS and settings.preset in LAYERS_SEEN:
        inputs = dataset.inputs(LAYERS_SEEN[settings.preset])
        refit_damage(network, lambda rows: inputs[train[rows]], labels[train])
    network = network.to(device)
    return network, make_optimiser(settings.preset, network, settings.learning_rate)


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Let dropout draw from the seed and the epoch's number alone, and leave torch's own random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.default_rng([seed, 29, epoch]).integers(2**63)))
        yield


def _train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    feed: Feed,
    train: np.ndarray,
    settings: TrainSettings,
    epoch: int,
    scale: float,
    *,
    record: Record,
    advance: Callable[[int], None],
) -> dict[str, float]:
    """Go once over the training rows, and over their reverse complements where the preset asks for them."""
    both = settings.reverse_complements
    count = len(train) * (2 if both else 1)
    order = np.random.default_rng([settings.seed, 11, epoch]).permutation(count)
    steps = -(-count // settings.batch_size)
    penalised = hasattr(network, "penalty")
    sums = _Sums()
    # Reading a number from a GPU waits until it has done all it was given.
    together = GPU_STEPS if feed.resident and ranks.process_count() == 1 else 1
    started = last = time.perf_counter()
    network.train()
    for step, start in enumerate(range(0, count, settings.batch_size)):
        places = order[start : start + settings.batch_size]
        share = ranks.share_of(len(places))
        places = places[share.start : share.stop]
        # Places past the end of the training rows stand for the other strands.
        batch, target = feed.batch(train[places % len(train)], places >= len(train) if both else None)
        with ranks.working_on(share), in_bf16(network, settings.bf16):
            logits = network(batch)
        logits = logits.float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        value, hits = loss.detach(), ((logits.detach() > 0) == (target > 0)).sum()
        if penalised:
            loss = loss + network.penalty()
        optimiser.zero_grad()
        (loss if share.weight == 1 else loss * share.weight).backward()
        if ranks.process_count() > 1:
            value, hits = ranks.add_up(network, share, float(value), int(hits))
        sums.keep(step, value, hits, share.total)
        recorded = step == steps - 1 or time.perf_counter() - last >= RECORD_SECONDS
        if recorded or len(sums.waiting) == together:
            failed = sums.settle()
            if failed is not None:
                raise SettingsError(
                    f"train: the loss stopped being a number in epoch {epoch}, step {failed + 1:,}. "
                    f"Use a smaller --learning-rate than {settings.learning_rate:g}."
                )
        for group in optimiser.param_groups:
            group["lr"] = scale * step_rate(settings, (epoch - 1) * steps + step, steps)
        optimiser.step()
        if recorded:
            now = time.perf_counter()
            record(
                epoch=epoch, step=(epoch - 1) * steps + step + 1, loss=sums.recent_loss / sums.recent,
                done=(epoch - 1 + (step + 1) / steps) / settings.epochs, samples_per_second=sums.recent / (now - last),
            )
            advance(sums.recent)
            last, sums.recent_loss, sums.recent = now, 0.0, 0
    seconds = time.perf_counter() - started
    return {
        "train_loss": sums.loss / count, "train_accuracy": sums.right / count, "seconds": seconds,
        "samples_per_second": count / seconds,
    }


class _Sums:
    """Losses and right answers of an epoch, read from the device some steps at a time."""

    def __init__(self) -> None:
        self.loss = self.recent_loss = 0.0
        self.right = self.recent = 0
        self.waiting: list[tuple[int, torch.Tensor | float, torch.Tensor | int, int]] = []

    def keep(self, step: int, loss: torch.Tensor | float, right: torch.Tensor | int, total: int) -> None:
        """Put aside a step's mean loss and right answers in a batch of so many examples."""
        self.waiting.append((step, loss, right, total))

    def settle(self) -> int | None:
        """Add up what was put aside; return the first step whose loss is no number, None if all are."""
        for step, loss, right, total in self.waiting:
            value = float(loss)
            if not np.isfinite(value):
                return step
            self.loss += value * total
            self.recent_loss += value * total
            self.recent += total
            self.right += int(right)
        self.waiting = []
        return None


def _validation_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    sure = np.clip(probabilities.astype(float), 1e-7, 1 - 1e-7)
    area = auc(labels, probabilities)
    return {
        "val_loss": float(-np.mean(np.where(labels == 1, np.log(sure), np.log1p(-sure)))),
        "val_accuracy": accuracy(confusion(labels, probabilities)),
        "val_auc": None if np.isnan(area) else area,
    }


def _guessing_loss(labels: np.ndarray) -> float:
    """Return the loss of always answering the share of ones: the entropy of the class sizes, in nats."""
    share = float(labels.mean())
    return -sum(part * np.log(part) for part in (share, 1 - share) if part > 0)
