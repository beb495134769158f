"""Memory and disk: what is there, what a step needs, and the sentence when the one does not cover the other."""

from __future__ import annotations

import errno
import re
import resource
import shutil
from pathlib import Path

import psutil

from neandl_core.errors import OutputError

KEPT_FREE = 64 << 20
"""Bytes of a disk that a run leaves to others."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MEMORY_SIGNS = ("allocate memory", "out of memory", "failed to map segment")
"""What torch says, what its GPU part says, and what a library says that does not fit when it is loaded."""
_NEARLY_FULL = 1 << 16
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def size_text(size: float) -> str:
    """Write a number of bytes as people do: ``12.3 MB``."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    step = 0
    while size >= 1000 and step < len(units) - 1:
        size, step = size / 1000, step + 1
    return f"{size:.1f} {units[step]}" if step else f"{size:.0f} bytes"


def free_disk(folder: str | Path) -> int:
    """Return the bytes that may still be written where `folder` is, or will be."""
    folder = Path(folder).resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return free if limit == resource.RLIM_INFINITY else min(free, limit)


def free_memory() -> int:
    """Return the bytes of memory that this process may still take: of the machine, its container and its limits."""
    free = psutil.virtual_memory().available
    for limit_file, use_file in zip(_CGROUP_LIMITS, _CGROUP_USES, strict=True):
        limit, used = _number(limit_file), _number(use_file)
        if limit is not None and used is not None:
            free = min(free, max(0, limit - used))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        free = min(free, max(0, limit - psutil.Process().memory_info().vms))
    return free


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def require_room(folder: str | Path, what: str, *, disk: float = 0, memory: float = 0, advice: str = "") -> None:
    """Refuse what cannot fit before it starts.

    Parameters
    ----------
    folder
        Where it would write.
    what
        What it is, as the start of a sentence: ``"This dataset"``.
    disk, memory
        Bytes that it needs.
    advice
        How to need less, a sentence.

    Raises
    ------
    OutputError
        With the needed and the available number.
    """
    there = free_disk(folder)
    if disk and disk + KEPT_FREE > there:
        raise OutputError(
            f"{what} needs about {size_text(disk)} of disk in {folder}, and {size_text(there)} are available "
            f"({size_text(KEPT_FREE)} are left free). Make room, or choose another disk. {advice}".rstrip()
        )
    there = free_memory()
    if memory > there:
        raise OutputError(
            f"{what} needs about {size_text(memory)} of memory, and {size_text(there)} are available. "
            f"End other programs, or use a larger machine. {advice}".rstrip()
        )


def fault_sentence(error: BaseException, folder: Path) -> str | None:
    """Say in a sentence what a fault of the machine was: disk full, read-only, out of memory; None for others."""
    chain = _chain(error)
    if isinstance(error, MemoryError) or any(sign in str(one) for one in chain for sign in _MEMORY_SIGNS):
        asked = _asked_memory(str(error))
        wanted = f"A step needed {asked} at once" if asked else "A step needed more"
        return (
            f"There is not enough memory for this. {wanted}, and {size_text(free_memory())} were available. "
            "Use fewer or smaller inputs, or end other programs; nothing half-made was kept."
        )
    codes = {one.errno for one in chain if isinstance(one, OSError)}
    if errno.EROFS in codes:
        return f"The folder {folder} has become read-only; nothing half-made was kept. Make it writable."
    there = free_disk(folder)
    unclear = isinstance(error, (OSError, RuntimeError)) and there < _NEARLY_FULL
    if codes & set(_FULL) or any("No space left" in str(one) for one in chain) or unclear:
        partial = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return (
            f"The disk of {folder} is full: {size_text(partial)} were written, more than that is needed, and "
            f"{size_text(there)} were available. Nothing half-made was kept; make room and start again."
        )
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and those that led to it."""
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _asked_memory(text: str) -> str:
    """Return what numpy or torch say they could not get."""
    found = re.search(r"allocate ([0-9.]+ [KMGTP]?i?B)", text)
    if found:
        return found.group(1)
    found = re.search(r"tried to allocate (\d+) bytes", text)
    return size_text(int(found.group(1))) if found else ""
