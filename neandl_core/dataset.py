"""The dataset folder: bases of every example, their table, their split. Windows and reads share one layout.

=================  ==================================================================================================
`codes.npy`        (n, width) uint8, memory-mapped: 0-3 for A, C, G, T; 4 for N or past the end of a read
`examples.parquet` one row an example, in the same order (`schemas.EXAMPLES`)
`dataset.json`     kind, k, width, class names, the two splits
`summary.json`     counts and the split audit
=================  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.files import read_json, write_json
from neandl_core.schemas import EXAMPLES, check_table

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Description:
    """What a dataset is.

    Attributes
    ----------
    kind
        ``windows`` or ``reads``.
    width
        Bases per example.
    k
        k-mer length that k-mer models use; 0 if none was chosen.
    classes
        Names of label 0 and label 1.
    split, comparison_split
        How `split` and `comparison_split` were made, for example ``chromosome`` and ``random``.
    simulated
        Whether the inputs are NeanDL's own simulation; then every page says so.
    """

    kind: str
    width: int
    k: int
    classes: tuple[str, str]
    split: str
    comparison_split: str
    simulated: bool = False


@dataclass(frozen=True)
class Dataset:
    """A dataset folder, opened. `codes` is memory-mapped and read-only."""

    folder: Path
    description: Description
    codes: np.ndarray
    examples: pd.DataFrame

    def part(self, name: str, column: str = "split") -> np.ndarray:
        """Return the rows of a part (``train``, ``validation`` or ``test``) under one of the two splits, sorted."""
        return np.flatnonzero(self.examples[column].to_numpy() == name)

    @property
    def labels(self) -> np.ndarray:
        """(n,) int8 array of classes."""
        return self.examples["label"].to_numpy(np.int8)


def gc_content(codes: np.ndarray) -> np.ndarray:
    """Return the share of G and C among A, C, G and T of each row of an (n, width) array of codes; NaN without any."""
    gc = ((codes == 1) | (codes == 2)).sum(axis=1)
    acgt = (codes < 4).sum(axis=1)
    return np.divide(gc, acgt, out=np.full(len(codes), np.nan), where=acgt > 0)


def save_dataset(
    folder: Path, chunks: Iterable[np.ndarray], examples: pd.DataFrame, description: Description
) -> None:
    """Write a dataset folder.

    Parameters
    ----------
    folder
        An existing folder, usually a run's `results`.
    chunks
        Consecutive (m, width) uint8 blocks of codes; written as they come, so memory stays bounded.
    examples
        One row per code row, in the same order. Its column `gc` is filled here, so that it agrees with the codes.
    description
        What it is.
    """
    shape = (len(examples), description.width)
    codes = np.lib.format.open_memmap(folder / "codes.npy", mode="w+", dtype=np.uint8, shape=shape)
    gc = np.empty(len(examples))
    filled = 0
    for chunk in chunks:
        codes[filled : filled + len(chunk)] = chunk
        gc[filled : filled + len(chunk)] = gc_content(chunk)
        filled += len(chunk)
    codes.flush()
    if filled != len(examples):
        raise ValueError(f"{filled} code rows for {len(examples)} examples")
    examples = check_table(examples.assign(gc=gc), EXAMPLES, "examples")
    examples.to_parquet(folder / "examples.parquet", index=False)
    write_json(folder / "dataset.json", asdict(description))


def load_dataset(folder: str | Path) -> Dataset:
    """Open a dataset folder made by `windows` or `read-set`.

    Raises
    ------
    InputError
        If it is not one, or its parts do not belong together.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such dataset folder", path=folder, advice=f"Looked for {folder}.")
    for name in ("dataset.json", "codes.npy", "examples.parquet"):
        if not (folder / name).exists():
            raise InputError(
                f"this folder is no dataset: it has no {name}", path=folder,
                advice="Make one with `windows` or `read-set`.",
            )
    try:
        raw = read_json(folder / "dataset.json")
        description = Description(**{**raw, "classes": tuple(raw["classes"])})
    except (TypeError, KeyError):
        raise InputError("dataset.json has other fields than expected", path=folder) from None
    try:
        codes = np.load(folder / "codes.npy", mmap_mode="r", allow_pickle=False)
        examples = pd.read_parquet(folder / "examples.parquet")
    except (ValueError, OSError) as error:
        raise InputError(f"the dataset is damaged ({error})", path=folder, advice="Make it again.") from None
    if codes.dtype != np.uint8 or codes.shape != (len(examples), description.width):
        raise InputError(
            f"the dataset is damaged: codes of shape {codes.shape} for {len(examples)} examples of "
            f"{description.width} bases", path=folder, advice="Make it again.",
        )
    check_table(examples, EXAMPLES, "examples")
    return Dataset(folder, description, codes, examples)
