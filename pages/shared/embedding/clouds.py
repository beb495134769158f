"""The points of embed runs, held once for pages and routes alike, and how a look at them is written as an address."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.figures.kmer_colours import Colouring, colouring
from neandl_core.gene_joins import read_any_table
from neandl_core.kmer_cloud import KmerCloud
from neandl_core.kmer_selection import MOST_VERTICES, matching
from neandl_core.runs import read_state
from pages.shared.state import workspace

MOST_HELD = 3
OWN = "own"
KINDS = {"gc": "sequential", "cpg": "classes", "frequency": "log", "importance": "diverging", "cluster": "classes"}
_held: OrderedDict[tuple[str, int], KmerCloud] = OrderedDict()
_columns: OrderedDict[tuple, pd.Series] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Look:
    """What is wanted of a map: colour, search and lasso.

    Attributes
    ----------
    by
        A column of the points, or `OWN`.
    hide
        Whether k-mers never seen in training are left out.
    pattern
        IUPAC letters searched for; empty for none.
    lasso, lasso_run
        Corners in the coordinates of the map of that run; empty for none.
    own, column
        A user's table and its column.
    mode
        ``light`` or ``dark``.
    """

    by: str = "gc"
    hide: bool = False
    pattern: str = ""
    lasso: tuple[tuple[float, float], ...] = ()
    lasso_run: str = ""
    own: str = ""
    column: str = ""
    mode: str = "light"

    @property
    def selects(self) -> bool:
        """Whether some k-mers are chosen."""
        return bool(self.pattern or self.lasso)

    def address(self, run: str) -> str:
        """Return the route of a map's colours under this look."""
        words = {"by": self.by, "hide": int(self.hide), "find": self.pattern, "mode": self.mode}
        if self.lasso:
            words |= {"lasso": ",".join(f"{part:.6g}" for corner in self.lasso for part in corner),
                      "of": self.lasso_run}
        if self.by == OWN:
            words |= {"own": self.own, "column": self.column}
        return f"/points/{quote(run)}/colours?{urlencode(words)}"

    @classmethod
    def read(cls, words: Any) -> Look:
        """Return the look that an address asks for.

        Raises
        ------
        InputError
            If the lasso is no list of pairs of numbers.
        """
        try:
            parts = [float(part) for part in words.get("lasso", "").split(",")[: 2 * MOST_VERTICES] if part]
        except ValueError:
            raise InputError("this selection is no list of numbers") from None
        corners = tuple(zip(parts[::2], parts[1::2], strict=False))
        return cls(
            by=words.get("by", "gc"), hide=words.get("hide") == "1", pattern=words.get("find", ""), lasso=corners,
            lasso_run=words.get("of", ""), own=words.get("own", ""), column=words.get("column", ""),
            mode="dark" if words.get("mode") == "dark" else "light",
        )


def embed_folder(run: str) -> Path:
    """Return the folder of a finished embed run of this workspace.

    Raises
    ------
    InputError
        If it is none: outside the workspace, of another command, or not finished.
    """
    runs = workspace().runs.resolve()
    folder = (runs / run).resolve()
    if not folder.is_relative_to(runs) or not 1 <= len(folder.relative_to(runs).parts) <= 2:
        raise InputError("there is no such map")
    state = read_state(folder)
    if state.command != "embed" or state.state != "done":
        raise InputError("there is no such map")
    return folder


def cloud_of(folder: Path) -> KmerCloud:
    """Return the points of a run folder; read once and shared, so nobody may change them.

    Raises
    ------
    InputError
        If they are missing or cannot be read.
    """
    path = folder / "points.parquet"
    try:
        key = (str(path), path.stat().st_mtime_ns)
    except OSError:
        raise InputError("this result is missing", path=path, advice="Run the step again.") from None
    with _lock:
        if key not in _held:
            _held[key] = KmerCloud.load(folder)
            while len(_held) > MOST_HELD:
                _held.popitem(last=False)
        _held.move_to_end(key)
        return _held[key]


