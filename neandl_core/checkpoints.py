"""Checkpoints of a training: written after each epoch so that a kill at any moment leaves the old or the new one."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neandl_core.config import TrainSettings
from neandl_core.errors import OutputError
from neandl_core.resources import fault_sentence


@dataclass
class Checkpoint:
    """A training after an epoch; everything later follows from it, the settings and the data.

    Attributes
    ----------
    name
        What records call the training: `main`, or the split of a control.
    settings
        As used; the seed or the batch may differ from the run's own after a restart.
    epochs
        One record an epoch.
    notes
        What the user should know, in words.
    plateau
        State of the schedule that looks at the validation loss.
    """

    name: str
    settings: TrainSettings
    epochs: list[dict[str, Any]]
    notes: list[str]
    plateau: dict[str, float]
    _tensors: dict[str, Any] = field(default_factory=dict, repr=False)

    def restore(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Give a network and an optimiser the state that was saved."""
        network.load_state_dict(self._tensors["model"])
        optimiser.load_state_dict(self._tensors["optimiser"])


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, state: Checkpoint) -> None:
    """Replace a checkpoint; it holds only tensors, numbers and text, so torch loads it with `weights_only=True`.

    Raises
    ------
    OutputError
        If it cannot be written, for example as the disk is full.
    """
    temporary = path.with_suffix(".tmp")
    content = {
        "run": state.name, "epoch": len(state.epochs), "settings": state.settings.model_dump(),
        "epochs": state.epochs, "notes": state.notes, "plateau": state.plateau,
        "model": network.state_dict(), "optimiser": optimiser.state_dict(),
    }
    try:
        with temporary.open("wb") as handle:
            torch.save(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        sentence = fault_sentence(error, path.parent)
        temporary.unlink(missing_ok=True)
        raise OutputError(sentence or f"The checkpoint cannot be written to {path.parent}: {error}.") from None


def load_checkpoint(path: Path, name: str, settings: TrainSettings) -> Checkpoint | None:
    """Return the checkpoint of a training; None if there is none, or it is of another training.

    Parameters
    ----------
    path
        The file.
    name, settings
        The training that wants to go on. Seed and batch may differ, as after a restart.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = Checkpoint(
            content["run"], TrainSettings(**content["settings"]), content["epochs"], content["notes"],
            content["plateau"], {"model": content["model"], "optimiser": content["optimiser"]},
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None  # Of an older layout, or damaged on disk: the training begins anew, with the same result.
    # Where it runs does not belong to what is trained.
    free = ("seed", "batch_size", "device", "threads", "processes")
    same = found.settings.model_dump(exclude=set(free)) == settings.model_dump(exclude=set(free))
    return found if same and found.name == name and found.epochs else None
