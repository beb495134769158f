"""Counting misincorporations record by record, compiled.

Nothing in a record is believed: every length is checked against the record's own bytes before it is used, and a record
that does not hold together is counted under a reason and left alone. A read that is one run of aligned bases, as most
ancient reads are, is counted two bases at a time: whole sequence bytes are tallied by distance from either end, and
only the mismatches that its MD tag lists are looked at one by one. `Tally.fold` undoes the packing.

Codes: 0-3 are A, C, G, T; 4 is N or any ambiguity code; 5 is a gap.
"""

from __future__ import annotations

import numpy as np

from neandl_core.config import POSITIONS
from neandl_core.io.records import (
    DUPLICATE,
    LARGEST_ALIGNMENT,
    PAIRED,
    QC_FAIL,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAPPED,
    aligned_columns,
    base_at,
    find_md,
    hash_name,
    int32_at,
    md_mismatches,
    measure_cigar,
    record_layout,
    uint16_at,
)
from neandl_core.numba_start import numba

HALF = POSITIONS // 2
ROW = 256 + 16
"""Places for one distance in the tallies of sequence bytes; with 256 alone, all rows would share the same few places of
a core's nearest cache."""
LONGEST = 1 << 17
"""Longer reads share the last bin of the length histograms."""

DONE, NEED_CONTIG, NO_REFERENCE, IMPOSSIBLE = 0, 1, 2, 3
"""Why the kernel returned: all read; it needs another contig of the reference; it has neither MD tag nor reference;
the record's reference id or sequence length cannot be."""

REASONS = (
    "unmapped",
    "secondary alignment",
    "supplementary alignment",
    "duplicate",
    "failed quality control",
    "not drawn for the subsample",
    "mapping quality too low",
    "malformed record",
    "no sequence stored",
    "no aligned bases",
    "too short",
    "alignment beyond the end of its contig",
    "MD tag does not fit the alignment",
    "no MD tag, and its contig is not in the reference",
)
"""Why a record is not used, in the order in which it is tested; the first that holds is the one that counts."""
(_UNMAPPED, _SECONDARY, _SUPPLEMENTARY, _DUPLICATE, _QC_FAIL, _NOT_DRAWN, _MAPPING_QUALITY, _MALFORMED,
 _NO_SEQUENCE, _NO_ALIGNMENT, _SHORT, _BEYOND, _MD_MISFIT, _NOT_IN_REFERENCE) = range(len(REASONS))

FIGURES = 14
(TOTAL, USED, IN_PAIRS, WITHOUT_QUALITIES, MAPPING_QUALITY_0, OUT_OF_ORDER, LAST_CONTIG, LAST_START,
 MD_REPLACED, TAKEN, WITHOUT_MD, PAST_END, FIRST_CONTIG, FIRST_START) = range(FIGURES)
"""Places in the vector of figures."""

ONE_RUN, FROM_MD, FROM_REFERENCE = 0, 1, 2
"""Where the reference bases of a record that was counted come from; ONE_RUN also from MD, without clips or gaps."""
EVERY = np.uint64(2**64 - 1)
"""The threshold under which every read is drawn."""

@numba.njit(nogil=True, cache=True)
def _reason_of_flags(flag: int, contig: int, start: int, skip: int) -> int:
    """Return the reason for which a record's flags exclude it, -1 if none does."""
    if flag & UNMAPPED or contig < 0 or start < 0:
        return _UNMAPPED
    flag &= skip
    if flag & SECONDARY:
        return _SECONDARY
    if flag & SUPPLEMENTARY:
        return _SUPPLEMENTARY
    if flag & DUPLICATE:
        return _DUPLICATE
    if flag & QC_FAIL:
        return _QC_FAIL
    return -1