def own_column(cloud: KmerCloud, folder: Path, own: str, column: str) -> pd.Series:
    """Return a column of a user's table laid over the k-mers of a map.

    Raises
    ------
    InputError
        If the file is not offered, cannot be read, or holds no k-mers of this length.
    """
    path = Path(own)
    if path not in workspace().files("table"):
        raise InputError("this table is not among the files offered", path=path)
    key = (str(folder), own, path.stat().st_mtime_ns, column)
    with _lock:
        if key in _columns:
            return _columns[key]
    values = cloud.column(read_any_table(path), column)
    with _lock:
        _columns[key] = values
        while len(_columns) > MOST_HELD:
            _columns.popitem(last=False)
    return values


def among(cloud: KmerCloud, look: Look) -> np.ndarray:
    """Return which k-mers can be chosen: (n,) bool."""
    return cloud.seen if look.hide else np.ones(len(cloud), bool)


def chosen(cloud: KmerCloud, run: str, look: Look) -> np.ndarray:
    """Return which k-mers a look chooses: (n,) bool; a pattern within a lasso is both."""
    mask = among(cloud, look).copy()
    if look.lasso:
        corners = [list(corner) for corner in look.lasso]
        if look.lasso_run in ("", run):
            mask &= cloud.inside(corners)
        else:
            other = cloud_of(embed_folder(look.lasso_run))
            mask &= cloud.same_kmers(other, other.inside(corners))
    if look.pattern:
        mask &= matching(cloud.bases, look.pattern)
    return mask


def coloured(cloud: KmerCloud, folder: Path, look: Look, *, learnt: bool) -> Colouring:
    """Return the colours of a map's k-mers.

    Parameters
    ----------
    cloud, folder
        The map.
    look
        What it is coloured by.
    learnt
        Whether a k-mer never seen has no vector worth the name; then it has no colour either.
    """
    known = cloud.seen if learnt else np.ones(len(cloud), bool)
    blank = "never seen in training"
    if look.by == OWN:
        values = own_column(cloud, folder, look.own, look.column)
        kind, known, blank = "sequential", np.ones(len(cloud), bool), "not in your table"
        if not pd.api.types.is_numeric_dtype(values):
            kind = "classes"
        elif (values.dropna() < 0).any() and (values.dropna() > 0).any():
            kind = "diverging"
    else:
        values, kind = cloud.points[look.by], KINDS[look.by]
        if look.by == "cluster":
            values = values + 1
        if look.by == "importance":
            blank = "not attributed"
    return colouring(values, known, kind=kind, mode=look.mode, blank=blank)


def levels(cloud: KmerCloud, folder: Path, run: str, look: Look, *, learnt: bool) -> bytes:
    """Return one byte a k-mer: its place in the palette, or in the palette washed out if it is not chosen."""
    colours = coloured(cloud, folder, look, learnt=learnt)
    numbers = colours.levels.copy()
    if look.selects:
        numbers[~chosen(cloud, run, look)] += np.uint8(len(colours.palette))
    if look.hide:
        numbers[~cloud.seen] = 255
    return numbers.tobytes()


def without_selection(look: Look) -> Look:
    """Return a look that chooses nothing."""
    return replace(look, pattern="", lasso=(), lasso_run="")


def told(cloud: KmerCloud, row: int, own: pd.Series | None = None) -> list[tuple[str, str]]:
    """Return what is shown of a k-mer under the mouse: names and values."""
    if not 0 <= row < len(cloud):
        raise InputError("there is no such k-mer on this map")
    point = cloud.points.iloc[row]
    said = [("GC", f"{point['gc']:.0%}"), ("CpG sites", str(point["cpg"]))]
    said.append(("In training", f"{point['frequency']:,} times" if point["seen"] == 1 else "never seen"))
    if pd.notna(point.get("importance")):
        said.append(("Attribution", f"{point['importance']:+.3g}"))
    if point["cluster"] >= 0:
        said.append(("Cluster", str(point["cluster"] + 1)))
    if own is not None and pd.notna(own.iloc[row]):
        value = own.iloc[row]
        said.append(("Your column", f"{value:.4g}" if isinstance(value, float) else str(value)[:60]))
    return [("", str(point["kmer"])), *said]


