"""Genes: every gene of a table with its probability, and one gene with all that speaks for or against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.genes import gene_histogram
from neandl_core.runs import read_summary
from neandl_core.schemas import GENES
from pages.shared import cached, runs_view, show
from pages.shared.gene_beside import Beside, beside
from pages.shared.gene_checks import against_maps, believe
from pages.shared.gene_form import form
from pages.shared.gene_panel import panel, rule_text
from pages.shared.gene_table import columns_of, filtered, gene_table, keep_in_address, query_box, search
from pages.shared.state import GENE


def main() -> None:
    show.title("Genes", "Which genes look Neanderthal, and what speaks for it besides the score?")
    at_work = runs_view.active("genes")
    folder = runs_view.run_picker("genes", "Gene table", "genes-run")
    wanted = folder is None and not at_work
    show.folded("Score genes", form, "genes-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})
    elif st.query_params.get(GENE):
        st.info(
            f"{show.safe_label(st.query_params[GENE])} will be shown here once a gene table is made.",
            icon=":material/info:",
        )


def result(folder: Path, summary: dict[str, Any]) -> None:
    genes = cached.shared_table(folder / "genes.tsv", GENES, "genes")
    if summary["simulated"]:
        show.simulated_badge()
    believe(summary)
    headline(summary)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query = query_box()
        more = beside(folder, genes, simulated=summary["simulated"])
        table = genes if more.columns.empty else genes.join(more.columns)
        kept, chosen = filtered(table, summary)
        columns = columns_of(table)
    found = search(kept, query)
    if len(found) < len(table):
        st.caption(f"{len(found):,} of {len(table):,} genes")
    symbol = gene_table(found, columns, query, f"{query}-{chosen}-{folder.name}")
    keep_in_address(query, symbol is not None and symbol.casefold() == query.strip().casefold())
    if symbol is not None:
        panel(folder, genes[genes["symbol"] == symbol].iloc[0], summary, more)
    against_maps(summary)
    show.folded("All genes at once", lambda: show.figure(
        cached.drawn(folder / "summary.json", gene_histogram, genes, summary["threshold"], symbol, also=symbol),
        table, "genes", "histogram",
        "Every scored gene; the dotted line is the threshold. The download holds the whole table.",
        simulated=summary["simulated"],
    ), "genes-histogram", icon=":material/bar_chart:", expanded=symbol is None)
    show.folded(
        "Downloads, notes and what was not scored", lambda: notes(summary, more, found), "genes-notes"
    )


def headline(summary: dict[str, Any]) -> None:
    show.cards({
        "Genes": (f"{summary['genes']:,}", summary["merge_rule"]),
        "Scored": (f"{summary['scored']:,}", summary["combination"]),
        "Called introgressed": (f"{summary['predicted']:,}", rule_text(summary)),
        "Not scored": (f"{sum(summary['skipped'].values()):,}", "Reasons are in the table and below"),
    })


def notes(summary: dict[str, Any], more: Beside, found: pd.DataFrame) -> None:
    st.caption(f"The {len(found):,} genes that the search and the filters leave, all columns:")
    show.table_downloads(found, "genes-selection", "genes-selection")
    for reason, count in summary["skipped"].items():
        st.markdown(f"- {count:,} genes: {show.safe_label(reason, 200)}")
    for note in (*summary["notes"], *more.notes):
        st.markdown(f"- {show.safe_label(note, 400)}")


main()
