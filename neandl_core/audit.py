"""The split audit: what the test part shares with the training part, and what else tells the classes apart."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.audit_kernel import sampled_kmers, window_hashes
from neandl_core.intervals import merge
from neandl_core.metrics import auc
from neandl_core.packed_bases import PackedBases
from neandl_core.recording import Progress, no_progress

SHARED_BASES = 150
"""A test window that shares so many bases with a training window is counted as seen in training."""
WARN_SHARE = 0.01
"""Share of seen test windows above which a split is called leaking."""
NEAR_K = 31
_BLOCK = 20_000
Codes = np.ndarray | PackedBases


def overlapping_share(test: pd.DataFrame, train: pd.DataFrame, window: int, shared: int) -> np.ndarray:
    """Mark test windows that share at least `shared` bases with a training window at the same place of the genome.

    Parameters
    ----------
    test, train
        `contig` and `start` of windows of one length.
    window, shared
        Bases, 1 <= shared <= window.

    Returns
    -------
    (len(test),) bool array.
    """
    marked = np.zeros(len(test), dtype=bool)
    reach = window - shared
    train_by_contig = {name: np.sort(rows.to_numpy()) for name, rows in train.groupby("contig")["start"]}
    contigs, starts = test["contig"].to_numpy(), test["start"].to_numpy()
    for contig in pd.unique(contigs):
        seen = train_by_contig.get(contig)
        if seen is None:
            continue
        here = np.flatnonzero(contigs == contig)
        # Two windows share `shared` bases if their starts lie no further apart than `reach`.
        nearest = np.searchsorted(seen, starts[here] - reach)
        marked[here] = (nearest < len(seen)) & (seen[np.minimum(nearest, len(seen) - 1)] <= starts[here] + reach)
    return marked


def sequence_hashes(codes: Codes) -> np.ndarray:
    """Return a 64-bit hash per row of codes that is the same for a sequence and its reverse complement."""
    multipliers = np.random.default_rng(31).integers(1, 2**63, codes.shape[1], dtype=np.uint64) | np.uint64(1)
    return np.concatenate([window_hashes(np.asarray(block), multipliers) for block in _blocks(codes)])


def near_copies(
    train_codes: Codes, test_codes: Codes, progress: Progress = no_progress, threads: int = 1
) -> np.ndarray:
    """Mark test windows at least half of whose sampled 31-mers also occur, on either strand, in training windows.

    Parameters
    ----------
    train_codes, test_codes : (n, window) uint8 arrays
        Codes 0-3. Windows shorter than 31 bases cannot be compared: all False.
    threads
        Blocks of windows looked at side by side.
    """
    if train_codes.shape[1] < NEAR_K:
        return np.zeros(len(test_codes), dtype=bool)
    total = len(train_codes) + len(test_codes)

    def sampled(block: np.ndarray) -> np.ndarray:
        return sampled_kmers(np.asarray(block), NEAR_K)[1]

    with ThreadPoolExecutor(threads) as pool:
        pools = []
        for done, hashes in enumerate(pool.map(sampled, _blocks(train_codes))):
            progress(min(done * _BLOCK, total), total, "Audit: 31-mers of the training windows")
            pools.append(hashes)
        # Sorting is several times faster here than np.unique, which builds a hash table.
        known = np.sort(np.concatenate(pools))
        known = known[np.concatenate(([True], known[1:] != known[:-1]))]
        marks = []
        for done, block in enumerate(pool.map(lambda block: _copied(block, known), _blocks(test_codes))):
            progress(min(len(train_codes) + done * _BLOCK, total), total, "Audit: 31-mers of the test windows")
            marks.append(block)
    return np.concatenate(marks)


def _blocks(codes: Codes) -> Iterator[np.ndarray]:
    return (codes[begin : begin + _BLOCK] for begin in range(0, len(codes), _BLOCK))


def _chosen(codes: Codes, rows: np.ndarray) -> Codes:
    return codes.chosen(rows) if isinstance(codes, PackedBases) else codes[rows]


def _copied(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mark the rows at least half of whose sampled 31-mers are among the known ones."""
    rows, hashes = sampled_kmers(np.asarray(codes), NEAR_K)
    found = known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes
    sampled = np.bincount(rows, minlength=len(codes))
    shared = np.bincount(rows, weights=found, minlength=len(codes))
    return (sampled > 0) & (shared >= sampled / 2)


