"""Records of a chunk as rows for a network, and back into records that carry its answer; compiled."""

from __future__ import annotations

import numpy as np

from neandl_core.io.records import REVERSE, copy_bytes, find_tag, int32_at, record_layout, tag_end, uint16_at
from neandl_core.numba_start import numba
from neandl_core.read_draw import DRAW_REASONS, reason_of
from neandl_core.read_rows import FROM_REFERENCE, MISSING, NEED_REFERENCE, put_bases, put_qualities, put_reference

WITHOUT_REFERENCE = len(DRAW_REASONS)
REASONS = (*DRAW_REASONS, "no MD tag that fits, and no reference")
"""Why a record is not scored, in the order tested; the first that holds counts."""
TAG = "XP"
_TAG_BYTES = 7
TOTAL, IN_ORDER, LAST_CONTIG, LAST_START = range(4)
"""Places in the vector of figures."""


@numba.njit(nogil=True, cache=True)
def read_rows(
    data: np.ndarray, at: int, contigs: int, min_mapping_quality: int, min_length: int, needs_reference: bool,
    reference_has: np.ndarray, reference: np.ndarray, reference_contig: int, layers: np.ndarray, places: np.ndarray,
    dropped: np.ndarray, figures: np.ndarray,
) -> tuple[int, int, int]:
    """Fill rows with the reads of a chunk from byte `at` on; return (byte reached, rows filled, contig needed).

    Parameters
    ----------
    layers : (3, rows, width) uint8 array
        Filled with bases, reference bases and qualities from the 5' end.
    needs_reference
        Whether reads without reference bases are dropped; else they are looked up if a reference is given.
    places : (rows, 6) int64 array
        Filled with first byte, byte after the last, bases of the read, contig, start, 1 where the reference bases came
        from the reference and not from an MD tag.
    dropped : (reasons,) int64; figures : (4,) int64
        Added to. A byte reached of -1 says that the file is corrupt.
    reference_has : (contigs,) uint8 array, of size 0 without a reference
        1 where the reference has the contig.
    reference : (length,) uint8 array of codes of the contig `reference_contig`
        Used where no MD tag fits. If another contig is needed, the loop ends there and says which; else -1.
    """
    filled = 0
    while at < data.size and filled < layers.shape[1]:
        end = at + 4 + int32_at(data, at)
        reason = reason_of(data, at, end, contigs, min_mapping_quality, min_length)
        if reason == -2:
            return -1, filled, -1
        known = MISSING
        if reason < 0 and (needs_reference or reference_has.size > 0):
            contig = int32_at(data, at + 4)
            known = put_reference(
                data, at, end, reference_has.size > 0 and reference_has[contig] > 0, reference,
                contig == reference_contig, layers[1, filled],
            )
            if known == NEED_REFERENCE:
                return at, filled, contig
        figures[TOTAL] += 1
        if reason < 0:
            _, sequence, qualities, _ = record_layout(data, at, end)
            bases = int32_at(data, at + 20)
            reverse = uint16_at(data, at + 18) & REVERSE != 0
            if needs_reference and known == MISSING:
                reason = WITHOUT_REFERENCE
            else:
                put_bases(data, sequence, bases, reverse, layers[0, filled])
                put_qualities(data, qualities, bases, reverse, layers[2, filled])
                contig, start = int32_at(data, at + 4), int32_at(data, at + 8)
                if contig < figures[LAST_CONTIG] or (contig == figures[LAST_CONTIG] and start < figures[LAST_START]):
                    figures[IN_ORDER] = 0
                figures[LAST_CONTIG], figures[LAST_START] = contig, start
                places[filled, 0], places[filled, 1], places[filled, 2] = at, end, bases
                places[filled, 3], places[filled, 4] = contig, start
                places[filled, 5] = known == FROM_REFERENCE
                filled += 1
        if reason >= 0:
            dropped[reason] += 1
        at = end
    return at, filled, -1


@numba.njit(nogil=True, cache=True)
def write_tagged(
    data: np.ndarray, places: np.ndarray, answers: np.ndarray, chosen: np.ndarray, out: np.ndarray
) -> int:
    """Copy chosen records into `out`, each with its probability as the tag XP:f in place of one it may have.

    Parameters
    ----------
    places : (rows, 6) array
        From `read_rows`.
    answers : (rows, 4) uint8 array
        Bytes of each probability as float32.
    chosen : (rows,) bool array
    out : uint8 array
        At least as long as the records and 7 bytes for each.

    Returns
    -------
    int
        Bytes written.
    """
    size = 0
    for row in range(chosen.size):
        if not chosen[row]:
            continue
        at, end = places[row, 0], places[row, 1]
        begin = size
        low = high = end
        own = find_tag(data, record_layout(data, at, end)[3], end, 88, 80)
        if own >= 0:
            low, high = own, tag_end(data, own, end)
            if high < 0 or high > end:
                low = high = end
        size = copy_bytes(data, at, low, out, size)
        size = copy_bytes(data, high, end, out, size)
        out[size], out[size + 1], out[size + 2] = 88, 80, 102  # X, P, f
        for byte in range(4):
            out[size + 3 + byte] = answers[row, byte]
        size += _TAG_BYTES
        length = size - begin - 4
        for byte in range(4):
            out[begin + byte] = (length >> (8 * byte)) & 255
    return size
