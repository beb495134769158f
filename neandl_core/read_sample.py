"""A fair sample of a file's reads by score, kept while the file is read, so that reads can be looked at afterwards.

Every read gets a random key, and each bin of scores keeps the reads with the lowest keys. The lowest keys of several
bins together are then the lowest of all their reads: from any range of bins as many reads as one bin keeps can be
drawn, each read of the range with the same chance. Memory does not grow with the file, and the file need not be there
any more when the reads are looked at.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self
from zipfile import BadZipFile

import numpy as np

from neandl_core.errors import InputError

FILE = "read_sample.npz"
"""Where a run keeps its sample."""
PER_BIN = 50
LARGEST = 4096
"""Bytes of the largest record that is kept, which is a read of about 2,500 bases; larger ones are counted."""


class Bins(NamedTuple):
    """Bins of equal width: the first one's lower edge, width, number. The outer ones hold what lies beyond too."""

    low: float
    step: float
    number: int

    @property
    def edges(self) -> np.ndarray:
        """Edges of all bins, (number + 1,) float64."""
        return np.round(self.low + self.step * np.arange(self.number + 1), 6)


PMD_BINS = Bins(-10.0, 0.5, 60)
PROBABILITY_BINS = Bins(0.0, 0.02, 50)


class ReadSampler:
    """Takes the sample while a file is read.

    Parameters
    ----------
    bins
        Bins of the score.
    contigs
        Names by reference id.
    seed
        Of the random keys.
    """

    def __init__(self, bins: Bins, contigs: tuple[str, ...], seed: int) -> None:
        self.bins = bins
        self.contigs = contigs
        self._rng = np.random.default_rng([seed, 41])
        self._counts = np.zeros(bins.number, np.int64)
        self._limits = np.full(bins.number, np.inf)
        self._heaps: list[list[tuple[float, float, bytes, bytes]]] = [[] for _ in range(bins.number)]
        self._too_long = 0

    def add(
        self, chunk: np.ndarray, starts: np.ndarray, scores: np.ndarray, codes: np.ndarray | None = None,
        by_codes: np.ndarray | None = None,
    ) -> None:
        """Offer the reads of a chunk.

        Parameters
        ----------
        chunk : uint8 array
            Whole BAM records.
        starts : (n,) int64 array
            Where the records begin.
        scores : (n,) float array
            NaN for reads without one, which are not taken.
        codes : uint8 array, optional
            Bases of the contig that all records with `by_codes` lie on.
        by_codes : (n,) bool array, optional
            Records that need them, as they have no MD tag that fits.
        """
        keys = self._rng.random(scores.size)
        known = ~np.isnan(scores)
        places = np.floor((np.where(known, scores, 0.0) - self.bins.low) / self.bins.step + 1e-6)
        places = np.clip(places, 0, self.bins.number - 1).astype(np.int64)
        self._counts += np.bincount(places[known], minlength=self.bins.number)
        for row in np.flatnonzero(known & (keys < self._limits[places])).tolist():
            at = int(starts[row])
            size = 4 + int.from_bytes(chunk[at : at + 4].tobytes(), "little")
            if size > LARGEST:
                self._too_long += 1
                continue
            record, reference = chunk[at : at + size].tobytes(), b""
            if by_codes is not None and by_codes[row]:
                first, span = place_on_reference(record)
                reference = codes[first : first + span].tobytes()
            self._keep(int(places[row]), (-float(keys[row]), float(scores[row]), record, reference))

    def _keep(self, place: int, read: tuple[float, float, bytes, bytes]) -> None:
        heap = self._heaps[place]
        if len(heap) < PER_BIN:
            heapq.heappush(heap, read)
        else:
            heapq.heappushpop(heap, read)
        if len(heap) == PER_BIN:
            self._limits[place] = -heap[0][0]

    def save(self, path: Path) -> None:
        """Write the sample as arrays (`numpy.load` without pickle reads them)."""
        reads = [read for heap in self._heaps for read in heap]
        names = np.frombuffer(json.dumps(self.contigs).encode(), np.uint8)
        np.savez(
            path, bins=np.array(self.bins, float), counts=self._counts, too_long=np.array(self._too_long),
            keys=np.array([-read[0] for read in reads]), scores=np.array([read[1] for read in reads]), contigs=names,
            **_packed("records", [read[2] for read in reads]), **_packed("references", [read[3] for read in reads]),
        )


def place_on_reference(record: bytes) -> tuple[int, int]:
    """Return (first reference base, reference bases covered) of a BAM record."""
    start = int.from_bytes(record[8:12], "little", signed=True)
    begin = 36 + record[12]
    packed = np.frombuffer(record, "<u4", int.from_bytes(record[16:18], "little"), begin)
    return start, int((packed >> 4)[np.isin(packed & 15, (0, 2, 3, 7, 8))].sum())


def _packed(name: str, parts: list[bytes]) -> dict[str, np.ndarray]:
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {name: np.frombuffer(b"".join(parts), np.uint8), f"{name}_ends": ends}


def _unpacked(data: np.ndarray, ends: np.ndarray) -> tuple[bytes, ...]:
    text, starts = data.tobytes(), [0, *ends[:-1].tolist()]
    return tuple(text[start:end] for start, end in zip(starts, ends.tolist(), strict=True)) if len(ends) else ()


@dataclass(frozen=True, eq=False)
class ReadSample:
    """A sample as it was taken.

    Attributes
    ----------
    bins
        Bins of the score.
    counts : (bins,) int64 array
        All reads of the file by bin.
    too_long
        Reads that were drawn and not kept, as they are too long to look at.
    keys, scores : (n,) float64 arrays
        Random key and score of each read kept.
    records, references
        Its BAM record; the reference bases it covers as codes, empty where the MD tag tells them.
    contigs
        Names by reference id.
    """

    bins: Bins
    counts: np.ndarray
    too_long: int
    keys: np.ndarray
    scores: np.ndarray
    records: tuple[bytes, ...]
    references: tuple[bytes, ...]
    contigs: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a sample.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                low, step, number = held["bins"].tolist()
                return cls(
                    Bins(low, step, int(number)), held["counts"], int(held["too_long"]), held["keys"], held["scores"],
                    _unpacked(held["records"], held["records_ends"]),
                    _unpacked(held["references"], held["references_ends"]),
                    tuple(json.loads(held["contigs"].tobytes())),
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(
                f"the sample of reads cannot be read ({type(error).__name__})", path=path, advice="Run the step again."
            ) from None

    def draw(self, low: float, high: float, most: int = PER_BIN) -> tuple[np.ndarray, int]:
        """Draw reads from a range of scores, every read of the range with the same chance.

        Parameters
        ----------
        low, high
            Edges of bins; reads from `low` up to but without `high` are drawn. The outer edges stand for no limit.
        most
            Reads wanted, `PER_BIN` at most.

        Returns
        -------
        rows : (k,) int64 array
            Of this sample, by falling score.
        total
            Reads of the file in the range.
        """
        edges = self.bins.edges
        first, last = int(np.searchsorted(edges, low - 1e-6)), int(np.searchsorted(edges, high - 1e-6))
        places = np.floor((self.scores - self.bins.low) / self.bins.step + 1e-6)
        places = np.clip(places, 0, self.bins.number - 1)
        inside = np.flatnonzero((places >= first) & (places < last))
        rows = inside[np.argsort(self.keys[inside], kind="stable")][: min(most, PER_BIN)]
        return rows[np.argsort(-self.scores[rows], kind="stable")], int(self.counts[first:last].sum())