@numba.njit(nogil=True, cache=True)
def _count_run(
    data: np.ndarray, sequence: int, bases: int, strand: int, left: np.ndarray, right: np.ndarray, counts: np.ndarray,
    positions: np.ndarray, letters: np.ndarray, mismatches: int,
) -> None:
    """Count a read that is one run of aligned bases, two bases at a time, then move its mismatches."""
    size = (bases + 1) >> 1
    first, last = np.uint64(sequence), np.uint64(sequence + size - 1)
    side, odd = np.uint64(strand), np.uint64(bases & 1)
    for k in range(np.uint64(min(size, left.shape[1]))):
        left[side, k, data[first + k]] += np.uint32(1)
    for k in range(np.uint64(min(size, right.shape[2]))):
        right[side, odd, k, data[last - k]] += np.uint32(1)
    for number in range(mismatches):
        place, reference = positions[number], letters[number]
        read = base_at(data, sequence, place)
        if place < POSITIONS:
            counts[strand, 0, place, reference, read] += 1
            counts[strand, 0, place, read, read] -= 1
        place = bases - 1 - place
        if place < POSITIONS:
            counts[strand, 1, place, reference, read] += 1
            counts[strand, 1, place, read, read] -= 1


@numba.njit(nogil=True, cache=True)
def _count_columns(
    data: np.ndarray, at: int, md: int, reference: np.ndarray, size: int, read_base: bool, width: int,
    counts: np.ndarray,
) -> bool:
    """Count a record of `size` columns one by one, `width` being its positions; False if its MD tag does not fit."""
    end = at + 4 + int32_at(data, at)
    cigar, sequence, _, _ = record_layout(data, at, end)
    columns, index = np.empty((2, size), np.uint8), np.empty(size, np.int64)
    if not aligned_columns(data, cigar, sequence, md, end, reference, int32_at(data, at + 8), columns, index):
        return False
    strand = 1 if uint16_at(data, at + 18) & REVERSE else 0
    for column in range(size):
        place = index[column] if read_base else column
        if place < 0:
            continue
        if place < POSITIONS:
            counts[strand, 0, place, columns[0, column], columns[1, column]] += 1
        if width - 1 - place < POSITIONS:
            counts[strand, 1, width - 1 - place, columns[0, column], columns[1, column]] += 1
    return True


