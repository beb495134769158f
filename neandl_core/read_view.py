"""Reads laid out base by base against the reference, from the 5' to the 3' end, to be looked at.

The reference comes from CIGAR and MD tag, or from the bases that were kept with the record; without either the read
is shown and nothing is called a match.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.read_sample import ReadSample
from neandl_core.schemas import VIEWED_BASES, VIEWED_READS

NEAR_END = 10
"""Bases from an end within which C>T or G>A is taken for a mark of damage."""
KINDS = ("damage at its end", "C>T or G>A elsewhere", "other mismatch", "insertion", "deletion", "clipped", "unknown")
"""What a column that is no match can be."""
_FIXED = struct.Struct("<iiiBBHHHi")
_LETTERS = "=ACMGRSVTWYHKDBN"
_OPERATIONS = "MIDNSHP=X"
_COMPLEMENT = str.maketrans("ACGTMRWSYKVHDBNacgtn", "TGCAKYWSRMBDHVNtgcan")
_MD = re.compile(r"(\d+)|\^([A-Za-z]+)|([A-Za-z])")
_TAG_SIZES = {"A": 1, "c": 1, "C": 1, "s": 2, "S": 2, "i": 4, "I": 4, "f": 4}


@dataclass(frozen=True)
class AlignedRead:
    """One read against the reference, column by column, from its 5' end.

    Attributes
    ----------
    name, contig, start, strand, mapping_quality
        As in the record; `start` is 0-based.
    bases
        Bases of the read, clipped ones too.
    read, reference
        One letter a column. In `read`, ``-`` is a deletion and small letters are clipped; in `reference`, ``-`` is
        under an insertion, a blank under a clipped base and ``?`` where the base is not known.
    qualities
        Phred quality by column, None in deletions and where there are none.
    """

    name: str
    contig: str
    start: int
    strand: str
    mapping_quality: int
    bases: int
    read: str
    reference: str
    qualities: tuple[int | None, ...]

    @property
    def dots(self) -> str:
        """The read with a dot for each match."""
        pairs = zip(self.read, self.reference, strict=True)
        return "".join("." if base == known else base for base, known in pairs)


def align(record: bytes, contigs: Sequence[str], reference: bytes = b"") -> AlignedRead:
    """Lay out one BAM record.

    Parameters
    ----------
    record
        With its length in front.
    contigs
        Names by reference id.
    reference
        Reference bases from the record's start on as codes, for records without an MD tag that fits.

    Raises
    ------
    InputError
        If the record's parts do not fit together.
    """
    try:
        return _align(record, contigs, reference)
    except (struct.error, IndexError, ValueError) as error:
        raise InputError(f"a record of the sample of reads is damaged ({type(error).__name__})") from None


def _align(record: bytes, contigs: Sequence[str], reference: bytes) -> AlignedRead:
    _, contig, start, name_size, mapping_quality, _, operations, flag, bases = _FIXED.unpack_from(record)
    at = 36 + name_size
    name = record[36 : at - 1].decode("utf-8", "replace")
    packed = np.frombuffer(record, "<u4", operations, at)
    cigar = [(_OPERATIONS[value & 15], int(value >> 4)) for value in packed.tolist()]
    at += 4 * operations
    half = np.frombuffer(record, np.uint8, (bases + 1) // 2, at)
    sequence = "".join(_LETTERS[value] for value in np.stack([half >> 4, half & 15], axis=1).ravel()[:bases].tolist())
    at += (bases + 1) // 2
    quality = record[at : at + bases]
    qualities = [None] * bases if quality[:1] == b"\xff" else list(quality)
    known = "".join("ACGTN"[min(code, 4)] for code in reference) or _from_md(record[at + bases :], cigar, sequence)
    seen, under, marks = _columns(cigar, sequence, known, qualities)
    if flag & 16:
        seen, under, marks = seen[::-1].translate(_COMPLEMENT), under[::-1].translate(_COMPLEMENT), marks[::-1]
    return AlignedRead(
        name, contigs[contig], start, "-" if flag & 16 else "+", mapping_quality, bases, seen, under, tuple(marks)
    )


def _columns(
    cigar: list[tuple[str, int]], sequence: str, known: str | None, qualities: list[int | None]
) -> tuple[str, str, list[int | None]]:
    """Return (read, reference, qualities) by column, as stored; `known` runs over aligned and deleted bases."""
    seen, under, marks = [], [], []
    read_at, known_at = 0, 0
    for operation, length in cigar:
        here = sequence[read_at : read_at + length]
        there = "?" * length if known is None else known[known_at : known_at + length]
        if operation in "M=X":
            seen.append(here)
            under.append(there)
        elif operation == "I":
            seen.append(here)
            under.append("-" * length)
        elif operation == "S":
            seen.append(here.lower())
            under.append(" " * length)
        elif operation == "D":
            seen.append("-" * length)
            under.append(there)
            marks += [None] * length
        if operation in "M=XIS":
            marks += qualities[read_at : read_at + length]
            read_at += length
        if operation in "M=XDN":
            known_at += length
    return "".join(seen), "".join(under), marks


def _from_md(tags: bytes, cigar: list[tuple[str, int]], sequence: str) -> str | None:
    """Return the reference bases under a record from its MD tag, None without one that fits."""
    text = _md_text(tags)
    if text is None:
        return None
    aligned, at = [], 0
    for operation, length in cigar:
        if operation in "M=X":
            aligned.append(sequence[at : at + length])
        if operation in "M=XIS":
            at += length
    bases, at, known = "".join(aligned), 0, []
    for number, deleted, letter in _MD.findall(text):
        if number:
            known.append(bases[at : at + int(number)])
            at += int(number)
        elif deleted:
            known.append(deleted.upper())
        else:
            known.append(letter.upper())
            at += 1
    spanned = "".join(known)
    skipped = any(operation == "N" for operation, _ in cigar)
    fits = at == len(bases) and len(spanned) == sum(n for operation, n in cigar if operation in "M=XD")
    return spanned if fits and not skipped else None


def _md_text(tags: bytes) -> str | None:
    at = 0
    while at + 3 <= len(tags):
        name, kind = tags[at : at + 2], chr(tags[at + 2])
        at += 3
        if kind in "ZH":
            end = tags.index(0, at)
            if name == b"MD":
                return tags[at:end].decode("ascii", "replace")
            at = end + 1
        elif kind == "B":
            at += 5 + _TAG_SIZES[chr(tags[at])] * int.from_bytes(tags[at + 1 : at + 5], "little")
        elif kind in _TAG_SIZES:
            at += _TAG_SIZES[kind]
        else:
            return None
    return None


def view_reads(
    sample: ReadSample, rows: np.ndarray, *, single_stranded: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay out reads of a sample.

    Parameters
    ----------
    sample, rows
        From `ReadSample.draw`.
    single_stranded
        Whether damage at the 3' end reads as C>T; as G>A if not.

    Returns
    -------
    reads, bases
        Tables `VIEWED_READS`, one row a read in the order of `rows`, and `VIEWED_BASES`, one row for each column that
        is no match.
    """
    reads = [align(sample.records[row], sample.contigs, sample.references[row]) for row in rows.tolist()]
    bases = [
        (number, *base) for number, read in enumerate(reads, start=1)
        for base in _differences(read, "C>T" if single_stranded else "G>A")
    ]
    table = pd.DataFrame(bases, columns=list(VIEWED_BASES))
    listed = []
    for number, (read, row) in enumerate(zip(reads, rows.tolist(), strict=True), start=1):
        changes = [f"{base[2]}>{base[3]} at {base[0]}" for base in _differences(read, "") if base[4] in KINDS[:3]]
        listed.append((
            number, read.name, float(sample.scores[row]), read.bases, len(read.read), read.contig, read.start,
            read.strand, read.mapping_quality, ", ".join(changes), read.reference, read.dots, read.read,
        ))
    return pd.DataFrame(listed, columns=list(VIEWED_READS)), table


def _differences(read: AlignedRead, at_3p: str) -> list[tuple[int, int, str, str, str, int | None]]:
    """Return (column from the 5' end, from the 3' end, reference, base, kind, quality) of all that is no match."""
    found, columns = [], len(read.read)
    for place, (base, known) in enumerate(zip(read.read, read.reference, strict=True)):
        if base == known:
            continue
        from_5p, from_3p = place + 1, columns - place
        change = f"{known}>{base}"
        if known == " ":
            kind = "clipped"
        elif known in "?N" or base in "N=":
            kind = "unknown"
        elif known == "-" or base == "-":
            kind = "insertion" if known == "-" else "deletion"
        elif (change == "C>T" and from_5p <= NEAR_END) or (change == at_3p and from_3p <= NEAR_END):
            kind = "damage at its end"
        else:
            kind = "C>T or G>A elsewhere" if change in ("C>T", "G>A") else "other mismatch"
        found.append((from_5p, from_3p, known, base, kind, read.qualities[place]))
    return found