def audit_split(
    codes: Codes, examples: pd.DataFrame, column: str, name: str, progress: Progress = no_progress,
    threads: int = 1,
) -> dict[str, Any]:
    """Audit one split of a windows dataset.

    Parameters
    ----------
    codes : (n, window) uint8 array
    examples
        The dataset's table.
    column
        ``split`` or ``comparison_split``.
    name
        How the split is called: chromosome, locus, interval or random.

    Returns
    -------
    dict
        `overlap_150`, `identical`, `near_identical` (shares of test windows, 0 to 1), `loci_in_two_parts`, `gc_auc`,
        `parts` (per part and class: windows, loci, bases, mean GC), `leaking` and `sentence`.
    """
    window = codes.shape[1]
    part = examples[column].to_numpy()
    train_rows, test_rows = np.flatnonzero(part == "train"), np.flatnonzero(part == "test")
    train, test = examples.iloc[train_rows], examples.iloc[test_rows]
    shared = min(SHARED_BASES, -(-3 * window // 4))
    seen = overlapping_share(test, train, window, shared)
    anywhere = overlapping_share(test, train, window, 1)
    hashes = sequence_hashes(codes)
    identical = np.isin(hashes[test_rows], hashes[train_rows])
    near = near_copies(_chosen(codes, train_rows), _chosen(codes, test_rows), progress, threads) & ~anywhere
    of_train = set(train["locus"].unique())
    two_parts = sum(locus in of_train for locus in test["locus"].unique())
    leaking = bool(seen.mean() > WARN_SHARE or identical.mean() > WARN_SHARE)
    return {
        "split": name,
        "test_windows": len(test_rows),
        "shared_bases": shared,
        "overlap_150": float(seen.mean()),
        "identical": float(identical.mean()),
        "near_identical": float(near.mean()),
        "loci_in_two_parts": int(two_parts),
        "gc_auc": float(auc(test["label"].to_numpy(), test["gc"].to_numpy())),
        "parts": _part_counts(examples, column, window),
        "leaking": leaking,
        "sentence": _sentence(name, float(seen.mean()), float(identical.mean()), shared, leaking),
    }


def _sentence(name: str, seen: float, identical: float, shared: int, leaking: bool) -> str:
    if leaking:
        return (
            f"The {name} split leaks: {seen:.1%} of the test windows share {shared} or more bases with a training "
            f"window and {identical:.1%} are the very same sequence. A score under this split measures memory."
        )
    return (
        f"The {name} split does not leak: {seen:.1%} of the test windows share {shared} or more bases with a training "
        f"window, {identical:.1%} have the same sequence as one (repeats)."
    )


def _part_counts(examples: pd.DataFrame, column: str, window: int) -> list[dict[str, Any]]:
    rows = []
    for (part, label), group in examples.groupby([column, "label"]):
        bases = 0
        for _, here in group.groupby("contig"):
            starts, ends, _ = merge(here["start"].to_numpy(), here["start"].to_numpy() + window)
            bases += int((ends - starts).sum())
        rows.append({
            "part": part, "label": int(label), "windows": len(group), "loci": int(group["locus"].nunique()),
            "chromosomes": sorted(group["contig"].unique()), "bases": bases,
            "coverage": len(group) * window / bases if bases else 0.0, "gc": float(group["gc"].mean()),
        })
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(rows, key=lambda row: (order[row["part"]], row["label"]))
