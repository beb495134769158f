"""Files on disk: checks before reading, atomic writes, checksums."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError, OutputError

_HASHED_AT_ONCE = 1 << 20
SMALL_UNPACKED = 32 << 20
LARGEST_RATIO = 100
"""Sequence compresses to a quarter, tables to a twentieth; runs of N make up half of a chromosome at most."""


def require_file(path: str | Path, what: str) -> Path:
    """Return `path` as a Path after making sure that it is a readable, non-empty regular file.

    Parameters
    ----------
    path
        A path on this machine. Addresses such as ``http://`` and htslib's ``##idx##`` are refused.
    what
        What the file should be, in the user's words, for example ``"BAM file"``.

    Raises
    ------
    InputError
        If there is no such file, or it is a folder, a pipe, a device, empty or unreadable.
    """
    text = str(path)
    if "://" in text or "##idx##" in text or text.startswith("data:"):
        raise InputError(f"expected the path of a {what}, got an address", path=text, advice="Give a file on disk.")
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"there is no such {what}", path=path, advice=f"Looked for {path}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"this {what} cannot be opened ({_reason(error)})", path=path) from None
    if stat.S_ISDIR(mode):
        raise InputError(f"expected a {what}, got a folder", path=path)
    if not stat.S_ISREG(mode):
        raise InputError(f"expected a {what}, got a pipe or device", path=path)
    if path.stat().st_size == 0:
        raise InputError(f"this {what} is empty (0 bytes)", path=path, advice="Copy or download it again.")
    try:
        with path.open("rb") as handle:
            handle.read(1)
    except OSError as error:
        raise InputError(f"this {what} cannot be read ({_reason(error)})", path=path) from None
    return path


def check_unpacked(path: str | Path, unpacked: int) -> None:
    """Refuse a compressed file that unpacks to far more than sequence or text does: a bomb, or a damaged one.

    Parameters
    ----------
    path
        The compressed file.
    unpacked
        Bytes unpacked so far.

    Raises
    ------
    InputError
        If they are more than `SMALL_UNPACKED` and than `LARGEST_RATIO` times the file's size.
    """
    size = Path(path).stat().st_size
    if unpacked > SMALL_UNPACKED and unpacked > LARGEST_RATIO * size:
        raise InputError(
            f"it unpacks to more than {LARGEST_RATIO} times its {size:,} bytes, as no sequence or table does",
            path=path, advice="Unpack it yourself if it is what it should be.",
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def sha256(path: str | Path, given_up: Callable[[], bool] = lambda: False) -> str | None:
    """Return the SHA-256 of a file as 64 hexadecimal digits, None if `given_up` said to stop."""
    digest, piece = hashlib.sha256(), bytearray(_HASHED_AT_ONCE)
    with Path(path).open("rb", buffering=0) as handle, memoryview(piece) as view:
        while size := handle.readinto(view):
            digest.update(view[:size])
            if given_up():
                return None
    return digest.hexdigest()


def describe_file(path: str | Path, given_up: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Return path, size in bytes and SHA-256 of a file, as they are saved with every result."""
    path = Path(path).resolve()
    return {"path": str(path), "size": path.stat().st_size, "sha256": sha256(path, given_up)}


def write_text(path: str | Path, text: str) -> None:
    """Write `text` so that a reader sees either the old or the new file, never half of one."""
    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path.name} cannot be written in {path.parent}: {_reason(error)}.") from None


def write_tsv(path: str | Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns of equal length as a tab-separated table, as pandas would; NaN is an empty cell.

    Most tables of a run are written without pandas, whose start takes longer than many a run.
    """
    cells = [_cells(values) for values in columns.values()]
    lines = ["\t".join(columns), *map("\t".join, zip(*cells, strict=True))]
    write_text(path, "\n".join(lines) + "\n")


def _cells(values: Iterable[Any]) -> Iterable[str]:
    kind = values.dtype.kind if hasattr(values, "dtype") else ""
    listed = values.tolist() if hasattr(values, "tolist") else values
    return listed if kind == "U" else map(str if kind in "iub" and kind else _cell, listed)


def _cell(value: Any) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else str(value)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as JSON, atomically. NaN and infinities become null, as JSON has no word for them."""
    write_text(path, json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, paths and tuples into what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If it is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", path=path, advice=f"Looked for {path}.") from None
    except (ValueError, OSError) as error:
        raise InputError(f"this is not a JSON file ({error})", path=path) from None
