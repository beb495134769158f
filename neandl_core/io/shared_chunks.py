"""A BAM's records dealt out to several workers, each of which unpacks bytes and looks at records while they are near.

The file is taken in parts. Any worker unpacks any part. Where a part's last record ends is known only when the part
before it was walked through, so that is done in turn; it takes a twentieth of the time. Whoever has walked through a
part looks at its records. A worker that is held up, as on a core that it shares with other programs, holds nobody up
for long: the others go on with the parts after its own, as many as there is memory set aside for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np

from neandl_core.errors import InputError
from neandl_core.io.bgzf import GROUP, HEADROOM, MAX_PLAIN, BgzfFile, Block, take_group
from neandl_core.io.records import OK, whole_records

LOOK_SECONDS = 0.1
"""Between two tellings of the progress."""
PARTS_EACH = 8
"""Parts under way for each worker, half a megabyte each: what one unpacks while a held-up one waits for its core."""
Worker = Callable[[np.ndarray, int], None]
"""Called with whole records one after another, valid during the call, and how many records precede them in the file."""
Tell = Callable[[int], None]
"""Called with the compressed bytes read."""


class _Part(NamedTuple):
    """A part of the file: its place among the parts, its blocks, memory for their bytes and where these end there."""

    number: int
    blocks: list[Block]
    buffer: np.ndarray
    end: int


class SharedChunks:
    """One reading of a file by several workers.

    Parameters
    ----------
    file
        The file.
    skip
        Plain bytes before the first record.

    Attributes
    ----------
    records
        Whole records met.
    tail
        What follows the last whole record: bytes of a record that the file ends in, or that cannot be one.
    impossible
        Whether what follows cannot be a record.
    """

    def __init__(self, file: BgzfFile, skip: int) -> None:
        self.records = 0
        self.tail = b""
        self.impossible = False
        self._file = file
        self._blocks = file.blocks()
        self._skip = skip
        self._told = threading.Condition()
        self._free: list[np.ndarray] = []
        self._unpacked: dict[int, _Part] = {}
        self._taken = 0
        self._turn = 0
        self._walking = False
        self._parts: int | None = None
        """How many there are, once it is known; after a fault, those before it."""
        self._stopped = False
        self._done = 0
        self._kept = 0
        self._faults: list[tuple[int, InputError]] = []

    def read(self, workers: Sequence[Worker], tell: Tell) -> None:
        """Give all records to the workers, each of which has a thread.

        Raises
        ------
        InputError
            The first one of the file: of a damaged block, or raised by a worker. What comes after may have been seen.
        """
        size = HEADROOM + GROUP * MAX_PLAIN
        self._free = [np.empty(size, np.uint8) for _ in range(PARTS_EACH * len(workers))]
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                futures = [pool.submit(self._work, worker) for worker in workers]
                while wait(futures, LOOK_SECONDS).not_done:
                    tell(self._done)
            finally:
                self._stop()
        for future in futures:
            future.result()
        # What was found in parts after an impossible record was found too late to be believed.
        faults = [fault for fault in self._faults if not self.impossible or fault[0] <= self._turn]
        if faults:
            raise min(faults, key=lambda fault: fault[0])[1]
        tell(self._done)

    def _work(self, worker: Worker) -> None:
        finished = False
        try:
            while (part := self._next()) is not None:
                try:
                    if part.end < HEADROOM:
                        self._unpack(part)
                    else:
                        self._look(part, worker)
                except InputError as error:
                    self._end(part.number, error)
            finished = True
        finally:
            if not finished:
                self._stop()

    def _next(self) -> _Part | None:
        """Return the part whose turn it is, else one to unpack; None if there is nothing left to do."""
        with self._told:
            while not self._stopped and (self._parts is None or self._turn < self._parts):
                if not self._walking and self._turn in self._unpacked:
                    self._walking = True
                    return self._unpacked.pop(self._turn)
                if self._parts is None and self._free:
                    blocks, fault, ended = take_group(self._blocks)
                    number, self._taken = self._taken, self._taken + bool(blocks)
                    if ended:
                        self._parts = self._taken
                        self._told.notify_all()
                    if fault is not None:
                        self._faults.append((self._taken, fault))
                    if blocks:
                        return _Part(number, blocks, self._free.pop(), -1)
                else:
                    self._told.wait()
        return None

    def _unpack(self, part: _Part) -> None:
        unpacked = part._replace(end=self._file.fill(part.blocks, part.buffer))
        with self._told:
            self._unpacked[part.number] = unpacked
            if part.number == self._turn:
                self._told.notify_all()

    def _look(self, part: _Part, worker: Worker) -> None:
        """Walk through the part whose turn it is, pass the turn on, and give its records to the worker."""
        data, before = self._whole_records(part)
        with self._told:
            self._walking = False
            if self.impossible:
                self._parts = self._turn
            else:
                self._turn += 1
            self._told.notify_all()
        if data.size:
            worker(data, before)
        with self._told:
            self._free.append(part.buffer)
            self._told.notify_all()

    def _whole_records(self, part: _Part) -> tuple[np.ndarray, int]:
        """Return the whole records of a part, with the one that began in the part before, and how many precede it."""
        buffer, end = part.buffer, part.end
        skipped = min(self._skip, end - HEADROOM)
        self._skip -= skipped
        start = HEADROOM + skipped - len(self.tail)
        if start < 0:  # a record longer than the room before the bytes
            buffer = np.concatenate((np.frombuffer(self.tail, np.uint8), buffer[HEADROOM:end]))
            start, end = 0, buffer.size
        elif self.tail:
            buffer[start : start + len(self.tail)] = np.frombuffer(self.tail, np.uint8)
        data = buffer[start:end]
        data.flags.writeable = False
        whole, count, state = whole_records(data)
        before, self.records = self.records, self.records + count
        self.tail = data[whole:].tobytes()
        self._done = part.blocks[-1].end + 8
        self._kept = self._file.let_go(self._kept, self._done)
        self.impossible = state != OK
        return data[:whole], before

    def _end(self, number: int, fault: InputError) -> None:
        """Let the parts before one with a fault be finished, and no others."""
        with self._told:
            self._faults.append((number, fault))
            self._parts = number if self._parts is None else min(self._parts, number)
            self._told.notify_all()

    def _stop(self) -> None:
        with self._told:
            self._stopped = True
            self._told.notify_all()
