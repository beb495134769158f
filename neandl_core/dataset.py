"""The dataset folder: bases of every example, their table, their split. Windows and reads share one layout.

=================  ==================================================================================================
`bases.npy`        windows: (n, width / 4 rounded up) uint8, two bits a base (`packed_bases`), memory-mapped
`codes.npy`        reads, which hold N and end early: (n, width) uint8, memory-mapped: 0-3 for A, C, G, T; 4 for N or
                   past the end of a read. Older datasets of windows have it too
`reference.npy`    reads only, may be missing: the reference base under each base, 4 for none
`quality.npy`      reads only, may be missing: the Phred quality of each base, 255 for none
`examples.parquet` one row an example, in the same order (`schemas.EXAMPLES`)
`dataset.json`     kind, k, width, class names, the two splits
`summary.json`     counts and the split audit
=================  ==================================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.files import read_json, write_json
from neandl_core.packed_bases import PackedBases, pack, packed_width
from neandl_core.schemas import EXAMPLES, check_table

PARTS = ("train", "validation", "test")
PACKED, UNPACKED = "bases.npy", "codes.npy"
LAYERS = ("reference", "quality")
"""Arrays of reads that lie beside the codes and have their shape."""


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


class Stack:
    """Memory-mapped (n, width) layers that are read as one (rows, layers, width) array; only asked rows are loaded.

    Parameters
    ----------
    arrays
        Of equal shape.
    """

    def __init__(self, arrays: Sequence[np.ndarray | PackedBases]) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.stack([array[rows] for array in self._arrays], axis=1)


@dataclass(frozen=True)
class Dataset:
    """A dataset folder, opened. `codes` is memory-mapped and read-only."""

    folder: Path
    description: Description
    codes: np.ndarray | PackedBases
    examples: pd.DataFrame
    reference: np.ndarray | None = None
    quality: np.ndarray | None = None

    def inputs(self, layers: Sequence[str]) -> np.ndarray | PackedBases | Stack:
        """Return what a model reads: the codes, or codes, reference and quality on top of each other.

        Parameters
        ----------
        layers
            Further layers wanted, of `LAYERS`.

        Raises
        ------
        InputError
            If the dataset does not have one of them.
        """
        arrays: list[np.ndarray | PackedBases] = [self.codes]
        for name in layers:
            array = getattr(self, name)
            if array is None:
                what = {"reference": "reference bases", "quality": "base qualities"}[name]
                raise InputError(
                    f"this dataset has no {what}",
                    path=self.folder,
                    advice="Make it again with read-set, from reads that have MD tags, or with --reference.",
                )
            arrays.append(array)
        return Stack(arrays) if layers else self.codes

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
    folder: Path, chunks: Iterable[np.ndarray], examples: pd.DataFrame, description: Description,
    layers: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a dataset folder.

    Parameters
    ----------
    folder
        An existing folder, usually a run's `results`.
    chunks
        Consecutive (m, width) uint8 blocks of codes, of windows without N; written as they come, so memory stays
        bounded.
    examples
        One row per code row, in the same order. Its column `gc` is filled here, so that it agrees with the codes.
    description
        What it is.
    layers
        Further arrays by name (`LAYERS`), of the shape of the codes.
    """
    for name, array in (layers or {}).items():
        np.save(folder / f"{name}.npy", array)
    packing = description.kind == "windows"
    name, width = (PACKED, packed_width(description.width)) if packing else (UNPACKED, description.width)
    stored = np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.uint8, shape=(len(examples), width))
    # All blocks of the file are claimed first: a mapped file that outgrows the disk kills the process.
    with (folder / name).open("r+b") as handle:
        os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    gc = np.empty(len(examples))
    filled = 0
    for chunk in chunks:
        stored[filled : filled + len(chunk)] = pack(chunk) if packing else chunk
        gc[filled : filled + len(chunk)] = gc_content(chunk)
        filled += len(chunk)
    stored.flush()
    if filled != len(examples):
        raise ValueError(f"{filled} code rows for {len(examples)} examples")
    examples = check_table(examples.assign(gc=gc), EXAMPLES, "examples")
    examples.to_parquet(folder / "examples.parquet", index=False)
    write_json(folder / "dataset.json", asdict(description))


def bases_file(folder: Path) -> Path:
    """Return the file of a dataset folder that holds the bases, packed or not."""
    return folder / (PACKED if (folder / PACKED).exists() else UNPACKED)


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
    for path in (folder / "dataset.json", bases_file(folder), folder / "examples.parquet"):
        if not path.exists():
            missing = f"{PACKED} or {UNPACKED}" if path.name == UNPACKED else path.name
            raise InputError(
                f"this folder is no dataset: it has no {missing}", path=folder,
                advice="Make one with `windows` or `read-set`.",
            )
    try:
        raw = read_json(folder / "dataset.json")
        description = Description(**{**raw, "classes": tuple(raw["classes"])})
    except (TypeError, KeyError):
        raise InputError("dataset.json has other fields than expected", path=folder) from None
    try:
        stored = np.load(bases_file(folder), mmap_mode="r", allow_pickle=False)
        layers = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in LAYERS if (folder / f"{name}.npy").exists()
        }
        examples = pd.read_parquet(folder / "examples.parquet")
    except (ValueError, OSError) as error:
        raise InputError(f"the dataset is damaged ({error})", path=folder, advice="Make it again.") from None
    packed = bases_file(folder).name == PACKED
    width = packed_width(description.width) if packed else description.width
    if stored.dtype != np.uint8 or stored.shape != (len(examples), width):
        raise InputError(
            f"the dataset is damaged: {'packed bases' if packed else 'codes'} of shape {stored.shape} for "
            f"{len(examples)} examples of {description.width} bases", path=folder, advice="Make it again.",
        )
    codes = PackedBases(stored, description.width) if packed else stored
    for name, array in layers.items():
        if array.dtype != np.uint8 or array.shape != codes.shape:
            raise InputError(
                f"the dataset is damaged: {name} of shape {array.shape} beside codes of shape {codes.shape}",
                path=folder, advice="Make it again.",
            )
    check_table(examples, EXAMPLES, "examples")
    return Dataset(folder, description, codes, examples, **layers)
