"""Windows: cut from introgressed and depleted intervals, as positions first and as bases only when written.

Windows are laid from each interval's own start, as published, so overlapping haplotypes give overlapping windows.
Which of them share bases is the audit's question, not hidden here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from neandl_core.config import WindowSettings
from neandl_core.errors import InputError
from neandl_core.intervals import covered_bases, merge
from neandl_core.recording import Progress, no_progress

CLASSES = ("depleted", "introgressed")
"""Names of label 0 and label 1."""
_BLOCK = 20_000


class SequenceSource(Protocol):
    """What `io.sequences.Genome` offers: bases of a chromosome as codes 0-3 for A, C, G, T and 4 for all else."""

    lengths: dict[str, int]

    def codes(self, name: str) -> np.ndarray:
        """Return the codes of a whole chromosome, (length,) uint8."""
        ...


@dataclass(frozen=True)
class WindowTable:
    """Windows as positions.

    Attributes
    ----------
    table
        `label`, `contig`, `start`, `interval` (row of its BED file), `locus`; sorted by contig, start, label.
    laid
        Windows per class before anything was dropped or drawn.
    dropped
        Windows left out, by reason.
    loci
        Merged loci: `label`, `contig`, `start`, `end`, `intervals`.
    """

    table: pd.DataFrame
    laid: dict[str, int]
    dropped: dict[str, int]
    loci: pd.DataFrame


def merged_loci(intervals: pd.DataFrame, label: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Merge the intervals of one class into loci.

    Parameters
    ----------
    intervals
        `contig`, `start`, `end`.
    label
        Class of these intervals.

    Returns
    -------
    loci
        `label`, `contig`, `start`, `end`, `intervals` (how many were merged), sorted.
    membership : (n,) int64 array
        Row of `loci` that holds each interval.
    """
    membership = np.empty(len(intervals), np.int64)
    pieces = []
    known = 0
    for contig, rows in intervals.groupby("contig", sort=True):
        starts, ends, member = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
        membership[intervals.index.get_indexer(rows.index)] = member + known
        pieces.append(pd.DataFrame({
            "label": label, "contig": contig, "start": starts, "end": ends,
            "intervals": np.bincount(member, minlength=len(starts)),
        }))
        known += len(starts)
    return pd.concat(pieces, ignore_index=True), membership


def lay_windows(
    classes: dict[int, pd.DataFrame], settings: WindowSettings, rng: np.random.Generator
) -> WindowTable:
    """Lay windows over the intervals of both classes.

    Parameters
    ----------
    classes
        Label -> intervals on the reference (`contig`, `start`, `end`, `interval`), clipped to chromosome ends.
    settings
        Window, step, piece and the most windows wanted.
    rng
        Draws windows if there are more than wanted; the draw is over all of them, so classes keep their shares.

    Raises
    ------
    InputError
        If no window fits into any interval of a class.
    """
    step = settings.step or settings.window
    parts, loci_parts, counts = [], [], {}
    known = 0
    for label, intervals in sorted(classes.items()):
        intervals = intervals.reset_index(drop=True)
        loci, member = merged_loci(intervals, label)
        first, number = _first_and_number(intervals, loci, member, settings, step)
        counts[CLASSES[label]] = int(number.sum())
        if not number.sum():
            raise InputError(
                f"no window of {settings.window} bases fits into any {CLASSES[label]} interval",
                advice="Use a shorter window.",
            )
        parts.append((label, intervals, first, number, member + known))
        loci_parts.append(loci)
        known += len(loci)
    table = _materialise(parts, step, settings.max_windows, rng)
    dropped: dict[str, int] = {}
    if settings.max_windows is not None and sum(counts.values()) > len(table):
        dropped["not drawn (max-windows)"] = sum(counts.values()) - len(table)
    other = _overlaps_other_class(table, classes, settings.window)
    if other.any():
        dropped["overlaps the other class"] = int(other.sum())
        table = table[~other].reset_index(drop=True)
    return WindowTable(table, counts, dropped, pd.concat(loci_parts, ignore_index=True))


