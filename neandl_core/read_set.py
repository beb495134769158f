"""The read dataset: ancient and modern reads that differ in age and not in length, number or place.

Modern reads have one length and ancient ones 30 to 80 bases, so length alone would tell them apart: every modern read
is cut to the length of an ancient one, and the two length distributions are equal to the read. Reads that are equal
to another, also as reverse complement, are left out, and no stretch of the genome lies in two parts of the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import ReadSetSettings
from neandl_core.dataset import PARTS, Description, save_dataset
from neandl_core.errors import InputError
from neandl_core.intervals import bare_contig
from neandl_core.io.alignments import open_alignments
from neandl_core.io.reference import ReferenceBases
from neandl_core.metrics import auc
from neandl_core.read_draw import Draw, DrawnReads
from neandl_core.read_rows import NO_QUALITY
from neandl_core.recording import Progress, no_progress
from neandl_core.resources import require_room
from neandl_core.splits import assign_split

CLASSES = ("modern", "ancient")
BIN = 1_000_000
BINS = (BIN, 500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200)
FEWEST_GROUPS = 50
LAYERED_SHARE = 0.95
"""Reference bases and qualities are kept if, by MD tag or FASTA, so large a share of both classes has them."""
SPARE = 1.5
"""Reads drawn for each one wanted, as copies and reads too short for their length are left out."""
BYTES_PER_BASE = 9
"""Bytes of memory for a base of a read drawn: base, reference and quality, as drawn, sorted and written."""
MEMORY_PER_READ = 500
DISK_PER_READ = 60
_ROUNDS = 50
_OR_NOT_IN = {
    False: " and no FASTA was given; give the one they were aligned to with --reference",
    True: " and lie on contigs that the FASTA given does not have",
}


def make_read_set(
    folder: Path,
    ancient: Sequence[Path],
    modern: Sequence[Path],
    settings: ReadSetSettings,
    *,
    reference: Path | None = None,
    threads: int = 2,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make a dataset folder of ancient (label 1) and modern (label 0) reads.

    Parameters
    ----------
    folder
        An existing folder.
    ancient, modern
        Alignment files of each class.
    settings
        Lengths, filters, size, split shares, seed.
    reference
        FASTA that the reads were aligned to, needed for CRAM and for the reference bases of reads whose MD tag is
        missing or does not fit.
    threads
        Threads that unpack the files.

    Returns
    -------
    dict
        What `summary.json` says: counts, reads left out by reason, audit, notes.

    Raises
    ------
    InputError
        If a file is damaged or too few reads are left for a dataset.
    """
    # A record of a BAM file takes some 15 bytes at the very least.
    most = min(2 * settings.max_reads, sum(path.stat().st_size for path in (*ancient, *modern)) // 15)
    require_room(
        folder, f"A dataset of {most:,} reads", disk=most * (3 * settings.length + DISK_PER_READ),
        memory=most * SPARE * (BYTES_PER_BASE * settings.length + MEMORY_PER_READ), advice="--max-reads takes fewer.",
    )
    drawn = [
        _draw(paths, number, settings, reference, threads, progress)
        for number, paths in enumerate((modern, ancient))
    ]
    rng = np.random.default_rng([settings.seed, 21])
    left_out: list[dict[str, int]] = [dict(reads.dropped) for reads in drawn]
    # Layers are all or nothing: were they known for one class alone, they would give the class away.
    layered = all(reads.with_reference.mean() >= LAYERED_SHARE for reads in drawn)
    chosen_modern, chosen_ancient, lengths = _match_lengths(drawn, settings.max_reads, layered, left_out, rng)
    progress(1, 2, "Splitting")
    table, codes, layers, bin_sizes = _examples(drawn, chosen_modern, chosen_ancient, lengths, rng)
    for split, column, number in (("locus", "split", 22), ("random", "comparison_split", 23)):
        table[column] = assign_split(
            table, split, test_share=settings.test_share, validation_share=settings.validation_share,
            rng=np.random.default_rng([settings.seed, number]),
        )
    simulated = any(reads.simulated for reads in drawn)
    save_dataset(
        folder, [codes], table, Description("reads", settings.length, 0, CLASSES, "locus", "random", simulated),
        layers if layered else None,
    )
    summary = _summary(drawn, left_out, table, codes, bin_sizes, settings, simulated)
    summary["layers"] = list(layers) if layered else []
    if not layered:
        without = {name: int((~drawn[label].with_reference).sum()) for label, name in enumerate(CLASSES)}
        summary["notes"].append(
            f"Without reference bases and qualities, as {without['ancient']:,} ancient and {without['modern']:,} "
            f"modern reads drawn have no MD tag that fits{_OR_NOT_IN[reference is not None]}."
        )
    return summary


def _draw(
    paths: Sequence[Path], number: int, settings: ReadSetSettings, reference: Path | None, threads: int,
    progress: Progress,
) -> DrawnReads:
    draw = Draw(
        int(settings.max_reads * SPARE), settings.length, settings.min_length, settings.min_mapping_quality,
        np.random.default_rng([settings.seed, 20, number]),
    )
    for path in paths:
        with open_alignments(path, reference, threads) as alignments:
            draw.add(
                alignments, progress, None if reference is None else ReferenceBases(reference, alignments)
            )
    reads = draw.reads()
    if len(reads.lengths) == 0:
        reasons = "; ".join(f"{reason}: {n:,}" for reason, n in reads.dropped.items()) or "it holds no records"
        raise InputError(f"0 usable {CLASSES[number]} reads of {reads.total:,} ({reasons})", path=paths[0])
    return reads


def read_keys(codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return a 64-bit key per read that is the same for a read and its reverse complement.

    Parameters
    ----------
    codes : (n, width) uint8 array
        Reads from their first base on; what lies beyond `lengths` does not count.
    lengths : (n,) integer array
    """
    width = codes.shape[1]
    place = np.arange(width)
    inside = place < lengths[:, None]
    opposite = np.take_along_axis(codes, np.clip(lengths[:, None] - 1 - place, 0, None), axis=1)
    opposite = np.where(opposite < 4, 3 - opposite, 4)
    multipliers = np.random.default_rng(37).integers(1, 2**63, width, dtype=np.uint64) | np.uint64(1)

    def hashed(strand: np.ndarray) -> np.ndarray:
        return (np.where(inside, strand + np.uint64(1), np.uint64(0)) * multipliers).sum(axis=1, dtype=np.uint64)

    return np.minimum(hashed(codes.astype(np.uint64)), hashed(opposite.astype(np.uint64)))


def _first_of_each(keys: np.ndarray) -> np.ndarray:
    """Return a mask of the first row of each key."""
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first


def _match_lengths(
    drawn: list[DrawnReads], max_reads: int, layered: bool, left_out: list[dict[str, int]],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair every ancient read with a modern one that is long enough to be cut to its length.

    Returns
    -------
    modern, ancient : (n,) int64 arrays of rows
    lengths : (n,) int64 array
        Bases of both reads of a pair.
    """
    copy = "same sequence as another read"
    rows = []
    for number, reads in enumerate(drawn):
        first = _first_of_each(read_keys(reads.codes, reads.lengths))
        left_out[number][copy] = int((~first).sum())
        if layered:
            left_out[number]["no MD tag that fits, and no reference"] = int((first & ~reads.with_reference).sum())
            first &= reads.with_reference
        rows.append(np.flatnonzero(first))
    modern, ancient = rows
    wanted = min(len(modern), len(ancient), max_reads)
    open_ancient, spare = ancient[:wanted], modern
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(_ROUNDS):
        if len(open_ancient) == 0 or len(spare) == 0:
            break
        count = min(len(open_ancient), len(spare))
        tried, rest = spare[:count], spare[count:]
        fits = drawn[0].lengths[tried] >= drawn[1].lengths[open_ancient[:count]]
        pairs.append((tried[fits], open_ancient[:count][fits]))
        # What did not fit is tried again in another order, after the reads that have not been tried yet.
        spare = np.concatenate([rest, rng.permutation(tried[~fits])])
        open_ancient = rng.permutation(np.concatenate([open_ancient[:count][~fits], open_ancient[count:]]))
    modern, ancient = (np.concatenate(side) for side in zip(*pairs, strict=True))
    lengths = drawn[1].lengths[ancient]
    keys = np.concatenate([
        read_keys(drawn[1].codes[ancient], lengths), read_keys(drawn[0].codes[modern], lengths)
    ])
    first = _first_of_each(keys)[len(ancient) :]
    left_out[0]["after cutting the same sequence as another read"] = int((~first).sum())
    left_out[1]["no modern read left that is long enough"] = len(open_ancient)
    left_out[1]["its modern partner was a copy"] = int((~first).sum())
    modern, ancient, lengths = modern[first], ancient[first], lengths[first]
    for number, kept in ((0, modern), (1, ancient)):
        reasons = left_out[number]
        reasons["not drawn"] = drawn[number].total - len(kept) - sum(reasons.values())
        left_out[number] = {reason: n for reason, n in reasons.items() if n}
    if len(modern) < 20:
        raise InputError(
            f"only {len(modern):,} reads of each class are left for the dataset ({left_out[1]} of the ancient, "
            f"{left_out[0]} of the modern reads were left out); 20 are the least"
        )
    return modern, ancient, lengths


def _examples(
    drawn: list[DrawnReads], modern: np.ndarray, ancient: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, dict[str, np.ndarray], list[int]]:
    """Put both classes into one table in random order, with the stretch of the genome that each read lies in."""
    count = len(modern)
    both = np.concatenate([lengths, lengths])

    def layer(name: str, nothing: int) -> np.ndarray:
        values = np.concatenate([getattr(drawn[0], name)[modern], getattr(drawn[1], name)[ancient]])
        values[np.arange(values.shape[1]) >= both[:, None]] = nothing
        return values

    codes = layer("codes", 4)
    layers = {"reference": layer("reference", 4), "quality": layer("quality", NO_QUALITY)}

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(drawn[0], name)[modern], getattr(drawn[1], name)[ancient]])

    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    known = (codes < 4).sum(axis=1)
    table = pd.DataFrame({
        "label": np.repeat(np.array([0, 1], np.int8), count),
        "contig": column("contigs").astype(str),
        "start": column("starts"),
        "gc": np.divide(strong, known, out=np.full(2 * count, np.nan), where=known > 0),
        "sample": column("samples").astype(str),
        "strand": np.where(column("reverse"), "-", "+"),
        "length": both,
    })
    table["locus"], bin_sizes = _stretches(table)
    order = rng.permutation(2 * count)
    table = table.iloc[order].reset_index(drop=True)
    return table, codes[order], {name: values[order] for name, values in layers.items()}, bin_sizes


