"""A BAM's records dealt out to several workers, each of which unpacks its bytes and looks at them while they are near.

Unpacking is done by all at once. Where one part's last record ends is known only when the part before it was walked
through, so that is done in turn; it takes a twentieth of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from neandl_core.errors import InputError
from neandl_core.io.bgzf import GROUP, HEADROOM, MAX_PLAIN, BgzfFile, take_group
from neandl_core.io.records import OK, whole_records

LOOK_SECONDS = 0.1
"""Between two tellings of the progress."""
Worker = Callable[[np.ndarray, int], None]
"""Called with whole records one after another, valid during the call, and how many records precede them in the file."""
Tell = Callable[[int], None]
"""Called with the compressed bytes read."""


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
        self._taken = 0
        self._turn = 0
        self._done = 0
        self._kept = 0
        self._ended = False
        self._broken = False
        self._faults: list[tuple[int, InputError]] = []

    def read(self, workers: Sequence[Worker], tell: Tell) -> None:
        """Give all records to the workers, each of which has a thread.

        Raises
        ------
        InputError
            The first one of the file: of a damaged block, or raised by a worker. What comes after may have been seen.
        """
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                futures = [pool.submit(self._work, worker) for worker in workers]
                while wait(futures, LOOK_SECONDS).not_done:
                    tell(self._done)
            finally:
                with self._told:
                    self._ended = True
        for future in futures:
            future.result()
        # What the workers found in parts after an impossible record was found too late to be believed.
        faults = [fault for fault in self._faults if not self.impossible or fault[0] <= self._turn]
        if faults:
            raise min(faults, key=lambda fault: fault[0])[1]
        tell(self._done)

    def _work(self, worker: Worker) -> None:
        buffer = np.empty(HEADROOM + GROUP * MAX_PLAIN, np.uint8)
        number, finished = -1, False
        try:
            while True:
                with self._told:
                    if self._ended:
                        break
                    group, fault, self._ended = take_group(self._blocks)
                    number, self._taken = self._taken, self._taken + 1
                    if fault is not None:
                        self._faults.append((number + 1, fault))
                if not group:
                    break
                end = self._file.fill(group, buffer)
                chunk, before = self._in_turn(number, buffer, end, group[-1].end + 8)
                if chunk is None:
                    break
                if chunk.size:
                    worker(chunk, before)
            finished = True
        except InputError as error:
            self._faults.append((number, error))
        finally:
            with self._told:
                # Nobody waits for the turn of one who has stopped.
                self._broken = self._broken or not finished
                self._ended = self._ended or not finished
                self._told.notify_all()

    def _in_turn(self, number: int, buffer: np.ndarray, end: int, reached: int) -> tuple[np.ndarray | None, int]:
        """Return the whole records of a part and how many precede it, once the part before was walked through.

        None if the file has a fault before, so that its turn never comes.
        """
        with self._told:
            while self._turn != number:
                if self.impossible or self._broken or any(at < number for at, _ in self._faults):
                    return None, 0
                self._told.wait(LOOK_SECONDS)
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
        with self._told:
            self._done, self._kept = reached, self._file.let_go(self._kept, reached)
            if state == OK:
                self._turn += 1
            else:
                self.impossible = self._ended = True
            self._told.notify_all()
        return data[:whole], before
