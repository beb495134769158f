"""Arrays on disk as safetensors: numbers and names, nothing that can run. Read arrays are checked before use."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neandl_core.errors import InputError, OutputError, shorten
from neandl_core.files import require_file

WEIGHTS = "model.safetensors"
_LARGEST_HEADER = 1 << 20


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(dict(arrays), path)
        # safetensors makes files that only their owner can read; the rest of a run folder can be read by all.
        path.chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The model cannot be written to {path.parent}: {error}.") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a model file.

    Raises
    ------
    InputError
        If there is no such file, it is something else, or its values are no finite numbers.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    require_file(path, "model file")
    _refuse_repeated_names(path)
    try:
        arrays = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"this is not a safetensors file of numbers ({error})", path=path,
            advice="Train the model again, or copy its folder again.",
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise InputError(f"array {shorten(name)!r} holds {count:,} values that are no finite numbers", path=path)
    return arrays


def _refuse_repeated_names(path: Path) -> None:
    """Refuse a file that names an array twice, of which safetensors takes the last without a word."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = handle.read(min(size, _LARGEST_HEADER))

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise InputError("this model file names an array twice", path=path)
        return dict(pairs)

    # What is no JSON at all, safetensors itself refuses and names.
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(header, object_pairs_hook=once)


def check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Make sure that arrays are those that a model needs: names, shapes, float32.

    Raises
    ------
    InputError
        Naming the first array that is not.
    """
    if arrays.keys() != shapes.keys():
        odd = sorted(arrays.keys() ^ shapes.keys())
        raise InputError(f"other arrays than the model card describes, first {shorten(odd[0])!r}", path=path)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"array {name} should be float32 of shape {shape}, and is {array.dtype} of shape {array.shape}",
                path=path,
            )
