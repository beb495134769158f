"""Counting k-mers, compiled: one pass over the bases, nothing kept but the counts."""

from __future__ import annotations

from neandl_core.numba_start import numba


@numba.njit(nogil=True, cache=True, error_model="numpy")
def count_kmers(codes, k, counts):
    """Add the k-mers of each row to its counts; a k-mer with an N is not counted.

    Parameters: codes (n, width) uint8, 0-3 or more for an unknown base; k; counts (n, 4**k), any number type, added to.
    """
    mask = (1 << (2 * k)) - 1
    for row in range(codes.shape[0]):
        kmer = 0
        known = 0
        for place in range(codes.shape[1]):
            base = codes[row, place]
            if base > 3:
                known = 0
                continue
            kmer = ((kmer << 2) | base) & mask
            known += 1
            if known >= k:
                counts[row, kmer] += 1
