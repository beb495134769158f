"""Compiled work shared out among threads.

The threads are this process's own and no pool of OpenMP's or numba's: nobody spins while waiting, and the next piece
of work goes to whoever is free, which matters where another process has a core.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

MOST_THREADS = 256
_pool = ThreadPoolExecutor(MOST_THREADS, "neandl")
_taken_over = 0


def sharing_threads() -> int:
    """Return among how many threads compiled work is shared out: as many as torch uses, or was told to before."""
    return min(_taken_over or torch.get_num_threads(), MOST_THREADS)


@contextmanager
def threads_taken_over() -> Iterator[None]:
    """Give torch's threads to compiled work for a while, and leave torch one for the little that remains to it.

    Between two operations torch's OpenMP threads spin by default, on cores that compiled work then has to share: with
    another process beside it on two cores, training was three times slower so.
    """
    global _taken_over
    before, of_torch = _taken_over, torch.get_num_threads()
    _taken_over = sharing_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _taken_over = before
        torch.set_num_threads(of_torch)


def share_out(count: int, work: Callable[[int], None]) -> None:
    """Call work(0) to work(count - 1) from `sharing_threads()` threads, this one among them.

    Parameters
    ----------
    count
        Pieces of work.
    work
        Does one, in compiled code that lets other threads run.
    """
    numbers = itertools.count()

    def take() -> None:
        # `next` of a counter is one step of the interpreter: no two threads get the same number.
        while (number := next(numbers)) < count:
            work(number)

    others = [_pool.submit(take) for _ in range(min(sharing_threads(), count) - 1)]
    take()
    for other in others:
        other.result()
