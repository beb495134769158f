"""Tables and summary of what the reads tell one by one, as columns for `files.write_tsv` (contracts in `schemas`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from neandl_core.config import POSITIONS, SHOWN_POSITIONS
from neandl_core.damage import ENDS, STRANDS, Columns
from neandl_core.metrics import wilson_interval
from neandl_core.read_details import ReadDetails
from neandl_core.read_kernel import AROUND, CLASSES, CONTEXTS, KINDS, SCORE_BINS, SCORE_LOW, SCORE_STEP
from neandl_core.schemas import CLIPS, COMPOSITION, GROUPS, PMD_DAMAGE, PMD_SCORES, READ_FIGURES

THRESHOLDS = np.arange(-4, 8.01, 0.5)
"""PMD scores at which the damage of the reads kept is tabled."""


def group_columns(details: ReadDetails) -> Columns:
    """Return damage by read group, contig class and CpG context (`schemas.GROUPS`), for those that have reads."""
    rows: list[tuple[Any, ...]] = []
    for group, names in enumerate(details.groups):
        for number, contigs in enumerate(CLASSES):
            tally = details.tallies[group, number, :, :SHOWN_POSITIONS]
            if not tally.any():
                continue
            for context in ("all", "CpG", "other"):
                here = tally.sum(axis=3) if context == "all" else tally[:, :, :, CONTEXTS.index(context)]
                rows += [((*names, contigs, context), *row) for row in _rate_rows(here)]
    keys = list(zip(*(key for key, *_ in rows), strict=True)) if rows else [()] * 5
    rest = list(zip(*(row for _, *row in rows), strict=True)) if rows else [()] * 8
    return {name: np.array(values) for name, values in zip(GROUPS, (*keys, *rest), strict=True)}


def _rate_rows(tally: np.ndarray) -> list[tuple[Any, ...]]:
    """Turn a (end, position, kind, 2) tally into rows: end, position, substitution, n, observed, rate, low, high."""
    rows = []
    for end, kind in ((0, 0), (1, 1), (1, 0)):
        observed, n = tally[end, :, kind].T
        low, high = wilson_interval(observed, n)
        rate = np.divide(observed, n, out=np.full(n.shape, np.nan), where=n > 0)
        rows += [
            (ENDS[end], position, KINDS[kind], *values)
            for position, values in enumerate(zip(*(v.tolist() for v in (n, observed, rate, low, high)), strict=True))
        ]
    return rows


def score_columns(details: ReadDetails) -> Columns:
    """Return the histogram of PMD scores (`schemas.PMD_SCORES`)."""
    edges = np.round(SCORE_LOW + SCORE_STEP * np.arange(SCORE_BINS), 3)
    return dict(zip(PMD_SCORES, (edges, details.scores), strict=True))


def score_damage_columns(details: ReadDetails) -> Columns:
    """Return reads kept and their damage by PMD threshold (`schemas.PMD_DAMAGE`); a blank threshold keeps all."""
    rows: list[tuple[Any, ...]] = []
    for threshold in (np.nan, *THRESHOLDS):
        reads, tally = details.kept(-np.inf if np.isnan(threshold) else float(threshold))
        rows += [(float(threshold), reads, *row) for row in _rate_rows(tally)]
    return {name: np.array(values) for name, values in zip(PMD_DAMAGE, zip(*rows, strict=True), strict=True)}


def figure_columns(details: ReadDetails) -> Columns:
    """Return the reads by edit distance, GC and mapping quality (`schemas.READ_FIGURES`)."""
    histograms = {
        "edit_distance": details.edits, "gc_percent": details.gc, "mapping_quality": details.mapping_quality
    }
    rows = [
        (name, value, int(histogram[value])) for name, histogram in histograms.items()
        for value in np.flatnonzero(histogram)
    ]
    return {name: np.array(values) for name, values in zip(READ_FIGURES, zip(*rows, strict=True), strict=True)}


def clip_columns(details: ReadDetails) -> Columns:
    """Return the soft clips by depth (`schemas.CLIPS`)."""
    end, strand, position = np.indices((2, 2, POSITIONS)).reshape(3, -1)
    values = (np.array(ENDS)[end], np.array(STRANDS)[strand], position, details.clips.ravel())
    return dict(zip(CLIPS, values, strict=True))


def composition_columns(details: ReadDetails) -> Columns:
    """Return the bases in the reads and beside them (`schemas.COMPOSITION`), ends and strands sorted as mapDamage's."""
    rows: list[tuple[Any, ...]] = []
    for end in (1, 0):
        for strand in (0, 1):
            inside = [(place + 1, details.inside[end, strand, place]) for place in range(POSITIONS)]
            beside = [(step + 1, details.around[end, strand, step]) for step in range(AROUND)]
            if end == 0:
                places = [*((-place, values) for place, values in reversed(beside)), *inside]
            else:
                places = [*((-place, values) for place, values in reversed(inside)), *beside]
            rows += [(ENDS[end], STRANDS[strand], place, *map(int, values)) for place, values in places]
    return {name: np.array(values) for name, values in zip(COMPOSITION, zip(*rows, strict=True), strict=True)}


def details_summary(details: ReadDetails) -> dict[str, Any]:
    """Return the part of `summary.json` that describes the reads one by one."""
    total = int(details.scores.sum())
    edges = np.round(SCORE_LOW + SCORE_STEP * np.arange(SCORE_BINS), 3)
    seen = np.flatnonzero(details.scores)
    cumulative = np.cumsum(details.scores)

    def mean(histogram: np.ndarray) -> float | None:
        n = histogram.sum()
        return float((np.arange(histogram.size) * histogram).sum() / n) if n else None

    groups = []
    for group, (name, library, sample) in enumerate(details.groups):
        for number, contigs in enumerate(CLASSES):
            tally = details.tallies[group, number].sum(axis=3)
            if not tally.any():
                continue
            (five, three_ga, three_ct) = (tally[end, 0, kind] for end, kind in ((0, 0), (1, 1), (1, 0)))
            groups.append({
                "read_group": name, "library": library, "sample": sample, "contigs": contigs,
                **{key: float(k / n) if n else None for key, (k, n) in (
                    ("c_to_t_5p", five), ("g_to_a_3p", three_ga), ("c_to_t_3p", three_ct))},
                "n_5p": int(five[1]), "n_3p": int(three_ga[1]),
            })
    return {
        "pmd": {
            "library": details.model.library, "udg": details.model.udg, "reads_scored": total,
            "reads_without_score": details.without_score,
            "median": float(edges[np.searchsorted(cumulative, (total + 1) // 2)]) if total else None,
            "at_least_3": int(details.kept(3.0)[0]),
            "histogram": {f"{edges[index]:g}": int(details.scores[index]) for index in seen},
        },
        "edit_distance_mean": mean(details.edits), "gc_percent_mean": mean(details.gc),
        "mapping_quality_mean": mean(details.mapping_quality), "groups": groups,
        "reads_too_long_to_describe": details.too_long,
    }
