"""Slots and the queue before them: so many runs at a time on the processor, one on each GPU, in the order they came.

A slot is a file that its holder keeps locked, and so is a ticket of the queue. The operating system lets go of a lock
when its holder dies, so that nothing has to be tidied up after a kill.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from neandl_core.errors import OutputError, SettingsError

CPU = "cpu"
GPU = "gpu"


def cpu_slots() -> int:
    """Return how many runs may use the processor at once: NEANDL_CPU_SLOTS, else one less than there are cores.

    Raises
    ------
    SettingsError
        If NEANDL_CPU_SLOTS is not a whole number from 1 up.
    """
    wanted = os.environ.get("NEANDL_CPU_SLOTS", "").strip()
    if not wanted:
        return max(1, (os.cpu_count() or 2) - 1)
    if not wanted.isdecimal() or int(wanted) < 1:
        raise SettingsError(f"NEANDL_CPU_SLOTS = {wanted!r} is refused: expected a whole number from 1 up.")
    return int(wanted)


def slot_names(kind: str, count: int) -> list[str]:
    """Name the slots of a kind: ``cpu-0``, ``cpu-1``."""
    return [f"{kind}-{index}" for index in range(count)]


class Lock:
    """A file that is locked while this object, or a child process that inherited `descriptor`, lives."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path, *, wait: bool = False) -> Self | None:
        """Lock a file, made if missing; None if another holds it and `wait` is False.

        Raises
        ------
        OutputError
            If the file cannot be made.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutputError(f"{path.name} cannot be made in {path.parent} ({error.strerror}).") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def release(self) -> None:
        """Unlock the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Ticket:
    """A run's place in the queue, kept while its process lives.

    Parameters
    ----------
    queue
        Folder of tickets and slots; made if missing.
    kind
        ``cpu`` or ``gpu``.
    run
        The run folder.
    since
        Since when it waits, a Unix time; the earliest goes first.
    """

    def __init__(self, queue: Path, kind: str, run: Path, since: float | None = None) -> None:
        self._queue, self._kind = queue, kind
        name = f"{int((since or time.time()) * 1e9):020d}-{os.getpid()}"
        lock = Lock.take(queue / f".{name}", wait=True)
        assert lock is not None
        os.write(lock.descriptor, str(run.resolve()).encode())
        self._lock = lock
        self._file = queue / f"{name}.{kind}"
        # It appears under its name only once it is locked: an unlocked ticket is one whose run has died.
        os.replace(lock.path, self._file)

    def try_slot(self, names: Sequence[str]) -> Lock | None:
        """Take a free slot of these if nobody of the same kind is ahead; None if there is none yet."""
        waiting = _living(self._queue, self._kind)
        if waiting and waiting[0] != self._file and self._file in waiting:
            return None
        for name in names:
            slot = Lock.take(self._queue / f"{name}.slot")
            if slot is not None:
                return slot
        return None

    def close(self) -> None:
        """Leave the queue."""
        self._file.unlink(missing_ok=True)
        self._lock.release()


def positions(queue: Path) -> dict[Path, int]:
    """Return the place of every waiting run in its queue, counted from 1."""
    found = {}
    for kind in (CPU, GPU):
        for place, ticket in enumerate(_living(queue, kind), start=1):
            with suppress(OSError):
                found[Path(ticket.read_text(encoding="utf-8"))] = place
    return found


def _living(queue: Path, kind: str) -> list[Path]:
    """List the tickets whose owners live, oldest first; others are removed."""
    living = []
    for ticket in sorted(queue.glob(f"[0-9]*.{kind}")):
        try:
            descriptor = os.open(ticket, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            living.append(ticket)
        else:
            ticket.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return living
