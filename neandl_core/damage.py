"""Damage profiles: misincorporations by distance from both ends of the reads, rates with intervals, read lengths.

Two definitions are in use, and they differ where reads are clipped or have gaps:

``alignment-column``
    mapDamage 2.2. Position = column of the alignment: soft clips are cut off, insertions and deletions take a column
    each. A rate's denominator is the columns with that reference base and A, C, G, T or a gap in the read.
``read-base``
    DamageProfiler, PMDtools. Position = base of the read: clipped and inserted bases take a position and have no
    reference base, deletions take none. The denominator is the columns with that reference base and A, C, G or T.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from neandl_core.config import POSITIONS, ReadSettings
from neandl_core.damage_kernel import (
    EVERY,
    FIGURES,
    FIRST_CONTIG,
    FIRST_START,
    HALF,
    IMPOSSIBLE,
    IN_PAIRS,
    LAST_CONTIG,
    LAST_START,
    LONGEST,
    MAPPING_QUALITY_0,
    MD_REPLACED,
    NEED_CONTIG,
    NO_REFERENCE,
    OUT_OF_ORDER,
    PAST_END,
    REASONS,
    ROW,
    TAKEN,
    TOTAL,
    USED,
    WITHOUT_MD,
    WITHOUT_QUALITIES,
    count_records,
)
from neandl_core.errors import InputError, shorten
from neandl_core.io.alignments import Alignments
from neandl_core.io.records import (
    DUPLICATE,
    FIXED,
    GAP,
    NIBBLE_CODES,
    QC_FAIL,
    SECONDARY,
    SUPPLEMENTARY,
    whole_records,
)
from neandl_core.io.reference import ReferenceBases
from neandl_core.io.shared_chunks import Worker
from neandl_core.metrics import wilson_interval
from neandl_core.recording import Progress, no_progress
from neandl_core.schemas import DAMAGE_RATES, LENGTHS, MISINCORPORATIONS

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, np.ndarray]
"""A table by columns, for `files.write_tsv`."""

ENDS = ("5p", "3p")
STRANDS = ("+", "-")
MEASURES = ("span", "query")
BASES = "ACGT"
SUBSTITUTIONS = tuple(f"{a}>{b}" for a in BASES for b in BASES if a != b)

_COUNTABLE = [0, 1, 2, 3, GAP]
_COMPLEMENT = [3, 2, 1, 0, 4, 5]
_FOLD_EVERY = 2048
"""Chunks of at most 1 MiB (or one record) between two foldings, so that 32-bit tallies cannot overflow."""


@dataclass(frozen=True, eq=False)
class DamageProfile:
    """What was counted in one file.

    Attributes
    ----------
    settings
        Definition and filters.
    counts : (2 ends, 2 strands, positions, 6, 6) int64 array
        Columns by end (5p, 3p), strand (+, -), distance from that end, reference base, read base, both in the read's
        own orientation; codes A, C, G, T, N, gap.
    lengths : (2 measures, 2 strands, LONGEST) int64 array
        Reads by aligned span on the reference, and by their own bases.
    reads_total, reads_used
        Records in the file and records counted. Mates of a pair are two records.
    dropped
        Reason -> records, in the order tested; with `reads_used` they add up to `reads_total`.
    notes
        What was odd, assumed or worth knowing, in sentences.
    in_order
        Whether the records are sorted by coordinate, as the header says and as they were met.
    """

    settings: ReadSettings
    counts: np.ndarray
    lengths: np.ndarray
    reads_total: int
    reads_used: int
    dropped: dict[str, int]
    notes: tuple[str, ...]
    in_order: bool = False

    def tally(self, end: str, substitution: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (observed, denominator) of a substitution such as ``C>T`` at each position from an end."""
        reference, read = BASES.index(substitution[0]), BASES.index(substitution[2])
        rows = self.counts[ENDS.index(end)].sum(axis=0)[:, reference]
        return rows[:, read], rows[:, _COUNTABLE].sum(axis=1)


