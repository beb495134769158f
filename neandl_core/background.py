"""Matched sampling: intervals for the depleted class when the user has no list of them.

For every introgressed interval one is drawn away from all introgressed intervals, alike in what `Match` names: by
default length, chromosome, share of N and GC content; distance to the nearest gene too if genes are given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neandl_core.config import MATCHED
from neandl_core.errors import InputError
from neandl_core.intervals import covered_bases, match_contigs, merge, nearest_distances
from neandl_core.recording import Progress, no_progress
from neandl_core.windows import SequenceSource

_BIN = 100
"""GC and N are counted in bins of so many bases: exact enough for kilobase intervals, and small in memory."""
_TRIES = 200
GC_TOLERANCE = 0.02
GENE_CLASSES = (0, 10_000, 100_000)
"""Distances to the nearest gene match if they fall into the same class: overlapping, to 10 kb, to 100 kb, beyond."""
_WORDS = {
    "chromosome": "chromosome", "length": "length", "n": "N", "gc": f"GC (within {GC_TOLERANCE:.0%})",
    "gene-distance": "distance to the nearest gene (overlapping, up to 10 kb, up to 100 kb, farther)",
}


@dataclass(frozen=True)
class _Chromosome:
    """What is known of a chromosome: GC and N by bins, where introgressed intervals and genes lie."""

    length: int
    gc_before: np.ndarray
    acgt_before: np.ndarray
    occupied: tuple[np.ndarray, np.ndarray]
    genes: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(
        cls, codes: np.ndarray, occupied: pd.DataFrame, genes: tuple[np.ndarray, np.ndarray] | None
    ) -> _Chromosome:
        bins = -(-len(codes) // _BIN)
        padded = np.full(bins * _BIN, 4, np.uint8)
        padded[: len(codes)] = codes
        binned = padded.reshape(bins, _BIN)
        gc = ((binned == 1) | (binned == 2)).sum(axis=1)
        acgt = (binned < 4).sum(axis=1)
        starts, ends, _ = merge(occupied["start"].to_numpy(), occupied["end"].to_numpy())
        before = [np.concatenate(([0], np.cumsum(counts))).astype(np.int32) for counts in (gc, acgt)]
        return cls(len(codes), *before, (starts, ends), genes)

    def content(self, start: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return GC content and share of N of stretches."""
        bins = len(self.gc_before) - 1
        first = start // _BIN
        last = np.minimum(np.maximum(-(-(start + length) // _BIN), first + 1), bins)
        acgt = self.acgt_before[last] - self.acgt_before[first]
        gc = self.gc_before[last] - self.gc_before[first]
        share = np.divide(gc, acgt, out=np.full(acgt.shape, np.nan), where=acgt > 0)
        return share, 1 - acgt / ((last - first) * _BIN)

    def gene_class(self, start: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return the class of the distance to the nearest gene; 0 for all where genes do not matter."""
        if self.genes is None:
            return np.zeros(len(start), np.int64)
        return np.searchsorted(GENE_CLASSES, nearest_distances(start, start + length, *self.genes))

    def free(self, start: np.ndarray, length: np.ndarray) -> np.ndarray:
        return covered_bases(start, start + length, *self.occupied) == 0


def matched_intervals(
    introgressed: pd.DataFrame,
    genome: SequenceSource,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    *,
    match: Collection[str] = MATCHED,
    genes: pd.DataFrame | None = None,
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
    match
        In what they are to be alike, of `config.MATCHES`. Without `length` all have the median length; without
        `chromosome` they come from anywhere in the genome.
    genes
        `contig`, `start`, `end` of genes, for `gene-distance`; names with and without ``chr`` are matched.

    Returns
    -------
    intervals
        As given, other positions. Those for which no place was free are missing.
    notes
        How many were matched how well, for the user.

    Raises
    ------
    InputError
        If no interval at all could be placed, or no gene lies on the chromosomes.
    """
    pieces = []
    loose = unplaced = 0
    names = [str(name) for name in introgressed["contig"].unique()]
    of_genes = _merged_genes(genes, list(genome.lengths)) if "gene-distance" in match and genes is not None else None

    def read(contig: str) -> _Chromosome:
        occupied = introgressed[introgressed["contig"] == contig]
        genes_here = None if of_genes is None else of_genes.get(contig, (np.empty(0, np.int64),) * 2)
        return _Chromosome.of(genome.codes(contig), occupied, genes_here)

    everywhere: dict[str, _Chromosome] = {}
    if "chromosome" not in match:
        for index, contig in enumerate(genome.lengths):
            progress(index, len(genome.lengths), f"Reading {contig}")
            everywhere[contig] = read(contig)
    median = int((introgressed["end"] - introgressed["start"]).median())
    for index, contig in enumerate(names):
        progress(index, len(names), f"Matching depleted intervals on {contig}")
        rows = introgressed[introgressed["contig"] == contig]
        own = everywhere[contig] if everywhere else read(contig)
        contigs, starts, lengths, near = _draw(rows, own, everywhere or {contig: own}, match, median, rng)
        found = starts >= 0
        unplaced += int((~found).sum())
        loose += int((found & ~near).sum())
        pieces.append(rows.assign(contig=contigs, start=starts, end=starts + lengths)[found])
    intervals = pd.concat(pieces, ignore_index=True)
    if intervals.empty:
        raise InputError("no place outside the introgressed intervals is left for matched depleted intervals",
                         advice="Give a --depleted BED file.")
    return intervals, _notes(len(intervals), loose, unplaced, match)


def _notes(drawn: int, loose: int, unplaced: int, match: Collection[str]) -> list[str]:
    said = [words for name, words in _WORDS.items() if name in match]
    listed = " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:]))) if said else "nothing: drawn at random"
    notes = [
        f"No depleted intervals were given: {drawn:,} were drawn, matched to the introgressed ones by {listed}."
    ]
    if "length" not in match:
        notes.append("All of them have the median length of the introgressed ones.")
    if loose:
        notes.append(f"{loose:,} of them differ by more: nothing nearer was found in {_TRIES} tries.")
    if unplaced:
        notes.append(f"{unplaced:,} introgressed intervals have no matched one: no place was free.")
    return notes


def _draw(
    rows: pd.DataFrame, own: _Chromosome, choices: Mapping[str, _Chromosome], match: Collection[str], median: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return chromosome, start (-1 if no place was found), length, and whether the match is near, of each row."""
    start, length = rows["start"].to_numpy(), (rows["end"] - rows["start"]).to_numpy()
    goal_gc, allowed_n = own.content(start, length)
    goal_class = own.gene_class(start, length)
    if "length" not in match:
        length = np.full(len(rows), median)
    names = list(choices)
    weights = np.array([chromosome.length for chromosome in choices.values()], float)
    best, best_miss = np.full(len(rows), -1, np.int64), np.full(len(rows), np.inf)
    best_name = np.zeros(len(rows), np.int64)
    for _ in range(_TRIES):
        # A miss is counted in tolerances of GC; genes at another distance count for more than any GC can.
        open_rows = np.flatnonzero(best_miss > 1)
        if not open_rows.size:
            break
        which = rng.choice(len(names), open_rows.size, p=weights / weights.sum()) if len(names) > 1 else np.zeros(
            open_rows.size, np.int64
        )
        drawn = rng.random(open_rows.size)
        for number in np.unique(which):
            here = which == number
            at, chromosome = open_rows[here], choices[names[number]]
            size = length[at]
            place = (drawn[here] * (chromosome.length - size + 1)).astype(np.int64)
            fits = size <= chromosome.length
            place = np.where(fits, place, 0)
            gc, n_share = chromosome.content(place, size)
            usable = fits & chromosome.free(place, size) & ~np.isnan(gc)
            if "n" in match:
                usable &= n_share <= allowed_n[at] + 1e-9
            miss = np.abs(gc - goal_gc[at]) / GC_TOLERANCE if "gc" in match else np.zeros(at.size)
            if "gene-distance" in match:
                miss = miss + 100 * np.abs(chromosome.gene_class(place, size) - goal_class[at])
            miss = np.where(usable, miss, np.inf)
            better = miss < best_miss[at]
            best[at[better]], best_miss[at[better]], best_name[at[better]] = place[better], miss[better], number
    return np.array(names, object)[best_name], best, length, best_miss <= 1


def _merged_genes(genes: pd.DataFrame, reference: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the merged genes of each chromosome of the reference, starts and ends."""
    to_reference = match_contigs(genes["contig"].astype(str).unique(), reference).to_reference
    if not to_reference:
        raise InputError("none of the genes lies on a chromosome of the genome",
                         advice="Give a gene list of the same genome build.")
    placed = genes.assign(contig=genes["contig"].map(to_reference)).dropna(subset="contig")
    return {
        str(contig): merge(rows["start"].to_numpy(), rows["end"].to_numpy())[:2]
        for contig, rows in placed.groupby("contig")
    }
