"""A gene on one sheet of paper, as a PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.evidence import locus_figure, view_of
from neandl_core.figures.genes import evidence_figure, gene_track_figure
from neandl_core.figures.style import mark_simulated
from neandl_core.intervals import Locus, format_locus
from pages.shared import cached, show


def sheet_button(
    folder: Path, gene: pd.Series, locus: Locus, summary: dict[str, Any],
    numbers: dict[str, tuple[str, str] | str], models: list[tuple],
) -> None:
    """Offer the gene's sheet; it is laid out when it is asked for."""
    symbol = str(gene["symbol"])

    def make() -> bytes:
        # matplotlib is imported here, so that pages open without it.
        from neandl_core.figures.sheet import sheet_bytes

        drawn = [
            (caption, mark_simulated(figure) if summary["simulated"] else figure)
            for caption, figure in figures(folder, gene, locus, summary)
        ]
        values = {name: value if isinstance(value, str) else value[0] for name, value in numbers.items()}
        return sheet_bytes(
            show.figure_label(symbol), f"{format_locus(locus)} · {len(locus):,} bases", values, table(models), drawn,
            notes(summary),
        )

    st.download_button(
        "Print sheet", make, file_name=f"{'simulated-' if summary['simulated'] else ''}gene-{symbol}.pdf",
        mime="application/pdf", on_click="ignore", key="gene-sheet", icon=":material/print:",
        help="One page, PDF.",
    )


def figures(folder: Path, gene: pd.Series, locus: Locus, summary: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return captions and figures: windows, the locus with maps and exons, how much each list covers."""
    symbol, found = str(gene["symbol"]), []
    if gene["windows"] > 0:
        own = cached.gene_rows(folder / "track.parquet", symbol)
        found.append(("Probability of each window", gene_track_figure(
            own, summary["threshold"], summary["window"], locus.contig, span=view_of((locus.start, locus.end)),
        )))
    evidence = cached.gene_rows(folder / "evidence.parquet", symbol)
    if evidence.empty:
        return found
    exons = cached.gene_rows(folder / "exons.parquet", symbol)
    segments = cached.gene_rows(folder / "segments.parquet", symbol)
    shown = evidence[(evidence["kind"] == "map") | evidence["map"].str.contains("desert", case=False)]
    lists = list(
        shown.sort_values(["kind", "map"], ascending=[False, True])[["map", "kind"]].itertuples(index=False, name=None)
    )
    found.append(("Exons, published maps and deserts", locus_figure(
        (locus.start, locus.end), locus.contig, exons, segments, lists
    )))
    found.append(("How much of the gene each list covers", evidence_figure(evidence, symbol)))
    return found


def table(models: list[tuple]) -> list[list[str]]:
    """Return what the models say, as text."""
    rows = [["Model", "P", "Called", "What it is worth"]]
    for name, probability, called, worth in models:
        shown = "" if probability is None or pd.isna(probability) else f"{probability:.3f}"
        rows.append([str(name), shown, str(called), str(worth)])
    return rows


def notes(summary: dict[str, Any]) -> list[str]:
    """Return how the numbers came about."""
    said = [f"How: {summary['combination']}.", f"Called: P of at least {summary['threshold']}."]
    if summary.get("fdr"):
        said[1] = f"Called: at a false-discovery rate of {summary['fdr']:.0%}."
    sentence = (summary["model"].get("verdict") or {}).get("sentence")
    return [*said, *([f"The model: {sentence}"] if sentence else [])]
