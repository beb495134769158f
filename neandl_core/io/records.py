"""Fields of BAM records in a byte array, for compiled loops (SAM/BAM specification, section 4.2).

None of these functions reads beyond the bytes it was given; `record_layout` says whether a record's parts fit into it.
"""

from __future__ import annotations

import numpy as np

from neandl_core.numba_start import numba

LARGEST_RECORD = 1 << 26
"""Bytes of the largest record that is believed. Ultra-long reads stay below it; a damaged length does not."""
LARGEST_ALIGNMENT = 1 << 24
"""Columns of an alignment that is believed; a deletion as long as a chromosome is not one of a read."""
SECOND_HEADER = 0x014D4142
"""The length that the letters ``BAM\\1`` give when a second file was joined to the first."""
FIXED = 36
"""Bytes of a record before its name, with its length."""
OK, NOT_A_RECORD = 0, 1

UNMAPPED, REVERSE, SECONDARY, QC_FAIL, DUPLICATE, SUPPLEMENTARY = 0x4, 0x10, 0x100, 0x200, 0x400, 0x800
PAIRED = 0x1

GAP = 5
"""Code of a gap in the reference or in the read."""
LETTER_CODES = np.full(256, 4, np.uint8)
LETTER_CODES[[65, 67, 71, 84, 97, 99, 103, 116]] = [0, 1, 2, 3, 0, 1, 2, 3]
"""Code of each letter of an MD tag."""
NIBBLE_CODES = np.full(16, 4, np.uint8)
NIBBLE_CODES[[1, 2, 4, 8]] = [0, 1, 2, 3]
"""Code of each of the sixteen letters in which BAM stores bases: 0-3 are A, C, G, T, 4 everything else."""


@numba.njit(nogil=True, cache=True, inline="always")
def int32_at(data: np.ndarray, at: int) -> int:
    """Return the signed 32-bit number at a byte."""
    place = np.uint64(at)  # a signed index could count from the end, which the compiled code would look into each time
    value = np.uint32(data[place]) | np.uint32(data[place + np.uint64(1)]) << np.uint32(8)
    value |= np.uint32(data[place + np.uint64(2)]) << np.uint32(16)
    value |= np.uint32(data[place + np.uint64(3)]) << np.uint32(24)
    return np.int64(np.int32(value))


@numba.njit(nogil=True, cache=True, inline="always")
def uint16_at(data: np.ndarray, at: int) -> int:
    """Return the unsigned 16-bit number at a byte."""
    place = np.uint64(at)
    return np.int64(data[place]) | np.int64(data[place + np.uint64(1)]) << 8


@numba.njit(nogil=True, cache=True)
def whole_records(data: np.ndarray) -> tuple[int, int, int]:
    """Return (bytes of whole records from the beginning, their number, OK or NOT_A_RECORD for what follows)."""
    at, records = 0, 0
    while at + 4 <= data.size:
        size = int32_at(data, at)
        if size < FIXED - 4 or size > LARGEST_RECORD or size == SECOND_HEADER:
            return at, records, NOT_A_RECORD
        if at + 4 + size > data.size:
            break
        at += 4 + size
        records += 1
    return at, records, OK


@numba.njit(nogil=True, cache=True, inline="always")
def record_layout(data: np.ndarray, at: int, end: int) -> tuple[int, int, int, int]:
    """Return where a record's parts begin: (CIGAR, sequence, qualities, tags); tags = -1 if they do not fit."""
    cigar = at + FIXED + np.int64(data[at + 12])
    sequence = cigar + 4 * uint16_at(data, at + 16)
    bases = int32_at(data, at + 20)
    qualities = sequence + ((bases + 1) >> 1)
    tags = qualities + bases
    if bases < 0 or data[at + 12] == 0 or tags > end:
        tags = -1
    return cigar, sequence, qualities, tags


