"""Drawing reads at random over a whole alignment file, in memory that grows with the draw and not with the file.

Every read that passes the filters gets a random priority from its number and the seed; the lowest priorities win. So
the draw is spread over the whole file, is the same for the same seed, and needs one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neandl_core.errors import InputError
from neandl_core.io.alignments import Alignments
from neandl_core.io.records import (
    DUPLICATE,
    QC_FAIL,
    REVERSE,
    SECONDARY,
    SUPPLEMENTARY,
    UNMAPPED,
    int32_at,
    measure_cigar,
    record_layout,
    uint16_at,
)
from neandl_core.io.reference import ReferenceBases, contig_at_hand
from neandl_core.numba_start import numba
from neandl_core.read_rows import MISSING, NEED_REFERENCE, put_bases, put_qualities, put_reference
from neandl_core.recording import Progress, no_progress

DRAW_REASONS = (
    "unmapped", "secondary alignment", "supplementary alignment", "duplicate", "failed quality control",
    "mapping quality too low", "malformed record", "no sequence stored", "too short",
)
"""Why a record is not drawn from, in the order tested; the first that holds counts."""


@dataclass(frozen=True, eq=False)
class DrawnReads:
    """Reads of one or several files, in random order.

    Attributes
    ----------
    codes : (n, width) uint8 array
        First bases from the 5' end in the read's own orientation; 4 for N and beyond the read's end.
    reference, quality : (n, width) uint8 arrays
        The reference base under each base, 4 for none; the Phred quality of each, 255 for none.
    with_reference : (n,) bool array
        Whether the read has an MD tag that fits its alignment, or its contig was in the FASTA given; if not, its row
        of `reference` is all 4.
    lengths : (n,) int64 array
        Bases held, at most `width`.
    contigs : (n,) array of text
    starts : (n,) int64 array
        First aligned reference base, 0-based.
    reverse : (n,) bool array
        Whether the read is aligned to the - strand.
    samples : (n,) array of text
        File each read is from.
    total, passed
        Records read, and those that passed the filters.
    dropped
        Reason -> records that did not.
    simulated
        Whether NeanDL's simulation made any of the files.
    """

    codes: np.ndarray
    reference: np.ndarray
    quality: np.ndarray
    with_reference: np.ndarray
    lengths: np.ndarray
    contigs: np.ndarray
    starts: np.ndarray
    reverse: np.ndarray
    samples: np.ndarray
    total: int
    passed: int
    dropped: dict[str, int]
    simulated: bool


@numba.njit(nogil=True, cache=True, inline="always")
def _priority(number: int, seed: int) -> int:
    """Return a random 63-bit number for a read (SplitMix64, Steele et al. 2014, OOPSLA)."""
    z = np.uint64(number) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(1))


@numba.njit(nogil=True, cache=True)
def reason_of(data: np.ndarray, at: int, end: int, contigs: int, min_mapping_quality: int, min_length: int) -> int:
    """Return the index into `DRAW_REASONS`, -1 if the read passes, -2 if the file is corrupt here."""
    contig, start, bases = int32_at(data, at + 4), int32_at(data, at + 8), int32_at(data, at + 20)
    if contig < -1 or contig >= contigs or bases < 0 or start < -1:
        return -2
    flag = uint16_at(data, at + 18)
    if flag & UNMAPPED or contig < 0 or start < 0:
        return 0
    if flag & SECONDARY:
        return 1
    if flag & SUPPLEMENTARY:
        return 2
    if flag & DUPLICATE:
        return 3
    if flag & QC_FAIL:
        return 4
    if data[at + 13] < min_mapping_quality:
        return 5
    cigar, sequence, _, tags = record_layout(data, at, end)
    if tags < 0:
        return 6
    if bases == 0:
        return 7
    if measure_cigar(data, cigar, sequence)[0] != bases:
        return 6
    return 8 if bases < min_length else -1


@numba.njit(nogil=True, cache=True)
def _collect(
    data: np.ndarray, at: int, contigs: int, min_mapping_quality: int, min_length: int, seed: int, threshold: int,
    reference_has: np.ndarray, reference: np.ndarray, reference_contig: int, figures: np.ndarray, dropped: np.ndarray,
    filled: int, layers: np.ndarray, places: np.ndarray,
) -> tuple[int, int, int]:
    """Take the reads of a chunk whose priority is below `threshold`; return (byte reached, rows filled, contig needed).

    `layers` is (3, rows, width): bases, reference bases, qualities. `places` is (rows, 6): priority, bases held,
    contig, start, reverse, whether there is a reference. Stops when all rows are filled, and at a read without a
    fitting MD tag whose contig `reference_has` and is not `reference_contig`: call again from there with that contig,
    else -1. A byte reached of -1 says that the file is corrupt.
    """
    while at < data.size and filled < layers.shape[1]:
        end = at + 4 + int32_at(data, at)
        reason = reason_of(data, at, end, contigs, min_mapping_quality, min_length)
        if reason == -2:
            return -1, filled, -1
        if reason >= 0:
            figures[0] += 1
            dropped[reason] += 1
            at = end
            continue
        priority = _priority(figures[1], seed)
        if priority < threshold:
            contig = int32_at(data, at + 4)
            known = put_reference(
                data, at, end, reference_has.size > 0 and reference_has[contig] > 0, reference,
                contig == reference_contig, layers[1, filled],
            )
            if known == NEED_REFERENCE:
                return at, filled, contig
            _, sequence, qualities, _ = record_layout(data, at, end)
            bases = int32_at(data, at + 20)
            reverse = uint16_at(data, at + 18) & REVERSE != 0
            places[filled, 0] = priority
            places[filled, 1] = put_bases(data, sequence, bases, reverse, layers[0, filled])
            places[filled, 2] = contig
            places[filled, 3] = int32_at(data, at + 8)
            places[filled, 4] = reverse
            places[filled, 5] = known != MISSING
            put_qualities(data, qualities, bases, reverse, layers[2, filled])
            filled += 1
        figures[0] += 1
        figures[1] += 1
        at = end
    return at, filled, -1


class Draw:
    """Draws up to `wanted` reads from files added one after another.

    Parameters
    ----------
    wanted
        Reads to draw at most.
    width
        Bases kept of each, from the 5' end.
    min_length, min_mapping_quality
        Filters.
    rng
        Source of the random choice.
    """

    def __init__(
        self, wanted: int, width: int, min_length: int, min_mapping_quality: int, rng: np.random.Generator
    ) -> None:
        self._wanted = wanted
        self._filters = (min_mapping_quality, min_length)
        self._seed = int(rng.integers(0, 2**62))
        self._layers = np.empty((3, 2 * wanted, width), np.uint8)
        self._places = np.empty((2 * wanted, 7), np.int64)
        self._filled = 0
        self._threshold = np.iinfo(np.int64).max
        self._figures = np.zeros(2, np.int64)
        self._dropped = np.zeros(len(DRAW_REASONS), np.int64)
        self._files: list[tuple[str, tuple[str, ...]]] = []
        self._simulated = False

    def add(
        self, alignments: Alignments, progress: Progress = no_progress, reference: ReferenceBases | None = None
    ) -> None:
        """Draw from one more file.

        Parameters
        ----------
        alignments
            An opened file.
        progress
            Told the compressed bytes read.
        reference
            Bases for the reads without a fitting MD tag.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        bases = contig_at_hand(reference)
        file = len(self._files)
        self._files.append((alignments.path.name, tuple(name for name, _ in alignments.contigs)))
        self._simulated |= alignments.simulated
        for chunk, done in alignments.chunks():
            at = 0
            while at < chunk.size:
                before = self._filled
                at, self._filled, needed = _collect(
                    chunk, at, len(alignments.contigs), *self._filters, self._seed, self._threshold, *bases,
                    self._figures, self._dropped, before, self._layers, self._places[:, :6],
                )
                bases = contig_at_hand(reference, needed, bases)
                if at < 0:
                    raise InputError(
                        "the file is corrupt: a record's reference id, position or sequence length cannot be",
                        path=alignments.path, advice="Copy or download it again and compare the sizes.",
                    )
                self._places[before : self._filled, 6] = file
                if self._filled == self._layers.shape[1]:
                    self._keep_lowest()
            progress(done, alignments.size, f"Drawing reads from {alignments.path.name}")

    def _keep_lowest(self) -> None:
        order = np.argsort(self._places[: self._filled, 0], kind="stable")[: self._wanted]
        self._layers[:, : len(order)] = self._layers[:, order]
        self._places[: len(order)] = self._places[order]
        self._filled = len(order)
        if self._filled == self._wanted:
            self._threshold = int(self._places[self._filled - 1, 0])

    def reads(self) -> DrawnReads:
        """Return the reads drawn, in random order."""
        self._keep_lowest()
        layers, places = self._layers[:, : self._filled].copy(), self._places[: self._filled]
        names = [names for _, names in self._files]
        named = {
            "mapping quality too low": f"mapping quality below {self._filters[0]}",
            "too short": f"shorter than {self._filters[1]} bases",
        }
        counted = zip(DRAW_REASONS, self._dropped, strict=True)
        return DrawnReads(
            codes=layers[0],
            reference=layers[1],
            quality=layers[2],
            with_reference=places[:, 5] == 1,
            lengths=places[:, 1].copy(),
            contigs=np.array([names[file][contig] for file, contig in places[:, [6, 2]]], dtype=object),
            starts=places[:, 3].copy(),
            reverse=places[:, 4] == 1,
            samples=np.array([self._files[file][0] for file in places[:, 6]], dtype=object),
            total=int(self._figures[0]),
            passed=int(self._figures[1]),
            dropped={named.get(reason, reason): int(n) for reason, n in counted if n},
            simulated=self._simulated,
        )
