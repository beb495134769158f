"""One read of a BAM record as rows of numbers, in the orientation in which it was sequenced; compiled.

Three layers describe a read base by base: the base itself, the reference base it is aligned to, and its quality.
Reference bases come from CIGAR and MD tag; where no tag fits, from the reference itself, if it is given.
"""

from __future__ import annotations

import numpy as np

from neandl_core.io.records import (
    LARGEST_ALIGNMENT,
    REVERSE,
    aligned_columns,
    base_at,
    find_md,
    int32_at,
    md_mismatches,
    measure_cigar,
    record_layout,
    uint16_at,
)
from neandl_core.numba_start import numba

NO_QUALITY = 255
"""Quality of a base beyond the read's end, and of all bases of a read stored without qualities."""
MISSING, FOUND, NEED_REFERENCE, FROM_REFERENCE = 0, 1, 2, 3
"""What `put_reference` says."""
_MISMATCHES = 64
"""Reads with more are looked at column by column."""


@numba.njit(nogil=True, cache=True)
def put_bases(data: np.ndarray, sequence: int, bases: int, reverse: bool, row: np.ndarray) -> int:
    """Fill a row with the first bases from the 5' end, 4 behind them; return how many the read gave."""
    held = min(bases, row.size)
    for place in range(held):
        code = base_at(data, sequence, bases - 1 - place if reverse else place)
        row[place] = 3 - code if reverse and code < 4 else code
    row[held:] = 4
    return held


@numba.njit(nogil=True, cache=True)
def put_qualities(data: np.ndarray, qualities: int, bases: int, reverse: bool, row: np.ndarray) -> None:
    """Fill a row with Phred qualities from the 5' end, `NO_QUALITY` behind them."""
    held = min(bases, row.size)
    for place in range(held):
        row[place] = data[qualities + (bases - 1 - place if reverse else place)]
    row[held:] = NO_QUALITY


@numba.njit(nogil=True, cache=True)
def put_reference(
    data: np.ndarray, at: int, end: int, has_contig: bool, reference: np.ndarray, at_hand: bool, row: np.ndarray
) -> int:
    """Fill a row with the reference base under each read base; 4 under clipped and inserted ones and behind the read.

    Parameters
    ----------
    at, end
        Where a record begins and ends whose CIGAR fits its sequence.
    has_contig
        Whether a reference is given that has the record's contig.
    reference, at_hand
        Codes of a contig, and whether it is the record's. They are used where no MD tag fits.

    Returns
    -------
    int
        FOUND by the MD tag, FROM_REFERENCE by the contig's codes; MISSING if there is neither a fitting MD tag nor a
        reference, the row being all 4; NEED_REFERENCE if the contig's bases are needed.
    """
    row[:] = 4
    cigar, sequence, _, tags = record_layout(data, at, end)
    bases, start = int32_at(data, at + 20), int32_at(data, at + 8)
    reverse = uint16_at(data, at + 18) & REVERSE != 0
    _, _, width, aligned = measure_cigar(data, cigar, sequence)
    if width > LARGEST_ALIGNMENT:
        return MISSING
    md = find_md(data, tags, end)
    one_run = aligned == bases and sequence == cigar + 4
    if md >= 0 and one_run:
        positions, letters = np.empty(_MISMATCHES, np.int64), np.empty(_MISMATCHES, np.uint8)
        mismatches = md_mismatches(data, md, end, bases, positions, letters)
        if mismatches >= 0:
            put_bases(data, sequence, bases, reverse, row)
            for mismatch in range(mismatches):
                _put(row, positions[mismatch], letters[mismatch], bases, reverse)
            return FOUND
    columns, index = np.empty((2, width), np.uint8), np.empty(width, np.int64)
    found = FOUND
    if md < 0 or not aligned_columns(data, cigar, sequence, md, end, reference, start, columns, index):
        if not has_contig:
            return MISSING
        if not at_hand:
            return NEED_REFERENCE
        found = FROM_REFERENCE
        aligned_columns(data, cigar, sequence, -1, end, reference, start, columns, index)
    for column in range(width):
        if index[column] >= 0 and columns[0, column] < 4:
            _put(row, index[column], columns[0, column], bases, reverse)
    return found


@numba.njit(nogil=True, cache=True, inline="always")
def _put(row: np.ndarray, place: int, code: int, bases: int, reverse: bool) -> None:
    """Set the code under the read base that is stored at a place."""
    if reverse:
        place, code = bases - 1 - place, 3 - code if code < 4 else code
    if place < row.size:
        row[place] = code
