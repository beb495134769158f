"""Bases of equally long, fully known sequences at two bits each: four in a byte, the first in its highest bits."""

from __future__ import annotations

from typing import Any

import numpy as np

PER_BYTE = 4
SHIFTS = (6, 4, 2, 0)
"""How far down in its byte each of four bases lies, in bits."""
_BYTES = np.arange(256, dtype=np.uint8)
_FOUR = np.ascontiguousarray(np.stack([_BYTES >> shift & 3 for shift in SHIFTS], axis=1)).view(np.uint32).ravel()
"""The four codes of each byte side by side, so that four bases are one look-up."""


def packed_width(width: int) -> int:
    """Return the bytes that so many bases take."""
    return -(-width // PER_BYTE)


def pack(codes: np.ndarray) -> np.ndarray:
    """Return (n, packed_width) uint8 of (n, width) codes 0-3; the last byte is filled up with zeros.

    Raises
    ------
    ValueError
        If a code is greater than 3: two bits have no room for an N.
    """
    if codes.size and codes.max() > 3:
        raise ValueError("a base other than A, C, G, T cannot be packed into two bits")
    packed = np.zeros((len(codes), packed_width(codes.shape[1])), np.uint8)
    for place, shift in enumerate(SHIFTS):
        bases = codes[:, place::PER_BYTE]
        packed[:, : bases.shape[1]] |= bases << shift
    return packed


class PackedBases:
    """Packed bases that are read as an (n, width) array of codes; only what is asked for is unpacked.

    Parameters
    ----------
    packed
        (n, packed_width(width)) uint8 as `pack` returns; may be memory-mapped.
    width
        Bases in a row.
    """

    dtype = np.dtype(np.uint8)
    ndim = 2

    def __init__(self, packed: np.ndarray, width: int) -> None:
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != packed_width(width):
            raise ValueError(f"{packed.dtype} of shape {packed.shape} is not {width} packed bases a row")
        self.packed = packed
        self.width = width

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and bases in a row."""
        return len(self.packed), self.width

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the codes of rows, by a number, a slice, an array of numbers or of truths; after a comma of places."""
        rows, places = key if isinstance(key, tuple) else (key, slice(None))
        found = _FOUR[self.packed[rows]].view(np.uint8)[..., : self.width]
        return np.ascontiguousarray(found[..., places])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("packed bases cannot be seen as an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def chosen(self, rows: np.ndarray) -> PackedBases:
        """Return these rows, still packed."""
        return PackedBases(self.packed[rows], self.width)