@numba.njit(nogil=True, cache=True)
def hash_name(data: np.ndarray, at: int, end: int, seed: int) -> int:
    """Return a 64-bit hash of a record's name, the same for both mates: FNV-1a with splitmix64's ending."""
    value = np.uint64(0xCBF29CE484222325) ^ np.uint64(seed)
    for place in range(at + FIXED, min(end, at + FIXED + np.int64(data[at + 12]) - 1)):
        value = (value ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@numba.njit(nogil=True, cache=True, inline="always")
def copy_bytes(data: np.ndarray, at: int, end: int, out: np.ndarray, filled: int) -> int:
    """Copy bytes `at` to `end` to `out` from place `filled` on, and return where they end there."""
    size = end - at
    out[filled : filled + size] = data[at:end]
    return filled + size


@numba.njit(nogil=True, cache=True)
def gather_records(data: np.ndarray, starts: np.ndarray, keep: np.ndarray, out: np.ndarray) -> int:
    """Copy the records that begin at `starts` and are to be kept into `out`, and return how many bytes that is."""
    filled = 0
    for number in range(starts.size):
        if keep[number]:
            at = starts[number]
            filled = copy_bytes(data, at, at + 4 + int32_at(data, at), out, filled)
    return filled


@numba.njit(nogil=True, cache=True, inline="always")
def base_at(data: np.ndarray, sequence: int, index: int) -> int:
    """Return the code of one base of the sequence that begins at byte `sequence`: 0-3, or 4 for N and the like."""
    packed = data[np.uint64(sequence + (index >> 1))]
    return NIBBLE_CODES[packed & 15] if index & 1 else NIBBLE_CODES[packed >> 4]


@numba.njit(nogil=True, cache=True, forceinline=True)
def tag_end(data: np.ndarray, at: int, end: int) -> int:
    """Return the byte after the tag that begins at byte `at`, beyond `end` if it is cut off; -1 if it is no tag."""
    kind = data[np.uint64(at + 2)]
    at += 3
    if kind == 90 or kind == 72:  # Z, H: text up to a NUL byte
        while at < end and data[np.uint64(at)] != 0:
            at += 1
        return at + 1
    if kind == 65 or kind == 99 or kind == 67:  # A, c, C
        return at + 1
    if kind == 115 or kind == 83:  # s, S
        return at + 2
    if kind == 105 or kind == 73 or kind == 102:  # i, I, f
        return at + 4
    if kind == 66 and at + 5 <= end:  # B: an array
        item = data[at]
        size = 1 if item == 99 or item == 67 else 2 if item == 115 or item == 83 else 4
        count = int32_at(data, at + 1)
        return at + 5 + count * size if count >= 0 else -1
    return -1


@numba.njit(nogil=True, cache=True, forceinline=True)
def find_tag(data: np.ndarray, at: int, end: int, first: int, second: int) -> int:
    """Return where the tag of two letters begins among those from byte `at` on.

    -1 if there is none, -2 if the tags before it do not hold together.
    """
    while at + 3 <= end:
        if data[np.uint64(at)] == first and data[np.uint64(at + 1)] == second:
            return at
        at = tag_end(data, at, end)
        if at < 0:
            return -2
    return -1 if at == end else -2


@numba.njit(nogil=True, cache=True)
def find_md(data: np.ndarray, at: int, end: int) -> int:
    """Return where the MD tag's text begins, -1 if there is none, -2 if the tags do not hold together."""
    begin = find_tag(data, at, end, 77, 68)
    if begin >= 0:
        begin = begin + 3 if data[begin + 2] == 90 else -2
    return begin


@numba.njit(nogil=True, cache=True)
def _md_number(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins at a byte of an MD tag, 0 if none does, and where it ends."""
    value = 0
    while at < end and 48 <= data[at] <= 57 and value < 1 << 30:
        value = value * 10 + np.int64(data[at]) - 48
        at += 1
    return value, at


@numba.njit(nogil=True, cache=True, inline="always")
def _is_letter(byte: int) -> bool:
    return 65 <= byte <= 90 or 97 <= byte <= 122


@numba.njit(nogil=True, cache=True)
def md_mismatches(
    data: np.ndarray, at: int, end: int, bases: int, positions: np.ndarray, letters: np.ndarray
) -> int:
    """List the mismatches of a read that is one run of aligned bases: place in the read, code of the reference.

    Returns how many there are, -1 if the MD tag whose text begins at `at` does not fit or the arrays are too small.
    """
    run, reached, found = 0, 0, 0
    while at < end:
        letter = data[np.uint64(at)]
        at += 1
        if 48 <= letter <= 57:
            run = run * 10 + np.int64(letter) - 48
            if run > bases:
                return -1
        elif letter == 0:
            return found if reached + run == bases else -1
        elif _is_letter(letter):
            reached += run
            run = 0
            if reached >= bases or found == positions.size:
                return -1
            positions[found] = reached
            letters[found] = LETTER_CODES[letter]
            found += 1
            reached += 1
        else:
            return -1
    return -1


@numba.njit(nogil=True, cache=True)
def aligned_columns(
    data: np.ndarray, cigar: int, sequence: int, md: int, end: int, reference: np.ndarray, start: int,
    columns: np.ndarray, index: np.ndarray,
) -> bool:
    """Fill in an alignment column by column, as it is stored; soft clips and skipped reference have no columns.

    Parameters
    ----------
    cigar, sequence, end
        Where these parts and the record end; the CIGAR fits the sequence.
    md
        Where the MD tag's text begins, or less than 0: then the reference bases are those of `reference`.
    reference, start
        Codes of the record's contig, and where the alignment begins; past the contig's end they count as N.
    columns : (2, >= columns) uint8 array
        Filled with the codes of reference and read.
    index : (>= columns,) int64 array
        Filled with the place in the read, -1 in a deletion.

    Returns
    -------
    bool
        False if MD tag and CIGAR do not fit each other; then what was filled in says nothing.
    """
    column, at_read, position, run, at = 0, 0, start, -1, md
    while cigar < sequence:
        packed = np.int64(int32_at(data, cigar)) & 0xFFFFFFFF
        operation, length = packed & 15, packed >> 4
        cigar += 4
        if operation == 0 or operation >= 7:
            step = 0
            while step < length:
                if md < 0:
                    stop, known = length, np.uint8(4)
                else:
                    if run < 0:
                        run, at = _md_number(data, at, end)
                    stop = min(length, step + run)
                    run -= stop - step
                while step < stop:
                    base = base_at(data, sequence, at_read + step)
                    known = base
                    if md < 0:
                        known = reference[position + step] if position + step < reference.size else np.uint8(4)
                    columns[0, column + step] = known
                    columns[1, column + step] = base
                    index[column + step] = at_read + step
                    step += 1
                if step < length:
                    if at >= end or not _is_letter(data[at]):
                        return False
                    columns[0, column + step] = LETTER_CODES[data[at]]
                    columns[1, column + step] = base_at(data, sequence, at_read + step)
                    index[column + step] = at_read + step
                    at += 1
                    step += 1
                    run = -1
            column += length
            at_read += length
            position += length
        elif operation == 1:
            for step in range(length):
                columns[0, column + step] = GAP
                columns[1, column + step] = base_at(data, sequence, at_read + step)
                index[column + step] = at_read + step
            column += length
            at_read += length
        elif operation == 2:
            if md >= 0:
                if run < 0:
                    run, at = _md_number(data, at, end)
                if run != 0 or at >= end or data[at] != 94:
                    return False
                at += 1
                run = -1
            for step in range(length):
                if md < 0:
                    known = reference[position + step] if position + step < reference.size else np.uint8(4)
                elif at < end and _is_letter(data[at]):
                    known = LETTER_CODES[data[at]]
                    at += 1
                else:
                    return False
                columns[0, column + step] = known
                columns[1, column + step] = GAP
                index[column + step] = -1
            column += length
            position += length
        elif operation == 3:
            position += length
        elif operation == 4:
            at_read += length
    if md < 0:
        return True
    if run < 0:
        run, at = _md_number(data, at, end)
    return run == 0 and at < end and data[at] == 0


@numba.njit(nogil=True, cache=True)
def measure_cigar(data: np.ndarray, cigar: int, sequence: int) -> tuple[int, int, int, int]:
    """Return a CIGAR's (read bases, reference bases, alignment columns, aligned bases); read bases = -1 if bad."""
    query, span, columns, aligned = 0, 0, 0, 0
    while cigar < sequence:
        packed = np.int64(int32_at(data, cigar)) & 0xFFFFFFFF
        operation, length = packed & 15, packed >> 4
        cigar += 4
        if operation == 0 or operation == 7 or operation == 8:
            query += length
            span += length
            columns += length
            aligned += length
        elif operation == 1:
            query += length
            columns += length
        elif operation == 2:
            span += length
            columns += length
        elif operation == 3:
            span += length
        elif operation == 4:
            query += length
        elif operation > 8:
            return -1, 0, 0, 0
    return query, span, columns, aligned
