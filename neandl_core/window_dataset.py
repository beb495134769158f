"""From a genome and two lists of intervals to a dataset folder with its split and its audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.audit import audit_split
from neandl_core.background import matched_intervals
from neandl_core.config import LEAKY, WindowSettings
from neandl_core.dataset import Description, load_dataset, save_dataset
from neandl_core.errors import InputError
from neandl_core.io.annotation import PlacedIntervals, place_on_reference, read_bed
from neandl_core.io.gene_tables import read_genes
from neandl_core.io.sequences import Genome
from neandl_core.io.twobit import TwoBitGenome, open_genome
from neandl_core.packed_bases import packed_width
from neandl_core.recording import Progress, no_progress
from neandl_core.resources import require_room
from neandl_core.splits import assign_split
from neandl_core.windows import CLASSES, WindowTable, drop_unknown, lay_windows, window_blocks

THIN_SAMPLE = (
    "These windows are a random draw. A thin draw hides how much a random split leaks, because few of the overlapping "
    "windows are in it; --piece keeps them all over part of each locus."
)

MEMORY_PER_WINDOW = 800
"""Bytes of memory a window takes at most while tables are made and the split is audited: 690 were measured
between 30,000 and 674,364 windows of 200 bases, pages of the mapped file among them."""
DISK_PER_WINDOW = 40
"""Bytes of a window's row in the table of examples, beside its bases."""


