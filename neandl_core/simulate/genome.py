"""The simulated genome: isochores, introgressed and depleted loci, repeat families, gaps and a mitochondrion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import SimulateSettings
from neandl_core.simulate.composition import (
    BACKGROUND,
    BASES,
    CLASS_NAMES,
    DEPLETED,
    GC_LEVELS,
    INTROGRESSED,
    N,
    chain_tables,
    draw_sequence,
)

MITOCHONDRION = "chrM"
MITOCHONDRION_LENGTH = 16_569
"""Bases of the human mitochondrial genome; only name and length are meant to remind of it."""

_SLOT = 60_000
"""Chromosome per pair of loci: an introgressed and a depleted locus of the same length share one isochore."""
_LOCUS_LENGTHS = (5_000, 15_001)
_DEPTH = {INTROGRESSED: 5.0, DEPLETED: 3.0}
"""Haplotype intervals over a locus on average; the published sets are covered 9-fold and 4-fold."""
_JITTER = 0.3
"""A haplotype interval starts and ends within so much of its locus's length from the locus's ends."""
_ISOCHORE_SLOTS = (1, 4)
_REPEAT_FAMILIES = 6
_REPEAT_LENGTHS = (250, 900)
_REPEAT_SHARE = 0.06
_REPEAT_DIVERGENCE = (0.005, 0.12)
_END_GAP = 2_000
_INNER_GAPS = 2
_INNER_GAP_LENGTHS = (300, 1_500)
_LOCUS_GAP = 400


@dataclass(frozen=True)
class Genome:
    """A genome and what is true of it. All coordinates are 0-based half-open.

    Attributes
    ----------
    sequences
        Name -> uint8 array of ASCII bases A, C, G, T, N; the mitochondrion is last.
    loci
        contig, start, end, label (``introgressed`` or ``depleted``), gc_target (0-1), holds_gap (bool), one row each.
    intervals
        contig, start, end, label, haplotype: the overlapping pieces that the BED files list.
    """

    sequences: dict[str, np.ndarray]
    loci: pd.DataFrame
    intervals: pd.DataFrame

    @property
    def chromosomes(self) -> list[str]:
        """Names without the mitochondrion's."""
        return [name for name in self.sequences if name != MITOCHONDRION]


def simulate_genome(settings: SimulateSettings) -> Genome:
    """Draw the genome.

    Each slot of 60 kb holds one introgressed and one depleted locus of 5-15 kb, of the same length, in random order
    and never touching. Both take the GC content of their isochore (1-3 slots long), so the classes are matched in
    GC and in length. Two loci hold a gap, whose windows must be dropped and counted by whoever cuts windows.
    """
    rng = np.random.default_rng([settings.seed, 1])
    tables = chain_tables(rng)
    families = _repeat_families(tables, rng)
    sequences: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for number in range(1, settings.chromosomes + 1):
        name = f"chr{number}"
        sequence, loci = _chromosome(name, settings.chromosome_length, tables, families, rng)
        if number <= 2:
            _put_gap_in_locus(sequence, loci)
        sequences[name] = sequence
        rows += loci
    level = int(np.searchsorted(GC_LEVELS, 0.44))
    sequences[MITOCHONDRION] = BASES[
        draw_sequence(
            tables, np.zeros(MITOCHONDRION_LENGTH, np.uint8), np.full(MITOCHONDRION_LENGTH, level, np.uint8), rng
        )
    ]
    loci_table = pd.DataFrame(rows)
    return Genome(sequences, loci_table, _haplotype_intervals(loci_table, rng))