class _Tally:
    """The arrays that the kernel adds to."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, 2, POSITIONS, 6, 6), np.int64)
        self.left = np.zeros((2, HALF, ROW), np.uint32)
        self.right = np.zeros((2, 2, HALF + 1, ROW), np.uint32)
        self.lengths = np.zeros((2, 2, LONGEST), np.int64)
        self.dropped = np.zeros(len(REASONS), np.int64)
        self.figures = np.zeros(FIGURES, np.int64)
        self.figures[LAST_CONTIG] = -1
        self.stored_as_equal = 0
        self.chunks = 0

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.counts, self.left, self.right, self.lengths, self.dropped, self.figures

    def add(self, other: _Tally) -> None:
        """Add what another has counted, both being folded."""
        for here, there in zip(self.arrays, other.arrays, strict=True):
            here += there
        self.stored_as_equal += other.stored_as_equal

    def chunk_counted(self) -> None:
        """Fold, if so many chunks were counted since that the byte tallies could overflow."""
        self.chunks += 1
        if self.chunks % _FOLD_EVERY == 0:
            self.fold()

    def fold(self) -> None:
        """Add the byte tallies of reads without gaps to `counts`.

        A byte holds two bases, the earlier one in its high half. Counted from the right end, byte k of a read with an
        even number of bases holds distances 2k (low half) and 2k + 1 (high half); with an odd number the last low
        half is padding, so byte k holds 2k (high) and 2k - 1 (low).
        """
        def halves(tally: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            square = tally[..., :256].astype(np.int64).reshape(*tally.shape[:-1], 16, 16)
            return square.sum(axis=-1), square.sum(axis=-2)

        letters = np.zeros((2, 2, 2 * HALF + 2, 16), np.int64)
        high, low = halves(self.left)
        letters[:, 0, 0 : 2 * HALF : 2] = high
        letters[:, 0, 1 : 2 * HALF : 2] = low
        high, low = halves(self.right)
        letters[:, 1, 0::2] += low[:, 0] + high[:, 1]
        letters[:, 1, 1::2] += high[:, 0]
        letters[:, 1, 1:-1:2] += low[:, 1, 1:]
        letters = letters[:, :, :POSITIONS]
        self.stored_as_equal += int(letters[:, 1, :, 0].sum())
        letters[..., 0] = 0
        for nibble, code in enumerate(NIBBLE_CODES):
            self.counts[..., code, code] += letters[..., nibble]
        self.left[:] = 0
        self.right[:] = 0


class Observer(Protocol):
    """Whoever looks at the records that were counted, beside the count: `read_details.Describer`."""

    every_contig: bool
    """Whether it wants the reference bases of every record's contig; set to false if the file jumps between them."""

    def observe(self, chunk: np.ndarray, taken: np.ndarray, codes: np.ndarray, contig: int) -> None:
        """Look at records: `taken` as `damage_kernel.count_records` fills it, `codes` of the contig `contig`."""


def count_damage(
    alignments: Alignments, settings: ReadSettings, reference: Path | None = None, progress: Progress = no_progress,
    observer: Observer | None = None,
) -> DamageProfile:
    """Count misincorporations and lengths over a whole file.

    Reference bases come from each record's MD tag; where it has none, or one that does not fit, from `reference`.

    Parameters
    ----------
    alignments
        An opened file.
    settings
        Definition and filters.
    reference
        FASTA that the reads were aligned to; contigs match with and without ``chr``.
    progress
        Told the compressed bytes read.
    observer
        Shown the records counted, in a thread of its own.

    Raises
    ------
    InputError
        If the file is damaged, a read has neither MD tag nor reference, the reference is another one, or no read can
        be used.
    """
    threshold = _threshold(alignments, settings, progress)
    if reference is None and observer is None:
        tally, notes = _count_side_by_side(alignments, settings, threshold, progress), []
    else:
        tally, notes = _count_in_order(alignments, settings, threshold, reference, progress, observer)
    if tally.stored_as_equal:
        raise InputError(
            "its reads are stored with '=' in place of bases that equal the reference", path=alignments.path,
            advice="Write it anew with samtools calmd without -e.",
        )
    return _profile(alignments, settings, tally, notes)


