"""Models at work: codes of bases in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neandl_core.errors import InputError, SettingsError
from neandl_core.models import LAYERS_SEEN
from neandl_core.models.solved import SolvedModel
from neandl_core.models.store import ModelCard, load_stored

if TYPE_CHECKING:
    import torch
    from torch import nn

    from neandl_core.dataset import Stack

BATCH = 512
"""Examples per pass on a CPU: larger ones leave its caches and take twice as long."""
FUSED_BATCH = 4096
"""Examples per pass of the compiled BiLSTM, which cuts them into blocks of its own."""
GPU_BATCH = 16_384
_CHUNK = 32_768


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda` stands for here.

    Raises
    ------
    SettingsError
        If a GPU was asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise SettingsError(
            "There is no GPU that torch can use here. Use --device cpu, or auto, which takes a GPU where there is one."
        )
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch, and compiled work in its place, use so many threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def taking_threads(network: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which a network that runs compiled kernels has torch's threads for them."""
    if engine_of(network) != "fused":
        return nullcontext()
    from neandl_core.models.sharing import threads_taken_over

    return threads_taken_over()


def engine_of(network: SolvedModel | nn.Module) -> str:
    """Return what runs a model: `fused` or `nn.LSTM` for the BiLSTM, a library for the others."""
    if isinstance(network, SolvedModel):
        return network.engine
    return getattr(network, "engine", "torch")


def network_probabilities(
    network: nn.Module,
    codes: np.ndarray | Stack,
    rows: np.ndarray | None = None,
    on_block: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Return P(label = 1) of examples. The network stays on its device and in the mode it was in.

    Parameters
    ----------
    network
        Takes uint8 codes, returns logits.
    codes
        (n, width) uint8, or (n, layers, width) for a network that reads more than bases; may be memory-mapped.
    rows
        Rows to look at, in this order; all if None.
    on_block
        Told the number of examples after each block.

    Returns
    -------
    array
        (n,) or (len(rows),) float32.
    """
    import torch

    device = next(network.parameters()).device
    of_cpu = FUSED_BATCH if engine_of(network) == "fused" else BATCH
    size = of_cpu if device.type == "cpu" else GPU_BATCH
    count = len(codes) if rows is None else len(rows)
    result = np.empty(count, np.float32)
    training = network.training
    network.eval()
    try:
        with torch.inference_mode(), taking_threads(network):
            for start in range(0, count, size):
                block = codes[start : start + size] if rows is None else codes[rows[start : start + size]]
                # A copy: torch warns of read-only memory, and a memory map is read here at the latest.
                logits = network(torch.from_numpy(np.array(block)).to(device))
                result[start : start + len(block)] = torch.sigmoid(logits).cpu().numpy()
                if on_block is not None:
                    on_block(len(block))
    finally:
        network.train(training)
    return result


def solved_probabilities(
    model: SolvedModel,
    codes: np.ndarray,
    rows: np.ndarray | None = None,
    on_block: Callable[[int], None] | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Return P(label = 1) of examples by a model that is no network; parameters as of `network_probabilities`."""
    result = np.empty(len(codes) if rows is None else len(rows), np.float32)
    for start in range(0, len(result), _CHUNK):
        block = codes[start : start + _CHUNK] if rows is None else codes[rows[start : start + _CHUNK]]
        result[start : start + len(block)] = model.probabilities(block, threads)
        if on_block is not None:
            on_block(len(block))
    return result


class Predictor:
    """A stored model, ready to use.

    Attributes
    ----------
    card
        What the model is: width, classes, threshold.
    """

    def __init__(self, card: ModelCard, model: SolvedModel | nn.Module, device: str, threads: int) -> None:
        self.card = card
        self._model = model
        self._threads = threads
        if not isinstance(model, SolvedModel):
            model.to(resolve_device(device))

    def probabilities(self, codes: np.ndarray, on_block: Callable[[int], None] | None = None) -> np.ndarray:
        """Return P(label = 1).

        Parameters
        ----------
        codes
            (n, width) uint8 codes of bases, as wide as the examples the model was trained on; n may be 0. Models that
            read further layers take (n, layers, width).
        on_block
            Told the number of examples after each block.

        Returns
        -------
        array
            (n,) float32.

        Raises
        ------
        InputError
            If the width or the number of layers differs.
        """
        layers = LAYERS_SEEN.get(self.card.preset, ())
        wanted = (1 + len(layers), self.card.width) if layers else (self.card.width,)
        if codes.shape[1:] != wanted:
            raise InputError(
                f"this model takes sequences of {self.card.width} bases"
                f"{f' and {len(layers)} layers more' if layers else ''}, and got an array of shape {codes.shape}"
            )
        if not isinstance(self._model, SolvedModel):
            with torch_threads(self._threads):
                return network_probabilities(self._model, codes, on_block=on_block)
        return solved_probabilities(self._model, codes, None, on_block, self._threads)


def load_model(folder: str | Path, device: str = "auto", threads: int = 2) -> Predictor:
    """Load the model of a `train` run.

    Parameters
    ----------
    folder
        The run's folder.
    device
        `auto`, `cpu` or `cuda`.
    threads
        Processor threads.

    Raises
    ------
    InputError
        If the folder holds no sound model.
    SettingsError
        If a GPU was asked for and there is none.
    """
    return Predictor(*load_stored(folder), device, threads)
