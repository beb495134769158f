"""Published maps of introgression: regions that each found, how many agree on a base, and labels made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.intervals import bare_contig, covered_bases, merge, nearest_distances
from neandl_core.io.annotation import read_bed

MAP_KINDS = ("map", "consensus", "depleted", "other")
"""A published map; regions that several maps agree on; regions without introgression; any other list of regions."""
_ENDINGS = (".bed", ".bed.gz", ".bg", ".bg.gz")
_MAP_MARK = "_regions_merged"

NOISE_MAPS = 3
"""Depleted regions that so many maps found introgression in are called noisy."""

Regions = dict[str, tuple[np.ndarray, np.ndarray]]
"""Chromosome without ``chr`` -> starts and ends, sorted and disjoint."""


@dataclass(frozen=True)
class RegionList:
    """One file of regions: its name without endings, which of `MAP_KINDS` it is, and its merged regions."""

    name: str
    kind: str
    regions: Regions

    @property
    def bases(self) -> int:
        """Bases covered."""
        return sum(int((ends - starts).sum()) for starts, ends in self.regions.values())


def read_maps(folder: Path, progress: Callable[[int, int, str], None] = lambda *_: None) -> list[RegionList]:
    """Read every BED and bedGraph file of a folder, sorted by name.

    Raises
    ------
    InputError
        If it is no folder, holds no such file, or one of them cannot be read.
    """
    if not folder.is_dir():
        raise InputError("expected a folder of BED files with published maps", path=folder)
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(_ENDINGS))
    if not files:
        raise InputError("there is no BED file in this folder of maps", path=folder)
    marked = any(_MAP_MARK in path.name for path in files)
    lists = []
    for index, path in enumerate(files):
        progress(index, len(files), f"Reading map {path.name}")
        lists.append(RegionList(_name(path), map_kind(path.name, marked), merged_regions(read_bed(path).table)))
    return lists


def map_kind(name: str, marked: bool = False) -> str:
    """Return which of `MAP_KINDS` a file of regions is, from its name, as BED files do not say.

    Parameters
    ----------
    name
        Of the file.
    marked
        Whether files of its folder are called ``..._regions_merged``; then only those are maps.
    """
    plain = name.lower()
    if any(word in plain for word in ("desert", "depl")):
        return "depleted"
    if "at_least" in plain:
        return "consensus"
    return "map" if not marked or _MAP_MARK in plain else "other"


def _name(path: Path) -> str:
    name = path.name
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        name = name.removesuffix(ending)
    return name.removesuffix(_MAP_MARK)


def merged_regions(table: pd.DataFrame) -> Regions:
    """Return the regions of a table (`contig`, `start`, `end`), overlapping ones merged."""
    found = {}
    for name, rows in table.groupby(table["contig"].map(lambda contig: bare_contig(str(contig)))):
        starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
        found[str(name)] = (starts, ends)
    return found


def agreed(lists: Iterable[RegionList], at_least: int) -> Regions:
    """Return the regions that at least so many lists cover."""
    edges: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for one in lists:
        for contig, spans in one.regions.items():
            edges.setdefault(contig, []).append(spans)
    found = {}
    for contig, spans in edges.items():
        positions = np.concatenate([np.concatenate(span) for span in spans])
        steps = np.concatenate([np.repeat([1, -1], len(starts)) for starts, _ in spans])
        # Where regions of a list touch, an end and a start fall on one position and cancel out.
        places, index = np.unique(positions, return_inverse=True)
        depth = np.cumsum(np.bincount(index, steps, len(places))).round().astype(int)
        enough = depth >= at_least
        opens = np.flatnonzero(enough & ~np.concatenate([[False], enough[:-1]]))
        closes = np.flatnonzero(~enough & np.concatenate([[False], enough[:-1]]))
        if len(opens):
            found[contig] = (places[opens], places[closes])
    return found


def share_in(table: pd.DataFrame, regions: Regions) -> np.ndarray:
    """Return the share of each row's bases (`contig`, `start`, `end`) that lies in merged regions, 0 to 1."""
    shares = np.zeros(len(table))
    keys = table["contig"].map(lambda contig: bare_contig(str(contig))).to_numpy()
    low, high = table["start"].to_numpy(), table["end"].to_numpy()
    for contig in np.unique(keys):
        if contig in regions:
            here = np.flatnonzero(keys == contig)
            shares[here] = covered_bases(low[here], high[here], *regions[contig]) / np.maximum(high - low, 1)[here]
    return shares


def distance_to(table: pd.DataFrame, regions: Regions) -> np.ndarray:
    """Return each row's distance in bases to the nearest region, 0 where they share a base; NaN without any."""
    distances = np.full(len(table), np.nan)
    keys = table["contig"].map(lambda contig: bare_contig(str(contig))).to_numpy()
    low, high = table["start"].to_numpy(), table["end"].to_numpy()
    for contig in np.unique(keys):
        if contig not in regions:
            continue
        here = np.flatnonzero(keys == contig)
        distances[here] = nearest_distances(low[here], high[here], *regions[contig])
    return distances