_NO_CODES = np.frombuffer(b"\4", np.uint8)


def _count_side_by_side(
    alignments: Alignments, settings: ReadSettings, threshold: int, progress: Progress
) -> _Tally:
    """Count the chunks of a file in several threads."""
    lengths = np.array([length for _, length in alignments.contigs], np.int64)
    read_base, skip, seed = settings.definition == "read-base", _flags(settings), np.uint64(settings.seed)
    none, nobody = np.zeros(0, np.uint8), np.empty(0, np.int64)
    borders: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {}
    """First and last position of each chunk, by the records before it."""

    def counter(tally: _Tally) -> Worker:
        def count(chunk: np.ndarray, before: int) -> None:
            total = int(tally.figures[TOTAL])
            tally.figures[LAST_CONTIG] = -1
            at, why, _ = count_records(
                chunk, 0, skip, settings.min_mapping_quality, settings.min_length, read_base, threshold, seed, lengths,
                none, _NO_CODES, -1, False, nobody, *tally.arrays,
            )
            if why in (NO_REFERENCE, IMPOSSIBLE):
                raise _fault(alignments, why, chunk, at, before + int(tally.figures[TOTAL]) - total + 1)
            figures = tally.figures.tolist()
            if figures[LAST_CONTIG] >= 0:
                borders[before] = (
                    (figures[FIRST_CONTIG], figures[FIRST_START]), (figures[LAST_CONTIG], figures[LAST_START])
                )
            tally.chunk_counted()

        return count

    tallies = [_Tally() for _ in range(alignments.threads)]
    alignments.share_chunks(
        [counter(tally) for tally in tallies], lambda done: progress(done, alignments.size, "Counting reads")
    )
    for tally in tallies:
        tally.fold()
    for other in tallies[1:]:
        tallies[0].add(other)
    in_file = [borders[before] for before in sorted(borders)]
    tallies[0].figures[OUT_OF_ORDER] += sum(first < last for (_, last), (first, _) in pairwise(in_file))
    return tallies[0]


def _count_in_order(
    alignments: Alignments, settings: ReadSettings, threshold: int, reference: Path | None, progress: Progress,
    observer: Observer | None,
) -> tuple[_Tally, list[str]]:
    """Count chunk by chunk, and return the tally with what was odd about the reference."""
    bases = None if reference is None else ReferenceBases(reference, alignments)
    has = np.zeros(0, np.uint8) if bases is None else bases.has
    lengths = np.array([length for _, length in alignments.contigs], np.int64)
    tally, codes, current = _Tally(), _NO_CODES, -1
    read_base = settings.definition == "read-base"
    skip = _flags(settings)
    every_contig = observer is not None and observer.every_contig and bases is not None
    with _Watch(observer) as watch:
        for chunk, done in alignments.chunks():
            at, why = 0, NEED_CONTIG
            while why == NEED_CONTIG:
                taken = watch.room(chunk)
                tally.figures[TAKEN] = 0
                at, why, contig = count_records(
                    chunk, at, skip, settings.min_mapping_quality, settings.min_length, read_base, threshold,
                    np.uint64(settings.seed), lengths, has, codes, current, every_contig, taken, *tally.arrays,
                )
                watch.show(chunk, taken[: tally.figures[TAKEN]], codes, current)
                if why == NEED_CONTIG:
                    if every_contig and bases.loads > 50 + len(alignments.contigs):
                        every_contig = observer.every_contig = False
                        bases.notes.append(
                            "The records are not sorted, so the bases beside the reads were not counted."
                        )
                    codes, current = bases.codes(contig), contig
            if why in (NO_REFERENCE, IMPOSSIBLE):
                raise _fault(alignments, why, chunk, at, int(tally.figures[TOTAL]) + 1)
            tally.chunk_counted()
            progress(done, alignments.size, "Counting reads")
    tally.fold()
    return tally, [] if bases is None else bases.notes