def _stretches(table: pd.DataFrame) -> tuple[np.ndarray, list[int]]:
    """Divide each contig into stretches and return (stretch of each read, lengths of stretch in use).

    Stretches are as long as may be while a class that lies wholly on one contig still has `FEWEST_GROUPS` of them;
    a class that has a share of its reads there needs that share of them.
    """
    contigs = pd.factorize(table["contig"].map(bare_contig))[0]
    labels, starts = table["label"].to_numpy(), table["start"].to_numpy()
    keys = np.empty((len(table), 2), np.int64)
    used = set()
    for contig in range(contigs.max() + 1):
        here = contigs == contig
        for bin_size in BINS:
            bins = starts[here] // bin_size
            if all(
                len(np.unique(bins[labels[here] == label])) >= FEWEST_GROUPS * here[labels == label].mean()
                for label in (0, 1)
            ):
                break
        keys[here, 0], keys[here, 1] = contig, bins
        used.add(bin_size)
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel().astype(np.int64), sorted(used)


def _audit(table: pd.DataFrame, keys: np.ndarray, column: str) -> dict[str, float]:
    """Say what the test part shares with the training part, and what length and GC alone would score on it."""
    test = (table[column] == "test").to_numpy()
    train = (table[column] == "train").to_numpy()
    labels = table["label"].to_numpy()[test]
    stretches = set(table.loc[train, "locus"])
    return {
        "identical": float(np.isin(keys[test], keys[train]).mean()),
        "shared_stretches": float(table.loc[test, "locus"].isin(stretches).mean()),
        "length_auc": auc(labels, table["length"].to_numpy(float)[test]),
        "gc_auc": auc(labels, table["gc"].fillna(0.5).to_numpy()[test]),
    }