def _first_and_number(
    intervals: pd.DataFrame, loci: pd.DataFrame, member: np.ndarray, settings: WindowSettings, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first window start and the number of windows of each interval, within the pieces if any."""
    starts, ends = intervals["start"].to_numpy(), intervals["end"].to_numpy()
    low, high = starts, ends
    if settings.piece is not None:
        middle = (loci["start"].to_numpy() + loci["end"].to_numpy()) // 2
        piece_start = np.maximum(middle - settings.piece // 2, loci["start"].to_numpy())
        piece_end = np.minimum(piece_start + settings.piece, loci["end"].to_numpy())
        low = np.maximum(starts, piece_start[member])
        high = np.minimum(ends, piece_end[member])
    # Windows keep the phase of their interval's start, whatever piece is looked at.
    first = starts + -(-(low - starts) // step) * step
    number = np.maximum((high - settings.window - first) // step + 1, 0)
    return first, number


def _materialise(
    parts: list[tuple[int, pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]], step: int, wanted: int | None,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Write out window positions, all of them or a random draw; the draw never lists the ones not taken."""
    total = sum(int(number.sum()) for *_, number, _ in parts)
    drawn = None if wanted is None or total <= wanted else np.sort(rng.choice(total, wanted, replace=False))
    offset, pieces = 0, []
    for label, intervals, first, number, locus in parts:
        before = np.cumsum(number) - number
        size = int(number.sum())
        index = np.arange(size) if drawn is None else drawn[(drawn >= offset) & (drawn < offset + size)] - offset
        row = np.searchsorted(before, index, side="right") - 1
        pieces.append(pd.DataFrame({
            "label": np.int8(label), "contig": intervals["contig"].to_numpy()[row],
            "start": first[row] + (index - before[row]) * step,
            "interval": intervals["interval"].to_numpy()[row], "locus": locus[row],
        }))
        offset += size
    table = pd.concat(pieces, ignore_index=True)
    return table.sort_values(["contig", "start", "label", "interval"], kind="stable").reset_index(drop=True)


def _overlaps_other_class(table: pd.DataFrame, classes: dict[int, pd.DataFrame], window: int) -> np.ndarray:
    """Mark windows that share a base with an interval of the other class: their label is contradictory."""
    marked = np.zeros(len(table), dtype=bool)
    contigs = table["contig"].to_numpy()
    for label, intervals in classes.items():
        for contig, rows in intervals.groupby("contig"):
            starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
            here = np.flatnonzero((contigs == contig) & (table["label"].to_numpy() != label))
            at = table["start"].to_numpy()[here]
            marked[here] |= covered_bases(at, at + window, starts, ends) > 0
    return marked


def unknown_runs(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends of the runs of N (code 4) in a chromosome."""
    unknown = np.concatenate(([False], codes == 4, [False]))
    edges = np.flatnonzero(unknown[1:] != unknown[:-1])
    return edges[::2], edges[1::2]


def drop_unknown(
    windows: WindowTable, genome: SequenceSource, window: int, progress: Progress = no_progress
) -> WindowTable:
    """Return the windows without those that hold an N, counted per class under ``holds N``."""
    keep = np.ones(len(windows.table), dtype=bool)
    contigs = windows.table["contig"].to_numpy()
    starts = windows.table["start"].to_numpy()
    names = pd.unique(contigs)
    for index, contig in enumerate(names):
        progress(index, len(names), f"Looking for N on {contig}")
        run_starts, run_ends = unknown_runs(genome.codes(contig))
        here = np.flatnonzero(contigs == contig)
        keep[here] = covered_bases(starts[here], starts[here] + window, run_starts, run_ends) == 0
    dropped = dict(windows.dropped)
    lost = windows.table.loc[~keep, "label"].to_numpy()
    for label, name in enumerate(CLASSES):
        if (lost == label).any():
            dropped[f"holds N ({name})"] = int((lost == label).sum())
    table = windows.table[keep].reset_index(drop=True)
    if table["label"].nunique() < 2:
        raise InputError(
            "one class has no window without N left", advice="Check that the genome is the right one."
        )
    return WindowTable(table, windows.laid, dropped, windows.loci)


def window_blocks(
    table: pd.DataFrame, genome: SequenceSource, window: int, progress: Progress = no_progress
) -> Iterator[np.ndarray]:
    """Yield the bases of the windows in table order, in (m, window) uint8 blocks of codes 0-3.

    Parameters
    ----------
    table
        `contig` and `start`, sorted by contig, so that each chromosome is read once.
    """
    contigs = table["contig"].to_numpy()
    starts = table["start"].to_numpy()
    offsets = np.arange(window)
    done = 0
    for contig in pd.unique(contigs):
        codes = genome.codes(contig)
        here = starts[contigs == contig]
        for begin in range(0, len(here), _BLOCK):
            block = here[begin : begin + _BLOCK]
            yield codes[block[:, None] + offsets]
            done += len(block)
            progress(done, len(table), "Writing windows")
