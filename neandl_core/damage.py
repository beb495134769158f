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

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from neandl_core.config import POSITIONS, ReadSettings
from neandl_core.damage_kernel import (
    EVERY,
    FIGURES,
    GAP,
    HALF,
    IMPOSSIBLE,
    IN_PAIRS,
    LAST_CONTIG,
    LONGEST,
    MAPPING_QUALITY_0,
    MD_REPLACED,
    NEED_CONTIG,
    NO_REFERENCE,
    OUT_OF_ORDER,
    REASONS,
    TAKEN,
    TOTAL,
    USED,
    WITHOUT_QUALITIES,
    count_records,
)
from neandl_core.errors import InputError, shorten
from neandl_core.intervals import match_contigs
from neandl_core.io.alignments import Alignments
from neandl_core.io.records import (
    DUPLICATE,
    FIXED,
    NIBBLE_CODES,
    QC_FAIL,
    SECONDARY,
    SUPPLEMENTARY,
    whole_records,
)
from neandl_core.io.twobit import open_genome
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
_KEEP_BASES = 64_000_000
"""Bases of reference contigs kept in memory beside the current one."""


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
        self.left = np.zeros((2, HALF, 256), np.uint32)
        self.right = np.zeros((2, 2, HALF + 1, 256), np.uint32)
        self.lengths = np.zeros((2, 2, LONGEST), np.int64)
        self.dropped = np.zeros(len(REASONS), np.int64)
        self.figures = np.zeros(FIGURES, np.int64)
        self.figures[LAST_CONTIG] = -1
        self.stored_as_equal = 0

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.counts, self.left, self.right, self.lengths, self.dropped, self.figures

    def fold(self) -> None:
        """Add the byte tallies of reads without gaps to `counts`.

        A byte holds two bases, the earlier one in its high half. Counted from the right end, byte k of a read with an
        even number of bases holds distances 2k (low half) and 2k + 1 (high half); with an odd number the last low
        half is padding, so byte k holds 2k (high) and 2k - 1 (low).
        """
        def halves(tally: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            square = tally.astype(np.int64).reshape(*tally.shape[:-1], 16, 16)
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


class _ReferenceBases:
    """The reference, a contig at a time, by the alignment file's reference ids."""

    def __init__(self, path: Path, alignments: Alignments) -> None:
        self._genome = open_genome(path)
        self.notes = list(self._genome.notes)
        names = [name for name, _ in alignments.contigs]
        match = match_contigs(names, self._genome.names)
        if not match.to_reference:
            raise InputError(
                f"none of its contigs ({shorten(', '.join(names), 40)}) is in {path.name} "
                f"({shorten(', '.join(self._genome.names), 40)})",
                path=alignments.path, advice="Give the FASTA that the reads were aligned to.",
            )
        for name, length in alignments.contigs:
            other = match.to_reference.get(name)
            if other is not None and self._genome.lengths[other] != length:
                raise InputError(
                    f'contig "{shorten(name)}" has {length:,} bases here and {self._genome.lengths[other]:,} in '
                    f"{path.name}", path=alignments.path, advice="Give the FASTA that the reads were aligned to.",
                )
        if match.renamed:
            self.notes.append(f"{match.renamed:,} contig names were matched to {path.name} with and without chr.")
        if match.unmatched:
            self.notes.append(f"{len(match.unmatched):,} contigs of {alignments.path.name} are not in {path.name}.")
        self._names = [match.to_reference.get(name) for name in names]
        self.has = np.array([name is not None for name in self._names], np.uint8)
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self.loads = 0
        self._path = alignments.path

    def codes(self, contig: int) -> np.ndarray:
        """Return the codes of a contig. Files that jump between large contigs are refused: it would take for ever."""
        if contig in self._kept:
            self._kept.move_to_end(contig)
            return self._kept[contig]
        self.loads += 1
        if self.loads > 100 + 2 * len(self._names):
            raise InputError(
                "its reads are not sorted, so the reference would be read over and over",
                path=self._path, advice="Sort it (samtools sort).",
            )
        name = self._names[contig]
        size = self._genome.lengths[name]
        while self._kept and size + sum(codes.size for codes in self._kept.values()) > _KEEP_BASES:
            self._kept.popitem(last=False)
        self._kept[contig] = self._genome.codes(name)
        return self._kept[contig]


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
    bases = None if reference is None else _ReferenceBases(reference, alignments)
    has = np.zeros(0, np.uint8) if bases is None else bases.has
    lengths = np.array([length for _, length in alignments.contigs], np.int64)
    tally, codes, current = _Tally(), np.frombuffer(b"\4", np.uint8), -1
    read_base = settings.definition == "read-base"
    skip = _flags(settings)
    threshold = _threshold(alignments, settings, progress)
    every_contig = observer is not None and observer.every_contig and bases is not None
    with _Watch(observer) as watch:
        for number, (chunk, done) in enumerate(alignments.chunks(), start=1):
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
            if number % _FOLD_EVERY == 0:
                tally.fold()
            progress(done, alignments.size, "Counting reads")
    tally.fold()
    if tally.stored_as_equal:
        raise InputError(
            "its reads are stored with '=' in place of bases that equal the reference", path=alignments.path,
            advice="Write it anew with samtools calmd without -e.",
        )
    return _profile(alignments, settings, tally, [] if bases is None else bases.notes)


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
    if figures[WITHOUT_QUALITIES]:
        notes.append(f"{figures[WITHOUT_QUALITIES]:,} reads used have no base qualities; they are not needed here.")
    if figures[MAPPING_QUALITY_0] == reads_used:
        notes.append("Every read used has mapping quality 0.")
    if alignments.sort_order == "coordinate" and figures[OUT_OF_ORDER]:
        notes.append("The header says sorted by coordinate, but the records are not.")
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
