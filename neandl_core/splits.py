"""How examples are divided into training, validation and test parts.

=============  ===================================================================================================
`chromosome`   whole chromosomes are held out; validation loci come from the training chromosomes
`locus`        whole merged loci are held out
`interval`     whole intervals (haplotypes); they overlap each other, so this leaks
`random`       single windows, as published; it leaks most
=============  ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neandl_core.errors import InputError, SettingsError
from neandl_core.intervals import bare_contig, match_contigs


def assign_split(
    examples: pd.DataFrame,
    split: str,
    *,
    test_share: float,
    validation_share: float,
    rng: np.random.Generator,
    test_chromosomes: Sequence[str] = (),
) -> np.ndarray:
    """Return the part of every example.

    Parameters
    ----------
    examples
        Columns `label`, `contig`, `locus` and, for the interval split, `interval`.
    split
        One of the four above.
    test_share
        Share of the examples to test on, met as nearly as whole groups allow.
    validation_share
        Share of the remaining examples to validate on.
    rng
        Source of the random choice.
    test_chromosomes
        Chromosomes to test on (chromosome split only), with or without ``chr``; chosen by size if empty.

    Returns
    -------
    (n,) array of ``train``, ``validation`` and ``test``.

    Raises
    ------
    SettingsError
        If a test chromosome has no example, or all have been given.
    InputError
        If the examples lie on fewer chromosomes or loci than the split needs.
    """
    labels = examples["label"].to_numpy()
    loci = examples["locus"].to_numpy()
    parts = np.full(len(examples), "train", dtype=object)
    if split == "chromosome":
        contigs = examples["contig"].astype(str)
        test = contigs.isin(_choose_chromosomes(contigs, labels, test_chromosomes, test_share)).to_numpy()
        validation_groups = loci
    else:
        groups = {
            "locus": loci,
            "interval": examples["interval"].to_numpy() * 2 + labels if "interval" in examples else loci,
            "random": np.arange(len(examples)),
        }[split]
        test = _draw_groups(groups, labels, test_share, rng)
        validation_groups = groups
    parts[test] = "test"
    rest = np.flatnonzero(~test)
    parts[rest[_draw_groups(validation_groups[rest], labels[rest], validation_share, rng)]] = "validation"
    for part in ("train", "test"):
        present = np.unique(labels[parts == part])
        if present.size < 2:
            raise InputError(
                f"the {split} split leaves the {part} part with only one class",
                advice="Give more chromosomes or loci of both classes, or split by locus.",
            )
    return parts.astype(str)


def _choose_chromosomes(
    contigs: pd.Series, labels: np.ndarray, wanted: Sequence[str], test_share: float
) -> list[str]:
    """Return the chromosomes to hold out: those asked for, or the set whose share comes nearest to `test_share`."""
    counts = contigs.value_counts()
    if len(counts) < 2:
        raise InputError(
            f"the chromosome split needs examples on two chromosomes at least, and all are on {counts.index[0]}",
            advice="Use --split locus.",
        )
    if wanted:
        match = match_contigs(wanted, list(counts.index))
        if match.unmatched:
            raise SettingsError(
                f"windows: no window lies on test chromosome {match.unmatched[0]!r}; there are windows on "
                f"{', '.join(counts.index[:8])}."
            )
        chosen = list(dict.fromkeys(match.to_reference.values()))
        if len(chosen) == len(counts):
            raise SettingsError("windows: all chromosomes are test chromosomes, so nothing is left to train on.")
        return chosen
    both = pd.Series(labels).groupby(contigs.to_numpy()).nunique() == 2
    order = sorted((name for name in counts.index if both[name]), key=lambda name: (counts[name], bare_contig(name)))
    goal = test_share * counts.sum()
    chosen, held = [], 0
    for name in order:
        if chosen and abs(held + counts[name] - goal) >= abs(held - goal):
            break
        if len(chosen) + 1 < len(counts):
            chosen.append(name)
            held += counts[name]
    return chosen or [order[0]] if order else [counts.index[-1]]


def _draw_groups(groups: np.ndarray, labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of whole groups, drawn at random class by class, that hold about `share` of each class."""
    chosen = np.zeros(len(groups), dtype=bool)
    taken: set[int] = set()
    for label in np.unique(labels):
        rows = labels == label
        names, counts = np.unique(groups[rows], return_counts=True)
        order = rng.permutation(len(names))
        goal = share * rows.sum()
        before = np.concatenate(([0], np.cumsum(counts[order])[:-1]))
        # A group is taken while its middle still lies below the goal, which comes nearest to it on average.
        pick = names[order][before + counts[order] / 2 <= goal]
        if pick.size == 0:
            pick = names[order][:1]
        taken.update(pick.tolist())
    chosen[np.isin(groups, np.array(sorted(taken)))] = True
    return chosen
