"""What a file's reads tell one by one: PMD scores, CpG context, read groups, edit distance, GC, bases beside the reads.

Counted in the same pass as the damage profile, one chunk behind it, on the very records that the profile uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neandl_core.config import POSITIONS, SHOWN_POSITIONS, ReadSettings
from neandl_core.damage_kernel import FROM_REFERENCE, LONGEST
from neandl_core.io.alignments import Alignments
from neandl_core.io.bam_writer import SelectedRecords
from neandl_core.metrics import wilson_interval
from neandl_core.pmd import PmdModel
from neandl_core.read_kernel import (
    AROUND,
    CLASSES,
    CONTEXTS,
    EDITS,
    KINDS,
    SCORE_BINS,
    SCORE_LOW,
    SCORE_STEP,
    describe_records,
)
from neandl_core.read_sample import PMD_BINS, ReadSampler

MITOCHONDRION = re.compile(r"(chr)?(m|mt|mito.*|.*mitochondri.*)|NC_012920.*|rCRS|NC_011137.*|J01415.*", re.IGNORECASE)
"""Contig names that are taken for a mitochondrial genome."""
NO_GROUP = "none"
"""Name of the reads that carry no read group known from the header."""


@dataclass(frozen=True, eq=False)
class ReadDetails:
    """What was counted read by read; all arrays int64, over the reads that the profile used.

    Attributes
    ----------
    groups
        (read group, library, sample) by index; the last is `NO_GROUP`.
    tallies : (groups, classes, 2 ends, positions, 2 kinds, contexts, 2)
        Changed bases and reference bases by `CLASSES`, end, distance, `KINDS`, `CONTEXTS`.
    scores : (SCORE_BINS,)
        Reads by PMD score; bin b begins at SCORE_LOW + b SCORE_STEP.
    by_score : (SCORE_BINS, 2 ends, SHOWN_POSITIONS, 2 kinds, 2)
        Changed bases and reference bases of the reads in each bin.
    edits, gc, mapping_quality : (EDITS + 1,), (101,), (256,)
        Reads by edit distance, by GC in per cent of their known bases, by mapping quality.
    clips : (2 ends, 2 strands, positions)
        Reads whose soft clip reaches so far, counted from the clip's inner end, as mapDamage does.
    inside : (2 ends, 2 strands, positions, 4), around : (2 ends, 2 strands, AROUND, 4)
        Bases of the reads without clips by distance from either end; reference bases beside the reads by distance.
        All zero without a reference.
    spans : (2 strands, lengths)
        Reads that are not mates of pairs by aligned span.
    without_score, too_long
        Reads without qualities, or with hard clips or skipped reference, have no PMD score, as in PMDtools; reads of
        more than 16 million alignment columns are not described.
    """

    model: PmdModel
    groups: tuple[tuple[str, str, str], ...]
    tallies: np.ndarray
    scores: np.ndarray
    by_score: np.ndarray
    edits: np.ndarray
    gc: np.ndarray
    mapping_quality: np.ndarray
    clips: np.ndarray
    inside: np.ndarray
    around: np.ndarray
    spans: np.ndarray
    without_score: int
    too_long: int

    def kept(self, threshold: float) -> tuple[int, np.ndarray]:
        """Return reads with at least a score, rounded up to a bin's edge, and their (end, position, kind, 2) tally."""
        first = int(np.clip(np.ceil(round((threshold - SCORE_LOW) / SCORE_STEP, 6)), 0, SCORE_BINS))
        return int(self.scores[first:].sum()), self.by_score[first:].sum(axis=0)

    def context(self, end: int, kind: int, context: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (observed, denominator) of C>T or G>A by position in one of `CONTEXTS`, all groups together."""
        rows = self.tallies.sum(axis=(0, 1))[end, :, kind, CONTEXTS.index(context)]
        return rows[:, 0], rows[:, 1]


class Describer:
    """Describes the reads that `damage.count_damage` shows it, and writes those with a high score, if asked to.

    Parameters
    ----------
    alignments, settings
        As for the count.
    with_reference
        Whether a reference is given: then the bases beside the reads are counted, if the file is sorted.
    filtered
        Where to write the reads with a PMD score from `settings.pmd_threshold` up.
    on_scores
        Called with the scores of each chunk's reads, NaN where there is none.

    Attributes
    ----------
    sampler
        Keeps some reads of every score, to be looked at.
    """

    def __init__(
        self, alignments: Alignments, settings: ReadSettings, *, with_reference: bool = False,
        filtered: Path | None = None, on_scores: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        self.model = PmdModel.of(settings)
        self.every_contig = with_reference and alignments.sort_order == "coordinate"
        self._read_base = settings.definition == "read-base"
        self._model_arrays = self.model.arrays()
        names = [name.encode() for name in alignments.read_groups]
        self._names = np.frombuffer(b"".join(names) + b"\0", np.uint8)
        self._ends = np.cumsum([0, *map(len, names)]).astype(np.int64)
        self.groups = (
            *((name, fields.get("LB", ""), fields.get("SM", "")) for name, fields in alignments.read_groups.items()),
            (NO_GROUP, "", ""),
        )
        self._classes = np.array(
            [MITOCHONDRION.fullmatch(name) is not None for name, _ in alignments.contigs], np.uint8
        )
        self._tallies = np.zeros(
            (len(self.groups), len(CLASSES), 2, POSITIONS, len(KINDS), len(CONTEXTS), 2), np.int64
        )
        self._by_score = np.zeros((SCORE_BINS, 2, SHOWN_POSITIONS, len(KINDS), 2), np.int64)
        self._scores, self._edits = np.zeros(SCORE_BINS, np.int64), np.zeros(EDITS + 1, np.int64)
        self._gc, self._qualities = np.zeros(101, np.int64), np.zeros(256, np.int64)
        self._clips = np.zeros((2, 2, POSITIONS), np.int64)
        self._inside = np.zeros((2, 2, POSITIONS, 4), np.int64)
        self._around = np.zeros((2, 2, AROUND if self.every_contig else 0, 4), np.int64)
        self._spans = np.zeros((2, LONGEST), np.int64)
        self._figures = np.zeros(2, np.int64)
        self._on_scores = on_scores
        self.sampler = ReadSampler(PMD_BINS, tuple(name for name, _ in alignments.contigs), settings.seed)
        self._threshold = settings.pmd_threshold
        self.writer = None if filtered is None else SelectedRecords(filtered, alignments)

    def observe(self, chunk: np.ndarray, taken: np.ndarray, codes: np.ndarray, contig: int) -> None:
        """Describe the records of a chunk (`damage.Observer`)."""
        scores = np.empty(taken.size)
        describe_records(
            chunk, taken, taken.size, self._read_base, codes, contig, self._classes, self._names, self._ends,
            *self._model_arrays, self._tallies.reshape(-1), self._by_score.reshape(-1), self._scores, self._edits,
            self._gc, self._qualities, self._clips, self._inside, self._around, self._spans, self._figures, scores,
        )
        if self._on_scores is not None:
            self._on_scores(scores)
        self.sampler.add(chunk, taken >> 2, scores, codes, taken & 3 == FROM_REFERENCE)
        if self.writer is not None:
            self.writer.write(chunk, taken >> 2, scores >= self._threshold)

    def finish(self, in_order: bool) -> dict[str, object] | None:
        """Close the filtered file, index it if it is sorted, and return what it holds; None if none was asked for."""
        if self.writer is None:
            return None
        self.writer.close()
        if in_order:
            self.writer.index()
        scored = int(self._scores.sum())
        return {
            "file": self.writer.path.name, "threshold": self._threshold, "reads_kept": self.writer.records,
            "reads_below": scored - self.writer.records, "reads_without_score": int(self._figures.sum()),
            "indexed": in_order,
        }

    def details(self) -> ReadDetails:
        """Return what was counted."""
        return ReadDetails(
            self.model, self.groups, _of_all(self._tallies), self._scores, _of_all(self._by_score), self._edits,
            self._gc, self._qualities, self._clips, self._inside, self._around, self._spans, int(self._figures[1]),
            int(self._figures[0]),
        )


def _of_all(tally: np.ndarray) -> np.ndarray:
    """Turn (..., unchanged and changed) into (..., changed and all)."""
    return np.stack((tally[..., 1], tally.sum(axis=-1)), axis=-1)


def rates_with_intervals(observed: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (rate, low, high) with 95% Wilson intervals; NaN where nothing was counted."""
    low, high = wilson_interval(observed, n)
    return np.divide(observed, n, out=np.full(np.shape(n), np.nan), where=np.asarray(n) > 0), low, high
