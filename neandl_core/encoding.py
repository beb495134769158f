"""Bases as numbers: k-mers, their counts, one-hot arrays, reverse complements. Whole blocks at a time, numpy only.

Bases are uint8 codes: 0-3 for A, C, G, T and 4 for N or for places past the end of a read. A k-mer is its bases read
as digits of a number to base 4, so AAAA is 0 and k-mers sort as text does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

UNKNOWN_BASE = 4
"""Code of N and of places past the end of a read."""
_COMPLEMENT = np.array([3, 2, 1, 0, UNKNOWN_BASE], np.uint8)
_BLOCK = 4096


def join_neighbours(values: Any, k: int, shift: int) -> Any:
    """Combine each run of k neighbours of a row into one value by shifting and or-ing, in about log2(k) passes.

    Runs of 1, 2, 4, ... neighbours are each made from two halves, and k is put together from those. Only `<<`, `|`
    and slices are used, so numpy arrays and torch tensors, on any device, both work.

    Parameters
    ----------
    values
        (n, width) integers or booleans.
    k
        Neighbours to combine, 1 to width.
    shift
        Bits that a value takes: 2 for bases; 0 to or them together.

    Returns
    -------
    array or tensor
        (n, width - k + 1), of the type of `values`.
    """
    def join(left: Any, right: Any, length: int) -> Any:
        return (left << (shift * length)) | right if shift else left | right

    runs, length = {1: values}, 1
    while 2 * length <= k:
        half = runs[length]
        runs[2 * length] = join(half[:, :-length], half[:, length:], length)
        length *= 2
    count = values.shape[1] - k + 1
    joined, filled = None, 0
    for length in sorted(runs, reverse=True):
        while k - filled >= length:
            part = runs[length][:, filled : filled + count]
            joined = part if joined is None else join(joined, part, length)
            filled += length
    return joined


def kmer_codes(codes: np.ndarray, k: int) -> np.ndarray:
    """Return the overlapping k-mers of each row as numbers.

    Parameters
    ----------
    codes
        (n, width) uint8 codes of bases.
    k
        1 to 12, and at most width.

    Returns
    -------
    array
        (n, width - k + 1) int32: 0 to 4**k - 1, or 4**k for a k-mer that holds an N.

    Raises
    ------
    ValueError
        If k does not fit.
    """
    if not 1 <= k <= 12:
        raise ValueError(f"k = {k} is not between 1 and 12")
    if k > codes.shape[1]:
        raise ValueError(f"k = {k} is longer than the {codes.shape[1]} bases")
    # An N is read as an A first, which keeps the numbers in range, and its k-mers are marked afterwards.
    kmers = np.array(join_neighbours((codes & 3).astype(np.int32), k, 2))
    unknown = codes > 3
    if unknown.any():
        kmers[join_neighbours(unknown, k, 0)] = 4**k
    return kmers


def kmer_text(kmer: int, k: int) -> str:
    """Return a k-mer's bases as text."""
    return "".join("ACGT"[(kmer >> (2 * place)) & 3] for place in reversed(range(k)))


def kmer_counts(codes: np.ndarray, k: int = 5) -> np.ndarray:
    """Count each k-mer in each row; k-mers with an N are not counted.

    Returns
    -------
    array
        (n, 4**k), of the smallest unsigned type that holds a row's width.
    """
    from neandl_core.kmer_kernel import count_kmers

    counts = np.zeros((len(codes), 4**k), np.min_scalar_type(codes.shape[1]))
    for start in range(0, len(codes), _BLOCK):
        # Blocks, as codes may lie on disk.
        block = np.ascontiguousarray(codes[start : start + _BLOCK])
        count_kmers(block, k, counts[start : start + len(block)])
    return counts


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Return (n, 4, width) float32, channels A, C, G, T; N and places past the end of a read are all zero."""
    return (codes[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]).astype(np.float32)


def filled_lengths(codes: np.ndarray) -> np.ndarray:
    """Return how many places of each row lie before its padding: one past the last A, C, G or T; (n,) int64."""
    known = codes[:, ::-1] < UNKNOWN_BASE
    return np.where(known.any(axis=1), codes.shape[1] - known.argmax(axis=1), 0)


def reverse_complement(codes: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return the other strand of each row, read in its own 5' to 3' direction.

    Parameters
    ----------
    codes
        (n, width) uint8 codes.
    lengths
        (n,) bases of each row when rows are padded at their end (`filled_lengths`); the padding stays at the end.
        None if every row is full.

    Returns
    -------
    array
        (n, width) uint8.
    """
    if lengths is None:
        return _COMPLEMENT[codes[:, ::-1]]
    source = np.asarray(lengths)[:, None] - 1 - np.arange(codes.shape[1])
    turned = _COMPLEMENT[np.take_along_axis(codes, np.maximum(source, 0), axis=1)]
    turned[source < 0] = UNKNOWN_BASE
    return turned