@numba.njit(nogil=True, cache=True)
def count_records(
    data: np.ndarray, at: int, skip: int, min_mapping_quality: int, min_length: int, read_base: bool, threshold: int,
    seed: int, contig_lengths: np.ndarray, reference_has: np.ndarray, reference: np.ndarray, reference_contig: int,
    every_contig: bool, taken: np.ndarray, counts: np.ndarray, left: np.ndarray, right: np.ndarray,
    lengths: np.ndarray, dropped: np.ndarray, figures: np.ndarray,
) -> tuple[int, int, int]:
    """Count the records of a chunk from byte `at` on.

    Parameters
    ----------
    data : (n,) uint8 array of whole records
    skip
        SAM flags of which any excludes a record.
    read_base
        Whether positions are bases of the read; else columns of the alignment.
    threshold, seed
        Reads whose name's hash is above the threshold are not drawn.
    contig_lengths : (contigs,) int64 array
    reference_has : (contigs,) uint8 array, or of size 0 if there is no reference
        1 where the reference has the contig.
    reference : (length,) uint8 array of codes of the contig `reference_contig`
    every_contig
        Ask for the contig of every record that the reference has, not only where its bases are needed.
    taken : (n,) int64 array
        Filled with 4 * byte + ONE_RUN, FROM_MD or FROM_REFERENCE of each record counted, from place `figures[TAKEN]`
        on; not if it is of size 0.
    counts : (2 strands, 2 sides, positions, 6, 6) int64; left : (2, HALF, ROW) uint32; right : (2, 2, HALF + 1, ROW)
        uint32; lengths : (2 measures, 2 strands, LONGEST) int64; dropped : (reasons,) int64; figures : (FIGURES,) int64
        Added to. Sides are those of the alignment as stored, not of the read.

    Returns
    -------
    (byte reached, why, contig needed)
        With `NEED_CONTIG` the record at that byte was not counted: call again from there with that contig.
    """
    positions = np.empty(256, np.int64)
    letters = np.empty(256, np.uint8)
    contigs = contig_lengths.size
    while at < data.size:
        end = at + 4 + int32_at(data, at)
        contig, start = int32_at(data, at + 4), int32_at(data, at + 8)
        quality, flag = data[at + 13], uint16_at(data, at + 18)
        bases = int32_at(data, at + 20)
        if contig < -1 or contig >= contigs or bases < 0 or start < -1:
            return at, IMPOSSIBLE, contig
        reason = _reason_of_flags(flag, contig, start, skip)
        if reason < 0 and threshold != EVERY and hash_name(data, at, end, seed) > threshold:
            reason = _NOT_DRAWN
        if reason < 0 and quality < min_mapping_quality:
            reason = _MAPPING_QUALITY
        cigar, sequence, qualities, tags = record_layout(data, at, end)
        span, columns, md = 0, 0, -1
        one_run, from_md, mismatches = False, False, -1
        if reason < 0:
            if tags < 0:
                reason = _MALFORMED
            elif bases == 0:
                reason = _NO_SEQUENCE
            else:
                query, span, columns, aligned = measure_cigar(data, cigar, sequence)
                if query >= 0 and aligned == 0:
                    reason = _NO_ALIGNMENT
                elif query != bases:
                    reason = _MALFORMED
                elif bases < min_length:
                    reason = _SHORT
                elif start >= contig_lengths[contig]:
                    reason = _BEYOND
                elif columns > LARGEST_ALIGNMENT:
                    reason = _MALFORMED
                else:
                    md = find_md(data, tags, end)
                    one_run = aligned == bases and sequence == cigar + 4
        width = bases if read_base else columns
        source = ONE_RUN
        if reason < 0:
            if every_contig and contig != reference_contig and reference_has[contig]:
                return at, NEED_CONTIG, contig
            if md >= 0 and one_run:
                mismatches = md_mismatches(data, md, end, bases, positions, letters)
            if md >= 0 and mismatches < 0:
                source = FROM_MD
                from_md = _count_columns(data, at, md, reference, columns, read_base, width, counts)
            if mismatches < 0 and not from_md:
                if reference_has.size == 0:
                    if md == -1:
                        return at, NO_REFERENCE, contig
                    reason = _MD_MISFIT if md >= 0 else _MALFORMED
                elif reference_has[contig] == 0:
                    reason = _MD_MISFIT if md >= 0 else _MALFORMED if md == -2 else _NOT_IN_REFERENCE
                elif contig != reference_contig:
                    return at, NEED_CONTIG, contig
                else:
                    source = FROM_REFERENCE
                    figures[MD_REPLACED] += md != -1
                    figures[WITHOUT_MD] += md == -1
                    _count_columns(data, at, -1, reference, columns, read_base, width, counts)
        if taken.size and reason < 0:
            taken[figures[TAKEN]] = 4 * at + source
            figures[TAKEN] += 1
        figures[TOTAL] += 1
        if contig >= 0:
            # Unplaced reads come last in a sorted file and have no position to be out of order.
            previous = figures[LAST_CONTIG]
            if previous < 0:
                figures[FIRST_CONTIG] = contig
                figures[FIRST_START] = start
            figures[OUT_OF_ORDER] += contig < previous or (contig == previous and start < figures[LAST_START])
            figures[LAST_CONTIG] = contig
            figures[LAST_START] = start
        at = end
        if reason >= 0:
            dropped[reason] += 1
            continue
        strand = 1 if flag & REVERSE else 0
        if mismatches >= 0:
            _count_run(data, sequence, bases, strand, left, right, counts, positions, letters, mismatches)
        lengths[0, strand, min(span, LONGEST - 1)] += 1
        lengths[1, strand, min(bases, LONGEST - 1)] += 1
        figures[USED] += 1
        figures[IN_PAIRS] += flag & PAIRED
        figures[WITHOUT_QUALITIES] += data[qualities] == 255
        figures[MAPPING_QUALITY_0] += quality == 0
        figures[PAST_END] += start + span > contig_lengths[contig]
    return at, DONE, -1
