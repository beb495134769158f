"""What single reads tell beyond the damage profile, compiled: PMD score, CpG context, group, edit distance, GC.

Works on the records that `damage_kernel.count_records` took, whose layout and MD tag are known to be sound. Codes as
there: 0-3 are A, C, G, T; 4 is N or any ambiguity code; 5 is a gap. All positions are in the read's own orientation.
"""

from __future__ import annotations

import numpy as np

from neandl_core.config import POSITIONS, SHOWN_POSITIONS
from neandl_core.damage_kernel import FROM_REFERENCE, ONE_RUN
from neandl_core.io.records import (
    GAP,
    LARGEST_ALIGNMENT,
    NIBBLE_CODES,
    PAIRED,
    REVERSE,
    aligned_columns,
    find_md,
    find_tag,
    int32_at,
    md_mismatches,
    measure_cigar,
    record_layout,
    tag_end,
    uint16_at,
)
from neandl_core.numba_start import numba

CLASSES = ("nuclear", "mitochondrial")
CONTEXTS = ("other", "CpG", "unknown")
"""Whether a C is followed, or a G preceded, by the other on the reference; unknown at the read's edge or a gap."""
KINDS = ("C>T", "G>A")
EDITS = 100
"""Edit distances from here on share the last bin."""
SCORE_LOW, SCORE_STEP, SCORE_BINS = -10.0, 0.1, 400
"""Bins of PMD scores; the first and last hold everything beyond."""
MODEL_LENGTH = 1000
"""Distances beyond have, to the last digit, the rate of this one."""
AROUND = 10
"""Bases beside the read whose composition is counted, as in mapDamage."""
DOUBLE_STRANDED, SINGLE_STRANDED = 0, 1
UDG_NONE, UDG_HALF, CPG_ONLY = 0, 1, 2
_TALLY = 2 * POSITIONS * len(KINDS) * len(CONTEXTS) * 2
_SCORE_TALLY = 2 * SHOWN_POSITIONS * len(KINDS) * 2
"""Sizes of one group's and of one score bin's tally: by end, position, kind, context, unchanged or changed."""
SITE_STATES = np.full((2, 6), 2, np.uint8)
SITE_STATES[0, [1, 3]] = SITE_STATES[1, [2, 0]] = [0, 1]
"""0 for a C read as C or a G as G, 1 for C>T and G>A, 2 for the rest; by reference (C, G) and read base."""


@numba.njit(nogil=True, cache=True, inline="always")
def _complement(code: int) -> int:
    return 3 - code if code < 4 else code


@numba.njit(nogil=True, cache=True)
def _turn(codes: np.ndarray, size: int) -> None:
    """Reverse and complement the first `size` codes in place."""
    for left in range((size + 1) >> 1):
        right = size - 1 - left
        first, last = codes[left], codes[right]
        codes[left] = _complement(last)
        codes[right] = _complement(first)


@numba.njit(nogil=True, cache=True)
def _read_group(data: np.ndarray, at: int, end: int, names: np.ndarray, ends: np.ndarray, last: int) -> int:
    """Return the index of the record's read group, the number of groups if it has none that is known."""
    groups = ends.size - 1
    begin = find_tag(data, at, end, 82, 71)
    if begin < 0 or data[begin + 2] != 90:
        return groups
    size = tag_end(data, begin, end) - begin - 4
    begin += 3
    for turn in range(groups + 1):
        group = last if turn == 0 else turn - 1  # neighbours in a file are often of one group
        if group >= groups or ends[group + 1] - ends[group] != size:
            continue
        same = True
        for step in range(size):
            if names[ends[group] + step] != data[begin + step]:
                same = False
                break
        if same:
            return group
    return groups


@numba.njit(nogil=True, cache=True)
def _log_ratio(mismatch: bool, one: int, other: int, quality: int, damage: np.ndarray, rates: np.ndarray) -> float:
    """Return ln(P_ancient / P_modern) of PMDtools' single-stranded term, which looks at both ends."""
    value = 0.0
    error = 10.0 ** (-quality / 10.0) / 3.0
    for model in range(2):
        first = damage[one] if model == 0 else rates[0]
        second = damage[other] if model == 0 else rates[0]
        variant = rates[1 + model]
        same = (1 - first) * (1 - error) * (1 - variant) * (1 - second)
        same += first * error * (1 - variant) * (1 - second) + second * error * (1 - variant) * (1 - first)
        same += error * variant * (1 - second) * (1 - first)
        term = np.log(1 - same if mismatch else same)
        value += term if model == 0 else -term
    return value


@numba.njit(nogil=True, cache=True)
def _decode(data: np.ndarray, sequence: int, bases: int, read: np.ndarray) -> tuple[int, int]:
    """Fill `read` with the codes of a sequence and return (how many are known, how many of them are C or G)."""
    known, strong = 0, 0
    place = np.uint64(sequence)
    for step in range(np.uint64(bases)):
        packed = data[place + (step >> np.uint64(1))]
        code = NIBBLE_CODES[(packed >> np.uint8(4)) if step & np.uint64(1) == 0 else packed & np.uint8(15)]
        read[step] = code
        known += np.int64(code < 4)
        strong += np.int64((code == 1) | (code == 2))
    return known, strong


