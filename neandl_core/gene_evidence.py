"""Evidence about genes that does not come from the model: published maps, deserts, the nearest introgressed segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.intervals import bare_contig
from neandl_core.maps import (
    RegionList,
    Regions,
    agreed,
    distance_to,
    found_in_depleted,
    noise_sentence,
    read_maps,
    share_in,
)
from neandl_core.recording import Progress, no_progress


class Evidence:
    """A folder of published maps, ready to be asked about genes.

    Attributes
    ----------
    lists
        Every list of the folder.
    maps
        Those that are published maps.
    half
        How many maps are at least half of them: 6 of 12.
    """

    def __init__(self, folder: Path, progress: Progress = no_progress) -> None:
        self.lists = read_maps(folder, progress)
        self.maps = [one for one in self.lists if one.kind == "map"]
        self.half = max(1, (len(self.maps) + 1) // 2)
        self._any = agreed(self.maps, 1)
        self._half = agreed(self.maps, self.half)
        self._deserts: Regions = agreed([one for one in self.lists if "desert" in one.name.lower()], 1)

    def of(self, genes: pd.DataFrame) -> pd.DataFrame:
        """Return one row per gene, with the index of `genes`.

        Returns
        -------
        DataFrame
            `maps`: how many maps share a base with it; `any_map`, `half_maps`: share of its bases that at least one,
            and at least half of the maps cover; `desert`: share in deserts; `nearest_segment`: bases to the nearest
            segment of any map, 0 if it holds one, blank where no map has that chromosome.
        """
        touched = sum(((share_in(genes, one.regions) > 0).astype(int) for one in self.maps), start=0)
        return pd.DataFrame({
            "maps": touched, "any_map": share_in(genes, self._any), "half_maps": share_in(genes, self._half),
            "desert": share_in(genes, self._deserts), "nearest_segment": distance_to(genes, self._any),
        }, index=genes.index)

    def by_map(self, genes: pd.DataFrame) -> pd.DataFrame:
        """Return one row per gene and list: `symbol`, `map`, `kind`, `share` (of the gene's bases)."""
        return pd.concat([
            pd.DataFrame({
                "symbol": genes["symbol"], "map": one.name, "kind": one.kind, "share": share_in(genes, one.regions),
            })
            for one in self.lists
        ], ignore_index=True)

    def segments(self, genes: pd.DataFrame) -> pd.DataFrame:
        """Return the regions of maps and deserts that touch each gene: `symbol`, `map`, `kind`, `start`, `end`."""
        pieces = []
        keys = genes["contig"].map(lambda contig: bare_contig(str(contig)))
        shown = [one for one in self.lists if one.kind == "map" or "desert" in one.name.lower()]
        for contig, rows in genes.groupby(keys):
            for one in shown:
                if contig in one.regions:
                    pieces.append(_touching(rows, one, *one.regions[contig]))
        columns = ["symbol", "map", "kind", "start", "end"]
        return pd.concat(pieces, ignore_index=True)[columns] if pieces else pd.DataFrame(columns=columns)

    def noise(self) -> list[dict[str, Any]]:
        """Say how much of each depleted list that is no desert lies in regions that three maps or more found."""
        return found_in_depleted(self.lists)

    def notes(self) -> list[str]:
        """Say what was read, and what of it counts."""
        said = [
            f"Maps read: {len(self.maps)}; other files, told by their names: {len(self.lists) - len(self.maps)} "
            "(consensus, depleted, desert or other regions). A map counts for a gene if it covers one of its bases."
        ]
        said.extend(noise_sentence(one) for one in self.noise())
        return said


def _touching(genes: pd.DataFrame, one: RegionList, starts: Any, ends: Any) -> pd.DataFrame:
    """Return every pair of a gene and a region of one chromosome that share a base."""
    low, high = genes["start"].to_numpy(), genes["end"].to_numpy()
    first, last = np.searchsorted(ends, low, "right"), np.searchsorted(starts, high, "left")
    number = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(genes)), number)
    region = np.repeat(first, number) + np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return pd.DataFrame({
        "symbol": genes["symbol"].to_numpy()[row], "map": one.name, "kind": one.kind, "start": starts[region],
        "end": ends[region],
    })