def _summary(
    drawn: list[DrawnReads], left_out: list[dict[str, int]], table: pd.DataFrame, codes: np.ndarray,
    bin_sizes: list[int], settings: ReadSetSettings, simulated: bool,
) -> dict[str, Any]:
    keys = read_keys(codes, table["length"].to_numpy())
    histograms = [
        table.loc[table["label"] == label, "length"].value_counts().sort_index().to_dict() for label in (0, 1)
    ]
    notes = [
        "Unmapped reads were left out: without a place they cannot be kept from lying in two parts.",
        f"Each locus is a stretch of {' or '.join(f'{size:,}' for size in bin_sizes)} bases; a read belongs to the one "
        "in which it starts.",
    ]
    if bin_sizes[0] < BIN:
        notes.append(
            f"Stretches are shorter than the usual {BIN:,} bases where a class lies on little of the genome; reads "
            "across their borders may overlap reads of another part."
        )
    gc = [float(table.loc[table["label"] == label, "gc"].mean()) for label in (0, 1)]
    return {
        "kind": "reads",
        "classes": list(CLASSES),
        "reads_total": {name: drawn[label].total for label, name in enumerate(CLASSES)},
        "reads_passed": {name: drawn[label].passed for label, name in enumerate(CLASSES)},
        "dropped": {name: left_out[label] for label, name in enumerate(CLASSES)},
        "examples": len(table),
        "counts": {
            column: {
                part: {name: int(((table[column] == part) & (table["label"] == label)).sum())
                       for label, name in enumerate(CLASSES)}
                for part in PARTS
            }
            for column in ("split", "comparison_split")
        },
        "loci": int(table["locus"].nunique()),
        "locus_bases": bin_sizes,
        "length": {
            "equal": histograms[0] == histograms[1], "mean": float(table["length"].mean()),
            "median": float(table["length"].median()), "histogram": histograms[1],
        },
        "gc": dict(zip(CLASSES, gc, strict=True)),
        "split": "locus",
        "comparison_split": "random",
        "audit": _audit(table, keys, "split"),
        "comparison_audit": _audit(table, keys, "comparison_split"),
        "notes": notes,
        "simulated": simulated,
        "width": settings.length,
    }
