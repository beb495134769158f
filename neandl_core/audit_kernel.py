"""Compiled loops of the split audit: a hash per window, and a fixed sample of its k-mers, both blind to strand."""

from __future__ import annotations

import numpy as np

from neandl_core.numba_start import numba

KEEP_ONE_IN = 16
"""Share of k-mers kept, chosen by the k-mer alone (FracMinHash, Irber et al. 2022)."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SECOND_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_LIMIT = np.uint64(2**64 // KEEP_ONE_IN)


@numba.njit(cache=True, nogil=True)
def window_hashes(codes: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash per row, equal for a sequence and its reverse complement.

    Parameters
    ----------
    codes : (n, width) uint8 array
        0-3 for A, C, G, T, 4 for anything else.
    multipliers : (width,) uint64 array
        Odd random numbers. The hash is the smaller of the two strands' linear forms, modulo 2^64.
    """
    n, width = codes.shape
    hashes = np.empty(n, np.uint64)
    for row in range(n):
        forward = np.uint64(0)
        backward = np.uint64(0)
        for column in range(width):
            base = codes[row, column]
            opposite = np.uint8(3) - base if base < 4 else base
            forward += np.uint64(base + 1) * multipliers[column]
            backward += np.uint64(opposite + 1) * multipliers[width - 1 - column]
        hashes[row] = min(forward, backward)
    return hashes


@numba.njit(cache=True, nogil=True)
def _mixed(value: np.uint64) -> np.uint64:
    """Spread a packed k-mer over 64 bits, so that a threshold on the result is a random choice."""
    value = value * _MULTIPLIER
    value ^= value >> np.uint64(32)
    value = value * _SECOND_MULTIPLIER
    return value ^ (value >> np.uint64(29))


@numba.njit(cache=True, nogil=True)
def sampled_kmers(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, hash) of one in `KEEP_ONE_IN` of the canonical k-mers of each row.

    Whether a k-mer is kept depends on the k-mer alone, so shares computed on the sample estimate shares of all k-mers
    without bias. k-mers that hold a code of 4 are passed over.

    Parameters
    ----------
    codes : (n, width) uint8 array
    k
        At most 31.

    Returns
    -------
    rows : (m,) int64 array
        Ascending.
    hashes : (m,) uint64 array
    """
    n, width = codes.shape
    mask = (np.uint64(1) << np.uint64(2 * k)) - np.uint64(1)
    top = np.uint64(2 * (k - 1))
    capacity = n * max(1, width - k + 1) // KEEP_ONE_IN * 2 + 1024
    rows = np.empty(capacity, np.int64)
    hashes = np.empty(capacity, np.uint64)
    found = 0
    for row in range(n):
        forward = np.uint64(0)
        backward = np.uint64(0)
        run = 0
        for column in range(width):
            base = codes[row, column]
            if base > 3:
                run = 0
                continue
            forward = ((forward << np.uint64(2)) | np.uint64(base)) & mask
            backward = (backward >> np.uint64(2)) | (np.uint64(3 - base) << top)
            run += 1
            if run < k:
                continue
            value = _mixed(min(forward, backward))
            if value < _LIMIT:
                if found == capacity:
                    # Repeats of one kept k-mer can exceed twice the expected number.
                    capacity *= 2
                    more_rows = np.empty(capacity, np.int64)
                    more_rows[:found] = rows
                    rows = more_rows
                    more_hashes = np.empty(capacity, np.uint64)
                    more_hashes[:found] = hashes
                    hashes = more_hashes
                rows[found] = row
                hashes[found] = value
                found += 1
    return rows[:found].copy(), hashes[:found].copy()
