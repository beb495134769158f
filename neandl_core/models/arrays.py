"""Arrays on disk as safetensors: numbers and names, nothing that can run. Read arrays are checked before use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neandl_core.errors import InputError, OutputError
from neandl_core.files import require_file

WEIGHTS = "model.safetensors"


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
        If there is no such file or it is something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    require_file(path, "model file")
    try:
        return load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"this is not a safetensors file of numbers ({error})", path=path,
            advice="Train the model again, or copy its folder again.",
        ) from None


def check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Make sure that arrays are those that a model needs: names, shapes, float32, finite.

    Raises
    ------
    InputError
        Naming the first array that is not.
    """
    if arrays.keys() != shapes.keys():
        odd = sorted(arrays.keys() ^ shapes.keys())
        raise InputError(f"other arrays than the model card describes, first {odd[0]!r}", path=path)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"array {name} should be float32 of shape {shape}, and is {array.dtype} of shape {array.shape}",
                path=path,
            )
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise InputError(f"array {name} holds {count:,} values that are no finite numbers", path=path)
