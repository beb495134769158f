"""Models at work: codes of bases in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neandl_core.errors import InputError, OutputError, SettingsError
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
BF16_DEVICES = ("cuda",)
"""Kinds of devices on which half the bits are twice the pace; a processor mostly emulates them."""
_CHUNK = 32_768


def resolve_device(name: str) -> torch.device:
    """Return the device that `auto`, `cpu`, `cuda` or `mps` stands for here.

    Raises
    ------
    SettingsError
        If a GPU was asked for and there is none.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name in there and not there[name]:
        raise SettingsError(
            "There is no GPU that torch can use here. Use --device cpu, or auto, which takes a GPU where there is one."
        )
    # A Mac's GPU is taken only when asked for: small networks are slower on it than on its processor.
    chosen = name if name in there else "cuda" if there["cuda"] and name == "auto" else "cpu"
    return torch.device(chosen)


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


def has_bf16(network: nn.Module) -> bool:
    """Return whether a network gains from bfloat16 where it is: one of convolutions or wide layers, on a GPU that can.

    The BiLSTM does not: its ten units leave nothing to save.
    """
    import torch

    device = next(network.parameters()).device
    able = device.type != "cuda" or torch.cuda.is_bf16_supported()
    return device.type in BF16_DEVICES and able and engine_of(network) == "torch"


def in_bf16(network: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """Return a context in which a network works in bfloat16 where that is wanted and helps."""
    if not wanted or not has_bf16(network):
        return nullcontext()
    import torch

    return torch.autocast(next(network.parameters()).device.type, dtype=torch.bfloat16)


def network_probabilities(
    network: nn.Module,
    codes: np.ndarray | Stack,
    rows: np.ndarray | None = None,
    on_block: Callable[[int], None] | None = None,
    *,
    bf16: bool = False,
    notes: list[str] | None = None,
) -> np.ndarray:
    """Return P(label = 1) of examples. The network stays on its device and in the mode it was in.

    If a block is more than the device's memory holds, blocks are halved, once.

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
    bf16
        Whether to work in bfloat16 where that helps.
    notes
        Added to, if blocks had to be halved.

    Returns
    -------
    array
        (n,) or (len(rows),) float32.

    Raises
    ------
    OutputError
        If the device's memory does not hold half a block either.
    """
    import torch

    device = next(network.parameters()).device
    of_cpu = FUSED_BATCH if engine_of(network) == "fused" else BATCH
    size = of_cpu if device.type == "cpu" else GPU_BATCH
    count = len(codes) if rows is None else len(rows)
    result = np.empty(count, np.float32)
    training = network.training
    network.eval()
    start, halved = 0, False
    try:
        with torch.inference_mode(), taking_threads(network), in_bf16(network, bf16):
            while start < count:
                block = codes[start : start + size] if rows is None else codes[rows[start : start + size]]
                try:
                    # A copy: torch warns of read-only memory, and a memory map is read here at the latest.
                    logits = network(torch.from_numpy(np.array(block)).to(device))
                except torch.OutOfMemoryError as error:
                    if halved or size == 1:
                        raise OutputError(
                            f"The memory of the device ({device}) does not hold {size:,} examples at a time. Free it, "
                            "or use --device cpu."
                        ) from error
                    size, halved = size // 2, True
                    if notes is not None:
                        notes.append(
                            f"Predicted {size:,} examples at a time: the memory of the device ({device}) did not hold "
                            f"{2 * size:,}."
                        )
                    continue
                result[start : start + len(block)] = torch.sigmoid(logits.float()).cpu().numpy()
                start += len(block)
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
    notes
        What the user should know of the device, in words; grows with use.
    """

    def __init__(
        self, card: ModelCard, model: SolvedModel | nn.Module, device: str, threads: int, *,
        folder: Path | None = None, bf16: bool = False,
    ) -> None:
        self.card = card
        self.notes: list[str] = []
        self._model = model
        self._threads = threads
        self._folder = folder
        self._bf16 = bf16
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
                return self._by_network(codes, on_block)
        return solved_probabilities(self._model, codes, None, on_block, self._threads)


    def _by_network(self, codes: np.ndarray, on_block: Callable[[int], None] | None) -> np.ndarray:
        """Predict, and begin again on the processor if the GPU is gone: from disk, as it cannot be read any more."""
        import torch

        told = 0

        def tell(count: int) -> None:
            nonlocal told
            told += count
            if on_block is not None:
                on_block(count)

        try:
            return network_probabilities(self._model, codes, on_block=tell, bf16=self._bf16, notes=self.notes)
        except torch.AcceleratorError:
            if self._folder is None:
                raise
        self._model = load_stored(self._folder)[1]
        self.notes.append("The GPU failed while predicting; went on with the processor.")
        again = network_probabilities(self._model, codes, notes=self.notes)
        if on_block is not None:
            on_block(len(codes) - told)
        return again


def load_model(
    folder: str | Path, device: str = "auto", threads: int = 2, *, bf16: bool = False
) -> Predictor:
    """Load the model of a `train` run.

    Parameters
    ----------
    folder
        The run's folder.
    device
        `auto`, `cpu` or `cuda`.
    threads
        Processor threads.
    bf16
        Whether to work in bfloat16 where that helps.

    Raises
    ------
    InputError
        If the folder holds no sound model.
    SettingsError
        If a GPU was asked for and there is none.
    """
    return Predictor(*load_stored(folder), device, threads, folder=Path(folder), bf16=bf16)