@numba.njit(nogil=True, cache=True)
def _find_sites(reference: np.ndarray, size: int, sites: np.ndarray) -> int:
    """List where the reference is C or G and return how many there are; without branches, which would be guesses."""
    found = 0
    for place in range(size):
        sites[np.uint64(found)] = place
        letter = reference[np.uint64(place)]
        found += np.int64((letter == 1) | (letter == 2))
    return found


@numba.njit(nogil=True, cache=True)
def pmd_score(
    reference: np.ndarray, read: np.ndarray, size: int, sites: np.ndarray, count: int, data: np.ndarray,
    qualities: int, reverse: bool, ratios: np.ndarray, damage: np.ndarray, rates: np.ndarray, library: int, udg: int,
) -> float:
    """Return the PMD score of one read (Skoglund et al. 2014, PNAS 111:2229), as PMDtools 0.60 counts it.

    Parameters
    ----------
    reference, read : (>= size,) uint8 arrays
        Codes by index in the read; reference is a gap under clipped and inserted bases.
    sites, count
        Where the reference is C or G.
    data, qualities, reverse
        Where the base qualities begin, as stored.
    ratios : (3, MODEL_LENGTH, 256) float64 array
        ln(P_ancient / P_modern) of a match, of a mismatch and, zero, of anything else, by distance and quality.
    damage : (MODEL_LENGTH,) float64 array; rates : modern damage, variants of ancient, variants of modern
    library, udg
        What counts: see `pmd.PmdModel`. At the first base, PMDtools takes the last one for its left neighbour.
    """
    score = 0.0
    for number in range(count):
        place = np.int64(sites[number])
        letter = np.int64(reference[place])
        left = size - 1 - place
        if library == SINGLE_STRANDED and letter == 2:
            continue
        if udg != UDG_NONE:
            if letter == 1:
                beside = left > 0 and reference[place + 1] == 2
                terminal = udg == UDG_HALF and place == 0 and left > 0
            else:
                beside = reference[place - 1 if place > 0 else size - 1] == 1
                terminal = udg == UDG_HALF and left == 0
            if not (beside or terminal):
                continue
        state = SITE_STATES[letter - 1, read[place]]
        quality = np.int64(data[np.uint64(qualities + (left if reverse else place))])
        score += ratios[np.uint64(state), np.uint64(min(place if letter == 1 else left, MODEL_LENGTH - 1)), quality]
        if library == SINGLE_STRANDED and state < 2:
            near, far = min(place, MODEL_LENGTH - 1), min(left, MODEL_LENGTH - 1)
            score += _log_ratio(state == 1, near, far, quality, damage, rates)
    return score


@numba.njit(nogil=True, cache=True)
def _add_sites(
    known: np.ndarray, seen: np.ndarray, size: int, sites: np.ndarray, count: int, origin: int, tallies: np.ndarray,
    score_bin: int, by_score: np.ndarray,
) -> None:
    """Add a read's C and G to the tallies of its group and of its score."""
    score_origin = max(score_bin, 0) * _SCORE_TALLY
    scored = 1 if score_bin >= 0 else 0
    for number in range(count):
        place = np.int64(sites[number])
        left = size - 1 - place
        if place >= POSITIONS and left >= POSITIONS:
            continue
        letter = np.int64(known[place])
        base = seen[place]
        beside = place + 3 - 2 * letter
        context = 2
        if 0 <= beside < size and known[beside] < 4:
            context = np.int64(known[beside] == 3 - letter)
        listed = np.int64(base != 4)
        changed = np.int64(SITE_STATES[letter - 1, base] == 1)
        here, here_scored = (letter - 1) * 6 + context * 2 + changed, (letter - 1) * 2 + changed
        if place < POSITIONS:
            tallies[np.uint64(origin + place * 12 + here)] += listed
        if left < POSITIONS:
            tallies[np.uint64(origin + (POSITIONS + left) * 12 + here)] += listed
        if place < SHOWN_POSITIONS:
            by_score[np.uint64(score_origin + place * 4 + here_scored)] += listed * scored
        if left < SHOWN_POSITIONS:
            by_score[np.uint64(score_origin + (SHOWN_POSITIONS + left) * 4 + here_scored)] += listed * scored


