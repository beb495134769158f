"""The points of a finished `embed` run as a browser draws them: numbers of four bytes, frame, one row a k-mer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.kmer_selection import bases_of, inside, totals_of
from neandl_core.schemas import KMER_POINTS, check_table


@dataclass(frozen=True)
class Frame:
    """The square of the map that is drawn from -1 to 1 both ways.

    Attributes
    ----------
    x, y
        Its middle.
    half
        Half of its side.
    """

    x: float
    y: float
    half: float


@dataclass
class KmerCloud:
    """The k-mers of one map; shared by all who look at it, so nobody may change it.

    Attributes
    ----------
    points
        Table `KMER_POINTS`.
    """

    points: pd.DataFrame

    @classmethod
    def load(cls, folder: Path) -> KmerCloud:
        """Read the points of a run folder.

        Raises
        ------
        InputError
            If they are missing or cannot be read.
        """
        path = folder / "points.parquet"
        try:
            points = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise InputError(f"this map cannot be read ({type(error).__name__})", path=path,
                             advice="Make it again.") from None
        return cls(check_table(points, KMER_POINTS, "k-mer points"))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def k(self) -> int:
        """Length of the k-mers."""
        return len(str(self.points["kmer"].iloc[0]))

    @cached_property
    def frame(self) -> Frame:
        """Where the points lie; points that are not finite are outside."""
        if not len(self.points):
            return Frame(0.0, 0.0, 1.0)
        edges = [(float(np.nanmin(self.points[axis])), float(np.nanmax(self.points[axis]))) for axis in ("x", "y")]
        half = max((high - low) / 2 for low, high in edges) or 1.0
        return Frame(*((low + high) / 2 for low, high in edges), 1.04 * half)

    @cached_property
    def positions(self) -> bytes:
        """All x, then all y, within the frame: little-endian float32."""
        columns = [
            (self.points[axis].to_numpy(np.float64) - middle) / self.frame.half
            for axis, middle in (("x", self.frame.x), ("y", self.frame.y))
        ]
        return np.concatenate(columns).astype("<f4").tobytes()

    @cached_property
    def bases(self) -> np.ndarray:
        """(n, k) codes of the k-mers."""
        return bases_of(self.points["kmer"])

    @cached_property
    def seen(self) -> np.ndarray:
        """(n,) whether a k-mer occurred in training."""
        return self.points["seen"].to_numpy() == 1

    @cached_property
    def numbers(self) -> np.ndarray:
        """(n,) numbers of the k-mers."""
        number = np.zeros(len(self), np.int64)
        for place in range(self.k):
            number = 4 * number + self.bases[:, place]
        return number

    @cached_property
    def totals(self) -> dict[int, np.ndarray]:
        """How many of the k-mers hold each short word, for `kmer_selection.enriched_parts`."""
        return totals_of(self.bases, np.ones(len(self), bool))

    def inside(self, polygon: list[list[float]]) -> np.ndarray:
        """Return which k-mers lie inside a polygon of the map's own coordinates: (n,) bool."""
        return inside(self.points["x"].to_numpy(), self.points["y"].to_numpy(), polygon)

    def same_kmers(self, other: KmerCloud, mask: np.ndarray) -> np.ndarray:
        """Return which of these k-mers are among the chosen of another map: (n,) bool."""
        if len(self) == len(other) and np.array_equal(self.numbers, other.numbers):
            return mask
        return np.isin(self.numbers, other.numbers[mask])

    def column(self, table: pd.DataFrame, value: str) -> pd.Series:
        """Lay a column of a user's table over the k-mers.

        Parameters
        ----------
        table
            Any table with a column of k-mers, which `kmer_column` finds.
        value
            Name of the column wanted.

        Returns
        -------
        Series
            One value a k-mer, numbers where all are; missing where the table has no such k-mer.

        Raises
        ------
        InputError
            If the table lacks the column, or a column of k-mers of this length.
        """
        if value not in table:
            raise InputError(f"this table has no column {value!r}")
        key = kmer_column(table, self.k)
        own = table.assign(**{key: table[key].astype(str).str.strip().str.upper()}).drop_duplicates(key)
        values = self.points["kmer"].astype(str).map(own.set_index(key)[value])
        numbers = pd.to_numeric(values, errors="coerce")
        return numbers if numbers.notna().sum() == values.notna().sum() else values


def kmer_column(table: pd.DataFrame, k: int) -> str:
    """Return the name of the column that holds k-mers: most of its first thousand cells are k letters A, C, G, T.

    Raises
    ------
    InputError
        If there is none.
    """
    for name in table.columns:
        cells = table[name].dropna().head(1000).astype(str).str.strip()
        if len(cells) and cells.str.fullmatch(f"[ACGTacgt]{{{k}}}").mean() > 0.5:
            return str(name)
    raise InputError(f"no column of this table holds k-mers of {k} bases", advice="Name one `kmer`, a k-mer a line.")
