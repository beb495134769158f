"""Matched sampling: intervals for the depleted class when the user has no list of them.

For every introgressed interval one of the same length is drawn from the same chromosome, away from all introgressed
intervals, with no larger share of N and with nearly the same GC content.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.intervals import covered_bases, merge
from neandl_core.recording import Progress, no_progress
from neandl_core.windows import SequenceSource

_BIN = 100
"""GC and N are counted in bins of so many bases: exact enough for kilobase intervals, and small in memory."""
_TRIES = 200
GC_TOLERANCE = 0.02


def matched_intervals(
    introgressed: pd.DataFrame, genome: SequenceSource, rng: np.random.Generator, progress: Progress = no_progress
) -> tuple[pd.DataFrame, list[str]]:
    """Draw one matched interval for each introgressed one.

    Parameters
    ----------
    introgressed
        `contig`, `start`, `end`, `interval`, on the reference.
    genome
        Bases of the chromosomes.
    rng
        Source of the draw.

    Returns
    -------
    intervals
        As given, other positions. Those for which no place was free are missing.
    notes
        How many were matched how well, for the user.

    Raises
    ------
    InputError
        If no interval at all could be placed.
    """
    pieces = []
    loose = unplaced = 0
    names = introgressed["contig"].unique()
    for index, contig in enumerate(names):
        progress(index, len(names), f"Matching depleted intervals on {contig}")
        rows = introgressed[introgressed["contig"] == contig]
        starts, found, near = _match_on(genome.codes(contig), rows, rng)
        unplaced += int((~found).sum())
        loose += int((found & ~near).sum())
        pieces.append(rows.assign(start=starts, end=starts + (rows["end"] - rows["start"]).to_numpy())[found])
    intervals = pd.concat(pieces, ignore_index=True)
    if intervals.empty:
        raise InputError("no place outside the introgressed intervals is left for matched depleted intervals",
                         advice="Give a --depleted BED file.")
    notes = [
        f"No depleted intervals were given: {len(intervals):,} were drawn, matched to the introgressed ones by "
        f"chromosome, length, N and GC (within {GC_TOLERANCE:.0%})."
    ]
    if loose:
        notes.append(f"{loose:,} of them differ by more in GC: nothing nearer was found in {_TRIES} tries.")
    if unplaced:
        notes.append(f"{unplaced:,} introgressed intervals have no matched one: no place was free.")
    return intervals, notes


def _match_on(
    codes: np.ndarray, rows: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start, whether a place was found, and whether its GC is near, for the intervals of one chromosome."""
    bins = -(-len(codes) // _BIN)
    padded = np.full(bins * _BIN, 4, np.uint8)
    padded[: len(codes)] = codes
    binned = padded.reshape(bins, _BIN)
    gc_before = np.concatenate(([0], np.cumsum(((binned == 1) | (binned == 2)).sum(axis=1))))
    acgt_before = np.concatenate(([0], np.cumsum((binned < 4).sum(axis=1))))

    def content(start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = start // _BIN
        last = np.minimum(np.maximum(-(-(start + length) // _BIN), first + 1), bins)
        acgt = acgt_before[last] - acgt_before[first]
        gc = np.divide(gc_before[last] - gc_before[first], acgt, out=np.full(acgt.shape, np.nan), where=acgt > 0)
        return gc, 1 - acgt / ((last - first) * _BIN)

    length = (rows["end"] - rows["start"]).to_numpy()
    goal_gc, allowed_n = content(rows["start"].to_numpy(), length)
    occupied_starts, occupied_ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
    best = np.full(len(rows), -1, np.int64)
    best_miss = np.full(len(rows), np.inf)
    for _ in range(_TRIES):
        open_rows = np.flatnonzero(best_miss > GC_TOLERANCE)
        if not open_rows.size:
            break
        size = length[open_rows]
        start = (rng.random(open_rows.size) * (len(codes) - size + 1)).astype(np.int64)
        gc, n_share = content(start, size)
        free = covered_bases(start, start + size, occupied_starts, occupied_ends) == 0
        miss = np.where(free & (n_share <= allowed_n[open_rows] + 1e-9), np.abs(gc - goal_gc[open_rows]), np.inf)
        better = miss < best_miss[open_rows]
        best[open_rows[better]] = start[better]
        best_miss[open_rows[better]] = miss[better]
    return best, best >= 0, best_miss <= GC_TOLERANCE