def make_window_dataset(
    folder: Path,
    reference: Path,
    introgressed: Path,
    depleted: Path | None,
    settings: WindowSettings,
    *,
    genes: Path | None = None,
    simulated: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make a windows dataset in `folder` and return its summary.

    Parameters
    ----------
    folder
        An existing, empty folder.
    reference
        FASTA file, plain or compressed, or 2bit file.
    introgressed, depleted
        BED files; without `depleted`, matched intervals are drawn.
    settings
        Window, k, split and so on.
    genes
        Gene list, for matched intervals at the same distance to genes.
    simulated
        Whether the inputs are NeanDL's simulation.

    Raises
    ------
    InputError
        If a file is unusable, or files do not belong together.
    """
    rng = np.random.default_rng([settings.seed, 1])
    genome = open_genome(reference)
    placed, notes = _place_classes(genome, introgressed, depleted, settings, genes, rng, progress)
    notes = [*genome.notes, *notes]
    laid = lay_windows(
        placed.intervals, settings, np.random.default_rng([settings.seed, 2]),
        lambda count: require_room(
            folder, f"A dataset of {count:,} windows", disk=count * (packed_width(settings.window) + DISK_PER_WINDOW),
            memory=count * MEMORY_PER_WINDOW, advice="--max-windows takes a random draw of them.",
        ),
    )
    windows = drop_unknown(laid, genome, settings.window, progress)
    examples = windows.table.copy()
    comparison = _comparison_of(settings, examples)
    shares = {"test_share": settings.test_share, "validation_share": settings.validation_share}
    examples["split"] = assign_split(
        examples, settings.split, rng=np.random.default_rng([settings.seed, 3]),
        test_chromosomes=settings.test_chromosomes, **shares,
    )
    comparison, examples["comparison_split"] = _compared(settings, comparison, examples, shares)
    if comparison == settings.split:
        notes.append(
            "There are too few loci to hold some out, so nothing can be set beside the chosen split. A score on these "
            "windows cannot be checked."
        )
    description = Description(
        "windows", settings.window, settings.k, CLASSES, settings.split, comparison, simulated
    )
    save_dataset(folder, window_blocks(examples, genome, settings.window, progress), examples, description)
    windows.loci.to_csv(folder / "loci.tsv", sep="\t", index=False)
    dataset = load_dataset(folder)
    audits = {
        column: audit_split(dataset.codes, dataset.examples, column, name, progress, settings.threads)
        for column, name in (("split", settings.split), ("comparison_split", comparison))
    }
    if "not drawn (max-windows)" in windows.dropped:
        notes.append(THIN_SAMPLE)
    return _summary(settings, genome, placed, windows, dataset.examples, audits, notes, simulated)


class _Placed:
    """Both classes on the reference, and what was said about them."""

    def __init__(self) -> None:
        self.intervals: dict[int, pd.DataFrame] = {}
        self.counts: dict[str, dict[str, int]] = {}


def _place_classes(
    genome: Genome | TwoBitGenome, introgressed: Path, depleted: Path | None, settings: WindowSettings,
    genes: Path | None, rng: np.random.Generator, progress: Progress,
) -> tuple[_Placed, list[str]]:
    placed, notes = _Placed(), []
    for label, path in ((1, introgressed), (0, depleted)):
        if path is None:
            listed = None if genes is None else read_genes(genes)
            intervals, said = matched_intervals(
                placed.intervals[1], genome, rng, progress, match=settings.match,
                genes=None if listed is None else listed.table,
            )
            said += [] if listed is None else listed.notes
            placed.counts[CLASSES[0]] = {"intervals": len(intervals), "bases": 0, "past_end": 0}
            placed.intervals[label] = intervals
            notes.extend(said)
            continue
        bed = read_bed(path)
        one: PlacedIntervals = place_on_reference(bed, genome.lengths, genome.path.name)
        placed.intervals[label] = one.table
        placed.counts[CLASSES[label]] = {
            "intervals_in_file": len(bed.table), "intervals": len(one.table), "past_end": one.past_end,
            "bases": bed.bases, **one.dropped,
        }
        notes.extend(one.notes)
    return placed, notes


def _comparison_of(settings: WindowSettings, examples: pd.DataFrame) -> str:
    """Return the split to set beside the chosen one: a leaky one beside an honest one, and the other way round."""
    if settings.split not in LEAKY:
        return "random"
    both = examples.groupby("contig")["label"].nunique()
    return "chromosome" if (both == 2).sum() >= 2 else "locus"


def _compared(
    settings: WindowSettings, comparison: str, examples: pd.DataFrame, shares: dict[str, float]
) -> tuple[str, np.ndarray]:
    """Assign the comparison split, or the next best that leaves both classes in every part; at worst the chosen one."""
    for split in dict.fromkeys((comparison, "locus" if comparison == "chromosome" else comparison)):
        try:
            return split, assign_split(examples, split, rng=np.random.default_rng([settings.seed, 4]), **shares)
        except InputError:
            continue
    return settings.split, examples["split"].to_numpy()


def _summary(
    settings: WindowSettings, genome: Genome | TwoBitGenome, placed: _Placed, windows: WindowTable,
    examples: pd.DataFrame, audits: dict[str, dict[str, Any]], notes: list[str], simulated: bool,
) -> dict[str, Any]:
    counts = {
        part: {
            name: int(((examples["split"] == part) & (examples["label"] == label)).sum())
            for label, name in enumerate(CLASSES)
        }
        for part in ("train", "validation", "test")
    }
    by_class = {name: int((examples["label"] == label).sum()) for label, name in enumerate(CLASSES)}
    share = by_class[CLASSES[1]] / len(examples)
    return {
        "simulated": simulated,
        "genome": {"sequences": len(genome.names), "bases": sum(genome.lengths.values())},
        "windows": {"total": len(examples), "by_class": by_class, "by_split": counts, "laid": windows.laid},
        "dropped": windows.dropped,
        "intervals": placed.counts,
        "past_chromosome_end": {name: said["past_end"] for name, said in placed.counts.items()},
        "loci": {name: int((windows.loci["label"] == label).sum()) for label, name in enumerate(CLASSES)},
        "introgressed_share": share,
        "window": settings.window, "k": settings.k, "piece": settings.piece,
        "split": settings.split, "comparison_split": audits["comparison_split"]["split"],
        "test_chromosomes": sorted(examples.loc[examples["split"] == "test", "contig"].unique()),
        "audit": audits["split"], "comparison_audit": audits["comparison_split"],
        "notes": notes,
    }