@numba.njit(nogil=True, cache=True)
def describe_records(
    data: np.ndarray, taken: np.ndarray, count: int, read_base: bool, reference: np.ndarray, reference_contig: int,
    contig_class: np.ndarray, group_names: np.ndarray, group_ends: np.ndarray, ratios: np.ndarray,
    damage: np.ndarray, rates: np.ndarray, library: int, udg: int, tallies: np.ndarray, by_score: np.ndarray,
    scores: np.ndarray, edits: np.ndarray, gc: np.ndarray, qualities_seen: np.ndarray, clips: np.ndarray,
    inside: np.ndarray, around: np.ndarray, spans: np.ndarray, figures: np.ndarray, out: np.ndarray,
) -> None:
    """Describe the records that `count_records` took; see `read_details.ReadDetails` for what the arrays hold.

    `reference` is used for the bases beside a read if it is that of the read's contig. `out` gets the score of every
    record, NaN where it has none.
    """
    capacity = 1024
    columns, index = np.empty((2, capacity), np.uint8), np.empty(capacity, np.int64)
    read, by_read, sites = np.empty(capacity, np.uint8), np.empty(capacity, np.uint8), np.empty(capacity, np.int32)
    positions, letters = np.empty(256, np.int64), np.empty(256, np.uint8)
    group = 0
    for number in range(count):
        at, source = taken[number] >> 2, taken[number] & 3
        end = at + 4 + int32_at(data, at)
        contig, start, flag = int32_at(data, at + 4), int32_at(data, at + 8), uint16_at(data, at + 18)
        bases = int32_at(data, at + 20)
        reverse = flag & REVERSE != 0
        strand = 1 if reverse else 0
        cigar, sequence, qualities, tags = record_layout(data, at, end)
        _, span, width, _ = measure_cigar(data, cigar, sequence)
        out[number] = np.nan
        qualities_seen[data[at + 13]] += 1
        if flag & PAIRED == 0:
            spans[strand, min(span, spans.shape[1] - 1)] += 1
        group = _read_group(data, tags, end, group_names, group_ends, group)
        if max(width, bases) > LARGEST_ALIGNMENT:
            figures[0] += 1
            continue
        if max(width, bases) > capacity:
            capacity = 2 * max(width, bases)
            columns, index = np.empty((2, capacity), np.uint8), np.empty(capacity, np.int64)
            read, by_read = np.empty(capacity, np.uint8), np.empty(capacity, np.uint8)
            sites = np.empty(capacity, np.int32)
        known_bases, strong = _decode(data, sequence, bases, read)
        if known_bases:
            gc[(100 * strong + known_bases // 2) // known_bases] += 1
        md = find_md(data, tags, end) if source != FROM_REFERENCE else -1
        distance = 0
        if source == ONE_RUN:
            by_read[:bases] = read[:bases]
            found = md_mismatches(data, md, end, bases, positions, letters)
            for mismatch in range(np.uint64(found)):
                place = np.uint64(positions[mismatch])
                by_read[place] = letters[mismatch]
                distance += np.int64(letters[mismatch] != read[place])
        else:
            aligned_columns(data, cigar, sequence, md, end, reference, start, columns, index)
            by_read[:bases] = GAP
            for column in range(width):
                distance += columns[0, column] != columns[1, column]
                if index[column] >= 0:
                    by_read[index[column]] = columns[0, column]
            if reverse:
                _turn(columns[0], width)
                _turn(columns[1], width)
        edits[min(distance, EDITS)] += 1
        if reverse:
            _turn(by_read, bases)
            _turn(read, bases)
        # PMDtools does not look at reads with hard clips, skipped reference or padding, nor at those without qualities.
        scored = data[qualities] != 255
        left_clip, right_clip = 0, 0
        for step in range(cigar, sequence, 4):
            operation = data[step] & 15
            if operation == 3 or operation == 5 or operation == 6:
                scored = False
            elif operation == 4:
                clipped = (np.int64(int32_at(data, step)) & 0xFFFFFFFF) >> 4
                if step == cigar or (step == cigar + 4 and data[cigar] & 15 == 5):
                    left_clip = clipped
                else:
                    right_clip = clipped
        for end_number in range(2):
            clipped = left_clip if (end_number == 0) != reverse else right_clip
            for place in range(min(clipped, POSITIONS)):
                clips[end_number, strand, place] += 1
        found = _find_sites(by_read, bases, sites)
        score_bin = -1
        if scored:
            score = pmd_score(
                by_read, read, bases, sites, found, data, qualities, reverse, ratios, damage, rates, library, udg
            )
            out[number] = score
            score_bin = min(max(np.int64(np.floor((score - SCORE_LOW) / SCORE_STEP)), 0), SCORE_BINS - 1)
            scores[score_bin] += 1
        else:
            figures[1] += 1
        origin = (group * len(CLASSES) + contig_class[contig]) * _TALLY
        if source == ONE_RUN or read_base:
            _add_sites(by_read, read, bases, sites, found, origin, tallies, score_bin, by_score)
        else:
            found = _find_sites(columns[0], width, sites)
            _add_sites(columns[0], columns[1], width, sites, found, origin, tallies, score_bin, by_score)
        if contig == reference_contig and around.size:
            first, last = left_clip, bases - right_clip
            if reverse:
                first, last = right_clip, bases - left_clip
            for end_number in range(2):
                for place in range(min(last - first, POSITIONS)):
                    base = read[first + place] if end_number == 0 else read[last - 1 - place]
                    if base < 4:
                        inside[end_number, strand, place, base] += 1
            for step in range(AROUND):
                below, above = start - 1 - step, start + span + step
                before = reference[below] if below >= 0 else 4
                after = reference[above] if above < reference.size else 4
                if reverse:
                    before, after = _complement(after), _complement(before)
                if before < 4:
                    around[0, strand, step, before] += 1
                if after < 4:
                    around[1, strand, step, after] += 1
