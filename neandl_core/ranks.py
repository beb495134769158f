"""One training by several processes (ranks): each takes a share of every batch, and their gradients are added up.

The processes are started by torchrun. Every one of them holds the whole network and takes the same steps, so that they
stay equal; with one process the same batches give the same parameters, but for rounding. What a batch has in common is
kept so: batch normalisation counts over all shares, and dropout is drawn for the whole batch and cut into shares.
Only the first process writes.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn

from neandl_core.devices import torchrun_rank
from neandl_core.errors import SettingsError

PATIENCE = timedelta(days=7)
"""The others wait while the first process tests and writes, however long that takes; a dead one is noticed at once."""
LAUNCHER = "NEANDL_LAUNCHER"
"""Environment variable with the number of the process that started the others."""
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Share:
    """A process's rows of a batch, `start` to `stop` of `total`, and how many processes hold the same rows."""

    start: int
    stop: int
    total: int
    alike: int = 1

    @property
    def weight(self) -> float:
        """The share's part of the batch's mean loss."""
        return (self.stop - self.start) / (self.total * self.alike)


_current: Share | None = None


def process_count() -> int:
    """Return how many processes train together; 1 outside of a group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def share_of(total: int) -> Share:
    """Return this process's share of a batch of so many rows.

    A batch with fewer rows than there are processes is done by all of them.
    """
    count = process_count()
    if total < count:
        return Share(0, total, total, count)
    rank = distributed.get_rank() if count > 1 else 0
    return Share(rank * total // count, (rank + 1) * total // count, total)


@contextmanager
def working_on(share: Share) -> Iterator[None]:
    """Let the layers of a network know that their input is a share of a batch."""
    global _current
    before, _current = _current, share if process_count() > 1 else None
    try:
        yield
    finally:
        _current = before


def current_share() -> Share | None:
    """Return the share that a network in training works on; None where it has the whole batch."""
    return _current


class _Sum(torch.autograd.Function):
    """A sum over all processes, whose slope is the sum of their slopes."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        total = slope.clone()
        distributed.all_reduce(total)
        return total


def batch_moments(values: torch.Tensor, share: Share) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return mean and variance of each channel over the whole batch, and over how many numbers they are taken.

    Parameters
    ----------
    values
        (rows of the share, channels, ...).
    share
        The share.
    """
    axes = [axis for axis in range(values.dim()) if axis != 1]
    shape = [1, -1] + [1] * (values.dim() - 2)
    counted = share.total * (values[0, 0].numel() if len(values) else 1)
    # In double precision: the sums are those of one process, whatever the shares.
    mean = (_Sum.apply(values.sum(axes, dtype=torch.float64)) / (counted * share.alike)).to(values.dtype)
    squares = (values - mean.view(shape)).square().sum(axes, dtype=torch.float64)
    variance = (_Sum.apply(squares) / (counted * share.alike)).to(values.dtype)
    return mean, variance, counted


class Dropout(nn.Dropout):
    """Dropout that leaves out the same values of a batch, however many processes share it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values with some set to 0 and the others enlarged, in training; else as they are."""
        share = current_share()
        if share is None or not self.training:
            return super().forward(values)
        whole = values.new_ones((share.total, *values.shape[1:]))
        if values.dim() == 4:
            whole = whole.contiguous(memory_format=_layout(values))
        return values * nn.functional.dropout(whole, self.p, training=True)[share.start : share.stop]


def _layout(values: torch.Tensor) -> torch.memory_format:
    last = values.is_contiguous(memory_format=torch.channels_last) and not values.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def add_up(network: nn.Module, share: Share, loss: float, right: int) -> tuple[float, int]:
    """Add up the gradients of all shares in place, and return the whole batch's mean loss and right answers.

    Parameters
    ----------
    network
        After the backward pass of its share's loss times `share.weight`.
    share
        The share.
    loss, right
        The share's mean loss and number of right answers.
    """
    if process_count() == 1:
        return loss, right
    given = [parameter for parameter in network.parameters() if parameter.grad is not None]
    dense = [parameter.grad for parameter in given if not parameter.grad.is_sparse]
    together = torch.cat([gradient.reshape(-1) for gradient in dense])
    distributed.all_reduce(together)
    for gradient, summed in zip(dense, together.split([one.numel() for one in dense]), strict=True):
        gradient.copy_(summed.view_as(gradient))
    for parameter in given:
        if parameter.grad.is_sparse:
            parameter.grad = _joined(parameter.grad)
    sums = torch.tensor(
        [loss * share.weight, right / share.alike], dtype=torch.float64, device=together.device
    )
    distributed.all_reduce(sums)
    return float(sums[0]), round(float(sums[1]))


def _joined(gradient: torch.Tensor) -> torch.Tensor:
    """Put the rows of all processes' sparse gradients one after another, as one process would have them."""
    places, values = gradient._indices()[0], gradient._values()
    count = process_count()
    sizes = [torch.zeros(1, dtype=torch.int64, device=values.device) for _ in range(count)]
    distributed.all_gather(sizes, torch.tensor([len(places)], device=values.device))
    sizes = [int(size) for size in sizes]
    longest = max(sizes)
    all_places = [places.new_zeros(longest) for _ in range(count)]
    all_values = [values.new_zeros(longest, values.shape[1]) for _ in range(count)]
    distributed.all_gather(all_places, nn.functional.pad(places, (0, longest - len(places))))
    distributed.all_gather(all_values, nn.functional.pad(values, (0, 0, 0, longest - len(places))))
    return torch.sparse_coo_tensor(
        torch.cat([one[:size] for one, size in zip(all_places, sizes, strict=True)]).unsqueeze(0),
        torch.cat([one[:size] for one, size in zip(all_values, sizes, strict=True)]),
        gradient.shape, check_invariants=False,
    )


def of_first(value: Any) -> Any:
    """Return the first process's value in all of them; numbers, text, and lists and dictionaries of these."""
    if process_count() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


@contextmanager
def joined_group(device: torch.device) -> Iterator[None]:
    """Join the group of a process that torchrun has started; it is left at the end, and ended if torchrun dies.

    Raises
    ------
    SettingsError
        If there are fewer GPUs than processes on this machine.
    """
    if torchrun_rank() is None:
        yield
        return
    here, backend = int(os.environ["LOCAL_RANK"]), "gloo"
    if device.type == "cuda":
        there, wanted = torch.cuda.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
        if there < wanted:
            raise SettingsError(
                f"train: {wanted} processes need a GPU each, and there {'is' if there == 1 else 'are'} {there}. Use "
                f"--processes {there}, or --device cpu."
            )
        torch.cuda.set_device(here)
        backend = "cpu:gloo,cuda:nccl"
    # Who started this process may be gone already; then its parent is another one.
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))
    threading.Thread(target=_end_with, args=(launcher,), daemon=True).start()
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: torchrun starts each in a session of its own."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def leave() -> None:
    """End this process, whose work is done, at once.

    Taking the interpreter apart, threads of torch abort now and then; torchrun would then end the first process too,
    which may still be testing and writing.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run_together(processes: int, words: Sequence[str]) -> int:
    """Run ``python -m neandl_core WORDS`` in so many processes by torchrun; return 0 if all ended well, else 1.

    If one ends otherwise, or this process is told to end, all are ended.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    # Each process says itself what was wrong; torchrun would print a page about it.
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ[LAUNCHER] = str(os.getpid())
    try:
        torchrun([
            "--standalone", "--nproc-per-node", str(processes), "--max-restarts", "0", "--module", "neandl_core", *words
        ])
    except (ChildFailedError, SignalException, KeyboardInterrupt):
        return 1
    return 0
