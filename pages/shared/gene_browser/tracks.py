"""What a gene run knows of a stretch of a chromosome, as igv.js wants it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.errors import InputError
from neandl_core.figures.style import BLUE, FAINT, VERMILION
from neandl_core.intervals import bare_contig
from neandl_core.runs import list_runs, read_state, read_summary
from neandl_core.schemas import GENES, read_table
from pages.shared.state import workspace

MOST_FEATURES = 4_000
BEYOND = 1_000_000
"""Bases that a chromosome of unknown length is taken to go on beyond its last gene."""


@dataclass(frozen=True)
class GeneTables:
    """The tables of one gene run; shared, so nobody may change them.

    Attributes
    ----------
    genes, track, segments, exons
        As `genes.GeneResult` has them; `segments` with `contig`.
    window
        Bases per window.
    """

    genes: pd.DataFrame
    track: pd.DataFrame
    segments: pd.DataFrame
    exons: pd.DataFrame
    window: int


def finished(run: str, command: str) -> Path:
    """Return the folder of a finished run of this workspace.

    Raises
    ------
    InputError
        If it is outside the workspace, of another command, or not finished.
    """
    runs = workspace().runs.resolve()
    folder = (runs / run).resolve()
    if not folder.is_relative_to(runs) or not 1 <= len(folder.relative_to(runs).parts) <= 2:
        raise InputError("there is no such run")
    state = read_state(folder)
    if state.command != command or state.state != "done":
        raise InputError("there is no such run")
    return folder


def tables_of(folder: Path) -> GeneTables:
    """Return a gene run's tables, read once.

    Raises
    ------
    InputError
        If the gene table is missing or breaks its contract.
    """
    path = folder / "genes.tsv"
    if not path.exists():
        raise InputError("this result is missing", path=path, advice="Run the step again.")
    return _tables(folder, path.stat().st_mtime_ns)


@lru_cache(maxsize=3)
def _tables(folder: Path, changed: int) -> GeneTables:
    genes = read_table(folder / "genes.tsv", GENES, "genes")
    empty = {"segments": ["symbol", "map", "kind", "start", "end"], "exons": ["symbol", "contig", "start", "end"]}
    found = {
        name: pd.read_parquet(folder / f"{name}.parquet") if (folder / f"{name}.parquet").exists()
        else pd.DataFrame(columns=columns) for name, columns in empty.items()
    }
    contigs = genes.drop_duplicates("symbol").set_index("symbol")["contig"]
    segments = found["segments"].assign(contig=found["segments"]["symbol"].map(contigs))
    segments = segments.drop_duplicates(["contig", "map", "start", "end"])
    track = pd.read_parquet(folder / "track.parquet").sort_values(["contig", "start"])
    track = track.drop_duplicates(["contig", "start"])
    return GeneTables(genes, track, segments, found["exons"], int((read_summary(folder) or {})["window"]))


def chromosome_sizes(tables: GeneTables) -> str:
    """Return names and lengths of the chromosomes, a line each; the lengths are guessed from the last gene."""
    ends = tables.genes.groupby("contig", sort=False)["end"].max() + BEYOND
    return "".join(f"{contig}\t{end}\n" for contig, end in ends.items())


def features(tables: GeneTables, track: str, contig: str, start: int, end: int) -> list[dict[str, Any]]:
    """Return what lies in a stretch.

    Parameters
    ----------
    tables
        From `tables_of`.
    track
        ``probability``, ``windows``, ``genes``, ``maps`` or ``deserts``.
    contig, start, end
        The stretch, 0-based, half-open; the chromosome with or without ``chr``.

    Raises
    ------
    InputError
        If there is no such track.
    """
    if track in ("probability", "windows"):
        return _windows(tables, track, contig, start, end)
    if track == "genes":
        return _genes(tables, contig, start, end)
    if track in ("maps", "deserts"):
        table = tables.segments
        desert = (table["kind"] == "depleted") | table["map"].str.contains("desert", case=False)
        here = _within(table[desert == (track == "deserts")], contig, start, end).head(MOST_FEATURES)
        return [
            {"chr": contig, "start": int(row.start), "end": int(row.end), "name": str(row.map)}
            for row in here.itertuples()
        ]
    raise InputError(f"there is no track {track}")


def _within(table: pd.DataFrame, contig: str, start: int, end: int) -> pd.DataFrame:
    same = table["contig"].map(bare_contig) == bare_contig(contig) if len(table) else pd.Series([], dtype=bool)
    here = table[same]
    return here[(here["start"] < end) & (here["end"] > start)]


def _windows(tables: GeneTables, track: str, contig: str, start: int, end: int) -> list[dict[str, Any]]:
    names = {name for name in tables.track["contig"].unique() if bare_contig(name) == bare_contig(contig)}
    here = tables.track[tables.track["contig"].isin(names)]
    here = here[(here["start"] < end) & (here["start"] + tables.window > start)]
    starts, values = here["start"].to_numpy(), here["probability"].to_numpy(float)
    ends = starts + tables.window
    if track == "windows":
        shown = zip(starts[:MOST_FEATURES], ends[:MOST_FEATURES], values[:MOST_FEATURES], strict=True)
        return [
            {"chr": contig, "start": int(low), "end": int(high), "name": f"P {value:.2f}",
             "color": VERMILION if value >= 0.5 else BLUE if value < 0.25 else FAINT}
            for low, high, value in shown
        ]
    if len(starts) > MOST_FEATURES:
        # Neighbours are averaged, so that a whole chromosome stays a few thousand bars.
        step = -(-len(starts) // MOST_FEATURES)
        groups = np.arange(0, len(starts), step)
        values = np.add.reduceat(values, groups) / np.diff([*groups, len(starts)])
        starts, ends = starts[groups], ends[np.minimum(groups + step, len(ends)) - 1]
    return [
        {"chr": contig, "start": int(low), "end": int(high), "value": round(float(value), 4)}
        for low, high, value in zip(starts, ends, values, strict=True)
    ]


def _genes(tables: GeneTables, contig: str, start: int, end: int) -> list[dict[str, Any]]:
    here = _within(tables.genes, contig, start, end).head(MOST_FEATURES)
    exons = tables.exons[tables.exons["symbol"].isin(set(here["symbol"]))]
    of = {symbol: own[["start", "end"]].astype(int).to_dict("records") for symbol, own in exons.groupby("symbol")}
    found = []
    for row in here.to_dict("records"):
        feature = {
            "chr": contig, "start": int(row["start"]), "end": int(row["end"]), "name": str(row["symbol"]),
            "color": VERMILION if row["predicted"] == "introgressed" else BLUE,
        }
        if isinstance(row.get("strand"), str) and row["strand"] in ("+", "-"):
            feature["strand"] = row["strand"]
        if row["symbol"] in of:
            feature["exons"] = of[row["symbol"]]
        found.append(feature)
    return found


def find(tables: GeneTables, name: str) -> list[dict[str, Any]]:
    """Return the places of a gene, 1-based, as igv's search wants them."""
    here = tables.genes[tables.genes["symbol"].str.casefold() == name.strip().casefold()]
    return [
        {"chromosome": str(row["contig"]), "start": int(row["start"]) + 1, "end": int(row["end"]), "type": "gene"}
        for row in here.head(20).to_dict("records")
    ]


def index_of(path: str) -> tuple[str, dict[str, Any]] | None:
    """Return the finished index run of a file as it is now, and what the run says; None if there is none.

    Parameters
    ----------
    path
        The file.
    """
    try:
        now = Path(path).resolve().stat()
    except OSError:
        return None
    runs = workspace().runs
    for folder, _ in list_runs(runs, "index", "done"):
        summary = read_summary(folder) or {}
        same = summary.get("file") == str(Path(path).resolve())
        if same and (summary.get("size"), summary.get("changed")) == (now.st_size, now.st_mtime_ns):
            return folder.relative_to(runs).as_posix(), summary
    return None