class _Watch:
    """Runs an observer one chunk behind the count, in a thread."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if self._pending is not None and kind is None:
                self._pending.result()
        finally:
            self._pool.shutdown()

    def room(self, chunk: np.ndarray) -> np.ndarray:
        """Return an array for `taken`, of size 0 if nobody looks."""
        return np.empty(0 if self._observer is None else chunk.size // FIXED + 1, np.int64)

    def show(self, chunk: np.ndarray, taken: np.ndarray, codes: np.ndarray, contig: int) -> None:
        if self._observer is None:
            return
        if self._pending is not None:
            self._pending.result()
        self._pending = self._pool.submit(self._observer.observe, chunk, taken, codes, contig)


def _threshold(alignments: Alignments, settings: ReadSettings, progress: Progress) -> int:
    """Return the hash up to which a read is drawn, after counting the records if only some are wanted."""
    if settings.subsample is None:
        return EVERY
    records = 0
    for chunk, done in alignments.chunks():
        records += whole_records(chunk)[1]
        progress(done, alignments.size, "Counting records, to draw from all of them")
    share = settings.subsample / max(1, records)
    return EVERY if share >= 1 else np.uint64(int(share * int(EVERY)))


def _flags(settings: ReadSettings) -> int:
    chosen = {
        SECONDARY: settings.skip_secondary, SUPPLEMENTARY: settings.skip_supplementary,
        DUPLICATE: settings.skip_duplicates, QC_FAIL: settings.skip_qc_fail,
    }
    return sum(flag for flag, skipped in chosen.items() if skipped)


def _fault(alignments: Alignments, why: int, chunk: np.ndarray, at: int, record: int) -> InputError:
    size = int(chunk[at + 12])
    name = bytes(chunk[at + 36 : at + 36 + size]).split(b"\0", 1)[0].decode("utf-8", "replace")
    place = f"record {record:,} (read {shorten(name, 40)})"
    if why == IMPOSSIBLE:
        return InputError(
            "the file is corrupt: this record's reference id, position or sequence length cannot be",
            path=alignments.path, place=place, advice="Copy or download it again and compare the sizes.",
        )
    return InputError(
        "no MD tag and no reference FASTA given, so misincorporations cannot be counted", path=alignments.path,
        place=place, advice="Give the FASTA the reads were aligned to.",
    )


def _profile(alignments: Alignments, settings: ReadSettings, tally: _Tally, notes: list[str]) -> DamageProfile:
    """Turn the tallies from the alignment's sides into the read's ends, and make sure that something was counted."""
    figures = tally.figures
    named = dict(zip(REASONS, REASONS, strict=True)) | {
        "mapping quality too low": f"mapping quality below {settings.min_mapping_quality}",
        "too short": f"shorter than {settings.min_length} bases",
    }
    dropped = {named[name]: int(n) for name, n in zip(REASONS, tally.dropped, strict=True) if n}
    reads_total, reads_used = int(figures[TOTAL]), int(figures[USED])
    counts = np.empty_like(tally.counts)
    turned = tally.counts[1][:, :, _COMPLEMENT][:, :, :, _COMPLEMENT]
    counts[0, 0], counts[1, 0] = tally.counts[0, 0], tally.counts[0, 1]
    counts[0, 1], counts[1, 1] = turned[1], turned[0]
    if reads_used == 0 or counts[..., :4, :4].sum() == 0:
        reasons = "; ".join(f"{reason}: {n:,}" for reason, n in dropped.items()) or "every base is N"
        if reads_total == 0:
            reasons = "it holds no records"
        raise InputError(f"0 usable reads of {reads_total:,} ({reasons})", path=alignments.path)
    notes = [*alignments.notes, *notes]
    if settings.subsample and "not drawn for the subsample" in dropped:
        notes.append(
            f"{reads_used:,} of {reads_total:,} records are used: about {settings.subsample:,} were drawn over the "
            f"whole file by a hash of their names, with seed {settings.seed}, and then filtered."
        )
    if figures[IN_PAIRS]:
        notes.append(f"{figures[IN_PAIRS]:,} of the reads used are mates of pairs; each mate is counted by itself.")
    if figures[MD_REPLACED]:
        notes.append(
            f"{figures[MD_REPLACED]:,} MD tags do not fit their alignment; the reference was used in their place."
        )
    if figures[WITHOUT_MD]:
        notes.append(f"{figures[WITHOUT_MD]:,} reads used have no MD tag; their reference bases are from the FASTA.")
    if figures[PAST_END]:
        notes.append(
            f"{figures[PAST_END]:,} alignments run past the end of their contig, where the FASTA has no bases to "
            "compare with."
        )
    if figures[WITHOUT_QUALITIES]:
        notes.append(f"{figures[WITHOUT_QUALITIES]:,} reads used have no base qualities; they are not needed here.")
    if figures[MAPPING_QUALITY_0] == reads_used:
        notes.append("Every read used has mapping quality 0.")
    if alignments.sort_order == "coordinate" and figures[OUT_OF_ORDER]:
        notes.append("The header says sorted by coordinate, but the records are not.")
    elif figures[OUT_OF_ORDER]:
        notes.append("The records are not sorted by coordinate, which counting them does not need.")
    if np.any(tally.lengths[..., -1]):
        notes.append(f"Reads of {LONGEST - 1:,} bases and more share the last bin of the length histogram.")
    for array in (counts, tally.lengths):
        array.flags.writeable = False
    in_order = alignments.sort_order == "coordinate" and not figures[OUT_OF_ORDER]
    return DamageProfile(settings, counts, tally.lengths, reads_total, reads_used, dropped, tuple(notes), in_order)


def misincorporation_table(profile: DamageProfile) -> pd.DataFrame:
    """Return every count by end, strand, position, reference and read base (`schemas.MISINCORPORATIONS`)."""
    return _frame(misincorporation_columns(profile))


def misincorporation_columns(profile: DamageProfile) -> Columns:
    """Return the columns of `misincorporation_table`."""
    letters = np.array([*BASES, "N", "-"])
    end, strand, position, reference, read = np.indices(profile.counts.shape).reshape(5, -1)
    listed = (reference != 4) & (read != 4) & ~((reference == GAP) & (read == GAP))
    columns = (
        np.array(ENDS)[end], np.array(STRANDS)[strand], position, letters[reference], letters[read],
        profile.counts.ravel(),
    )
    return {name: values[listed] for name, values in zip(MISINCORPORATIONS, columns, strict=True)}


def damage_rate_table(profile: DamageProfile) -> pd.DataFrame:
    """Return the rate of all twelve substitutions at each position from both ends (`schemas.DAMAGE_RATES`)."""
    return _frame(damage_rate_columns(profile))


def damage_rate_columns(profile: DamageProfile) -> Columns:
    """Return the columns of `damage_rate_table`."""
    kinds = [(end, substitution) for end in ENDS for substitution in SUBSTITUTIONS]
    observed, n = np.array([profile.tally(*kind) for kind in kinds]).transpose(1, 0, 2).reshape(2, -1)
    low, high = wilson_interval(observed, n)
    rate = np.divide(observed, n, out=np.full(n.shape, np.nan), where=n > 0)
    end, substitution = np.repeat(np.array(kinds), POSITIONS, axis=0).T
    position = np.tile(np.arange(POSITIONS), len(kinds))
    return dict(zip(DAMAGE_RATES, (end, position, substitution, n, observed, rate, low, high), strict=True))


def length_table(profile: DamageProfile) -> pd.DataFrame:
    """Return the reads of each length by strand, aligned span and own bases (`schemas.LENGTHS`)."""
    return _frame(length_columns(profile))


def length_columns(profile: DamageProfile) -> Columns:
    """Return the columns of `length_table`."""
    measure, strand, length = np.nonzero(profile.lengths)
    columns = (
        np.array(STRANDS)[strand], np.array(MEASURES)[measure], length, profile.lengths[measure, strand, length]
    )
    return dict(zip(LENGTHS, columns, strict=True))


def _frame(columns: Columns) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)