def shared_bases(one: Regions, other: Regions) -> int:
    """Return how many bases lie in both."""
    return sum(
        int(covered_bases(*spans, *other[contig]).sum()) for contig, spans in one.items() if contig in other
    )


def found_in_depleted(lists: Iterable[RegionList], at_least: int = NOISE_MAPS) -> list[dict[str, Any]]:
    """Say of each depleted list that is no desert how much of it lies in regions that so many maps found.

    Returns
    -------
    list of dict
        `list` (its name), `maps`, `share` of its bases, `bases`; empty if there are fewer maps.
    """
    lists = list(lists)
    maps = [one for one in lists if one.kind == "map"]
    if len(maps) < at_least:
        return []
    found = agreed(maps, at_least)
    return [
        {"list": one.name, "maps": at_least, "share": shared_bases(one.regions, found) / max(1, one.bases),
         "bases": one.bases}
        for one in lists if one.kind == "depleted" and "desert" not in one.name.lower()
    ]


def noise_sentence(one: dict[str, Any]) -> str:
    """Say what a row of `found_in_depleted` means."""
    return (
        f"{one['share']:.0%} of the depleted regions {one['list']} lie where {one['maps']} maps or more found "
        "introgression: as a class of \"not introgressed\" they are noisy."
    )


def labels_from_maps(
    folder: Path, at_least: int, lengths: dict[str, int]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Make introgressed and depleted intervals from a folder of maps.

    Introgressed is what at least so many maps found. Depleted is what no map found, or what a desert list names and
    fewer than so many maps found.

    Parameters
    ----------
    lengths
        Chromosome -> bases, in the genome's spelling; chromosomes that no map covers stay out.

    Returns
    -------
    introgressed, depleted
        `contig`, `start`, `end`.
    notes
        What was done, in sentences.

    Raises
    ------
    InputError
        If there are fewer maps than asked for, or nothing is left on this genome.
    """
    lists = read_maps(folder)
    maps = [one for one in lists if one.kind == "map"]
    if len(maps) < at_least:
        raise InputError(f"at-least = {at_least} maps were asked for, and there are {len(maps)}", path=folder)
    enough, some = agreed(maps, at_least), agreed(maps, 1)
    deserts = agreed([one for one in lists if "desert" in one.name.lower()], 1)
    rows: tuple[list, list] = ([], [])
    for contig, length in lengths.items():
        bare = bare_contig(contig)
        if bare not in some:
            continue
        nothing = (np.empty(0, np.int64), np.empty(0, np.int64))
        high = enough.get(bare, nothing)
        free = _complement(*some[bare], length)
        desert = _without(*deserts.get(bare, nothing), *high, length)
        low_starts, low_ends, _ = merge(np.concatenate([free[0], desert[0]]), np.concatenate([free[1], desert[1]]))
        for starts, ends, kept in ((*high, rows[0]), (low_starts, low_ends, rows[1])):
            ends = np.minimum(ends, length)
            kept.extend((contig, int(start), int(end)) for start, end in zip(starts, ends, strict=True) if start < end)
    columns = ["contig", "start", "end"]
    introgressed, depleted = (pd.DataFrame(part, columns=columns) for part in rows)
    if introgressed.empty or depleted.empty:
        raise InputError("on this genome these maps give regions of one class only", path=folder)
    sizes = [(part["end"] - part["start"]).sum() / 1e6 for part in (introgressed, depleted)]
    return introgressed, depleted, [
        f"Labels from {len(maps)} maps: introgressed where at least {at_least} found something ({sizes[0]:,.1f} Mb), "
        f"depleted where none did or a desert is named and fewer than {at_least} did ({sizes[1]:,.1f} Mb).",
        *(f"{noise_sentence(one)} These labels do not use them." for one in found_in_depleted(lists)),
    ]


def _complement(starts: np.ndarray, ends: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what lies between sorted disjoint regions of a chromosome."""
    low, high = np.concatenate([[0], ends]), np.concatenate([starts, [length]])
    some = low < np.minimum(high, length)
    return low[some], np.minimum(high, length)[some]


def _without(
    starts: np.ndarray, ends: np.ndarray, other_starts: np.ndarray, other_ends: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return regions less others: the complement of (complement of the regions, and the others)."""
    outside = _complement(starts, ends, length)
    taken_starts, taken_ends, _ = merge(
        np.concatenate([outside[0], other_starts]), np.concatenate([outside[1], other_ends])
    )
    return _complement(taken_starts, taken_ends, length)