def _chromosome(
    name: str, length: int, tables: np.ndarray, families: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    slots = length // _SLOT
    edges = np.linspace(0, length, slots + 1).astype(np.int64)
    classes = np.full(length, BACKGROUND, np.uint8)
    levels = np.empty(length, np.uint8)
    loci: list[dict[str, Any]] = []
    slot = 0
    while slot < slots:
        last = min(slots, slot + int(rng.integers(*_ISOCHORE_SLOTS)))
        # Skewed to the AT-rich side, as mammalian isochores are.
        level = int(rng.beta(1.6, 2.6) * GC_LEVELS.size)
        levels[edges[slot]:edges[last]] = level
        for index in range(slot, last):
            loci += _locus_pair(name, int(edges[index]), int(edges[index + 1]), level, rng)
        slot = last
    for locus in loci:
        classes[locus["start"]:locus["end"]] = CLASS_NAMES.index(locus["label"])
    codes = draw_sequence(tables, classes, levels, rng)
    _copy_repeats(codes, families, rng)
    sequence = BASES[codes]
    sequence[:_END_GAP] = N
    sequence[-_END_GAP:] = N
    free = np.flatnonzero(classes == BACKGROUND)
    for _ in range(_INNER_GAPS):
        start = int(rng.choice(free))
        stretch = sequence[start:start + int(rng.integers(*_INNER_GAP_LENGTHS))]
        stretch[classes[start:start + stretch.size] == BACKGROUND] = N
    return sequence, loci


def _locus_pair(
    contig: str, start: int, end: int, level: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Place two loci of one length in a slot, the first in its left half and the second in its right half."""
    length = int(rng.integers(*_LOCUS_LENGTHS))
    middle = (start + end) // 2
    order = rng.permutation([INTROGRESSED, DEPLETED])
    margin = _END_GAP + 500
    pair = []
    for label, (low, high) in zip(order, ((start, middle), (middle, end)), strict=True):
        at = int(rng.integers(low + margin, high - margin - length))
        pair.append({
            "contig": contig, "start": at, "end": at + length, "label": CLASS_NAMES[label],
            "gc_target": float(GC_LEVELS[level]), "holds_gap": False,
        })
    return pair


def _put_gap_in_locus(sequence: np.ndarray, loci: list[dict[str, Any]]) -> None:
    locus = loci[len(loci) // 2]
    middle = (locus["start"] + locus["end"]) // 2
    sequence[middle:middle + _LOCUS_GAP] = N
    locus["holds_gap"] = True


def _repeat_families(tables: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    families = []
    level = int(np.searchsorted(GC_LEVELS, 0.43))
    for length in rng.integers(*_REPEAT_LENGTHS, _REPEAT_FAMILIES):
        families.append(
            draw_sequence(tables, np.zeros(length, np.uint8), np.full(length, level, np.uint8), rng)
        )
    return families


def _copy_repeats(codes: np.ndarray, families: list[np.ndarray], rng: np.random.Generator) -> None:
    """Overwrite about 6% of a chromosome with diverged copies of the families, on either strand."""
    mean = float(np.mean([family.size for family in families]))
    for _ in range(int(_REPEAT_SHARE * codes.size / mean)):
        copy = families[int(rng.integers(len(families)))].copy()
        mutated = rng.random(copy.size) < rng.uniform(*_REPEAT_DIVERGENCE)
        copy[mutated] = (copy[mutated] + rng.integers(1, 4, int(mutated.sum()))) % 4
        if rng.random() < 0.5:
            copy = 3 - copy[::-1]
        at = int(rng.integers(0, codes.size - copy.size))
        codes[at:at + copy.size] = copy


def _haplotype_intervals(loci: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Cover every locus by haplotype intervals with jittered ends, all within the locus.

    The number over a locus is 1 + Poisson; the ends are drawn alike in both classes, so interval lengths have one
    distribution and cannot give the class away.
    """
    labels = loci["label"].to_numpy()
    depth = np.where(labels == CLASS_NAMES[INTROGRESSED], _DEPTH[INTROGRESSED], _DEPTH[DEPLETED])
    copies = 1 + rng.poisson(depth - 1)
    repeated = np.repeat(loci.index.to_numpy(), copies)
    table = loci.loc[repeated, ["contig", "start", "end", "label"]].reset_index(drop=True)
    length = (table["end"] - table["start"]).to_numpy()
    shift = (rng.uniform(0, _JITTER, (2, length.size)) * length).astype(np.int64)
    table["start"] += shift[0]
    table["end"] -= shift[1]
    table["haplotype"] = [f"simulated_haplotype_{number:03d}" for number in rng.integers(1, 101, length.size)]
    order = table["contig"].str.removeprefix("chr").astype(int)
    return (
        table.assign(order=order).sort_values(["order", "start", "end"], kind="stable")
        .drop(columns="order").reset_index(drop=True)
    )


def class_gc(genome: Genome) -> dict[str, float]:
    """Return the GC content (0-1) of each class over its loci, gaps left out."""
    strong: dict[str, int] = dict.fromkeys(CLASS_NAMES[1:], 0)
    known: dict[str, int] = dict.fromkeys(CLASS_NAMES[1:], 0)
    for row in genome.loci.itertuples():
        piece = genome.sequences[row.contig][row.start:row.end]
        strong[row.label] += int(np.isin(piece, BASES[1:3]).sum())
        known[row.label] += int((piece != N).sum())
    return {label: strong[label] / known[label] for label in strong}
