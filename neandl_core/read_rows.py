"""One read of a BAM record as rows of numbers, in the orientation in which it was sequenced; compiled.

Three layers describe a read base by base: the base itself, the reference base it is aligned to, and its quality.
Reference bases come from CIGAR and MD tag, so no FASTA is needed.
"""

from __future__ import annotations

import numba
import numpy as np

from neandl_core.io.records import base_at, find_md, int32_at

NO_QUALITY = 255
"""Quality of a base beyond the read's end, and of all bases of a read stored without qualities."""
_LETTER_CODES = np.full(256, 4, np.uint8)
_LETTER_CODES[[65, 67, 71, 84, 97, 99, 103, 116]] = [0, 1, 2, 3, 0, 1, 2, 3]


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
def _number(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return (the number that stands in a text at a byte, the byte after it); 0 where no digit stands."""
    value = 0
    while at < end and 48 <= data[at] <= 57 and value < 1 << 30:
        value = value * 10 + np.int64(data[at]) - 48
        at += 1
    return value, at


@numba.njit(nogil=True, cache=True)
def put_reference(
    data: np.ndarray, cigar: int, sequence: int, tags: int, end: int, bases: int, reverse: bool, row: np.ndarray
) -> bool:
    """Fill a row with the reference base under each read base; 4 under clipped and inserted ones and behind the read.

    Returns
    -------
    bool
        Whether there is an MD tag that fits the alignment; if not, the row is all 4.
    """
    row[:] = 4
    at = find_md(data, tags, end)
    if at < 0:
        return False
    index, run = 0, -1
    fits = True
    while cigar < sequence and fits:
        packed = np.int64(int32_at(data, cigar)) & 0xFFFFFFFF
        operation, length = packed & 15, packed >> 4
        cigar += 4
        if operation == 0 or operation >= 7:
            while length > 0:
                if run < 0:
                    run, at = _number(data, at, end)
                if run > 0:
                    code = base_at(data, sequence, index)
                    run -= 1
                elif at < end and (65 <= data[at] <= 90 or 97 <= data[at] <= 122):
                    code = _LETTER_CODES[data[at]]
                    at += 1
                    run = -1
                else:
                    fits = False
                    break
                place = bases - 1 - index if reverse else index
                if place < row.size:
                    row[place] = 3 - code if reverse and code < 4 else code
                index += 1
                length -= 1
        elif operation == 1 or operation == 4:
            index += length
        elif operation == 2:
            if run < 0:
                run, at = _number(data, at, end)
            fits = run == 0 and at + length < end and data[at] == 94
            at += 1 + length
            run = -1
    if fits and run < 0:
        run, at = _number(data, at, end)
    fits = fits and run == 0 and at < end and data[at] == 0
    if not fits:
        row[:] = 4
    return fits
