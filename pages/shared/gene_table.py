"""The gene table: search with the exact symbol first, filters, columns, one row to look at."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import show
from pages.shared.state import GENE

NAMES = {
    "symbol": "Gene", "contig": "Chromosome", "start": "Start", "end": "End", "probability": "P(introgressed)",
    "low": "Low", "high": "High", "calibrated": "Calibrated P", "predicted": "Called", "q_value": "q (FDR)",
    "other_probability": "P, other run", "other_predicted": "Called, other run", "published": "P, published",
    "published_called": "Called, published", "maps": "Maps", "any_map": "In any map", "half_maps": "In half the maps",
    "desert": "In deserts", "nearest_segment": "To nearest segment (bp)", "brain_enriched": "Brain-enriched",
    "traits": "Traits", "windows": "Windows", "trained_on": "Trained on", "strand": "Strand", "gene_id": "Ensembl id",
    "rows": "Table rows", "other_places": "Other places", "p_value": "p", "reason": "Not scored because",
}
USUAL = (
    "symbol", "contig", "start", "end", "probability", "predicted", "q_value", "other_probability", "other_predicted",
    "published", "maps", "half_maps", "desert", "brain_enriched", "traits", "trained_on", "reason",
)
HELP = {
    "trained_on": "Share of the gene that the model was trained on: there the score is memory",
    "q_value": "Expected share of false calls if all genes up to this one are called",
    "calibrated": "P corrected on held-out loci, both classes weighing the same",
    "half_maps": "Share of the gene where at least half of the maps agree",
    "maps": "Published maps that touch the gene",
    "nearest_segment": "0 if a map's segment touches the gene",
}
_ASKED = "gene-in-address"
_PERCENT = ("trained_on", "any_map", "half_maps", "desert")
_PROBABILITY = ("probability", "calibrated", "published", "other_probability")


def search(genes: pd.DataFrame, query: str) -> pd.DataFrame:
    """Return the genes whose symbol holds the query: exact match first, then those that begin with it.

    Without a query all of them, the highest probability first.
    """
    wanted = query.strip().casefold()
    if not wanted:
        return genes.sort_values("probability", ascending=False, kind="stable")
    symbols = genes["symbol"].str.casefold()
    rank = (symbols != wanted).astype(int) + (~symbols.str.startswith(wanted)).astype(int)
    held = symbols.str.contains(wanted, regex=False)
    return genes[held].assign(rank=rank[held]).sort_values(["rank", "symbol"]).drop(columns="rank")


def filtered(genes: pd.DataFrame, summary: dict[str, Any]) -> tuple[pd.DataFrame, str]:
    """Offer the filters and return what they leave, with a text that names the choice."""
    with st.popover("Filters", icon=":material/filter_alt:"):
        called = st.segmented_control(
            "Called", ["introgressed", "not introgressed", "not scored"], selection_mode="multi", key="genes-f-called"
        )
        maps = st.slider("Maps that touch it, at least", 0, max(1, summary.get("maps", 1)), 0, key="genes-f-maps")
        contigs = st.multiselect("Chromosomes", list(dict.fromkeys(genes["contig"])), key="genes-f-contigs",
                                 placeholder="all")
        boxes = {
            "unseen": ("Not trained on", "trained_on" in genes), "desert": ("In a desert", "desert" in genes),
            "brain": ("Brain-enriched", "brain_enriched" in genes), "traits": ("With traits", "traits" in genes),
        }
        ticked = [
            name for name, (label, there) in boxes.items() if there and st.checkbox(label, key=f"genes-f-{name}")
        ]
    kept = pd.Series(True, index=genes.index)
    if called:
        kept &= genes["predicted"].isin(called)
    if maps:
        kept &= genes["maps"] >= maps
    if contigs:
        kept &= genes["contig"].isin(contigs)
    conditions = {
        "unseen": lambda: genes["trained_on"].fillna(0) == 0, "desert": lambda: genes["desert"] > 0,
        "brain": lambda: genes["brain_enriched"] == True,  # noqa: E712 - blanks are genes without expression
        "traits": lambda: genes["traits"] > 0,
    }
    for name in ticked:
        kept &= conditions[name]()
    return (genes if kept.all() else genes[kept]), repr((called, maps, contigs, ticked))


def columns_of(genes: pd.DataFrame) -> list[str]:
    """Offer the columns that hold something, and return the chosen ones."""
    there = [name for name in (*NAMES, *genes.columns) if name in genes and genes[name].notna().any()]
    there = [name for name in dict.fromkeys(there) if not (genes[name].dtype == object and (genes[name] == "").all())]
    usual = [name for name in there if name in USUAL or name.startswith("own: ")]
    with st.popover("Columns", icon=":material/view_column:"):
        chosen = st.multiselect(
            "Columns", there, usual, format_func=lambda name: NAMES.get(name, name), key="genes-columns"
        )
    return ["symbol", *(name for name in there if name in chosen and name != "symbol")]


def gene_table(found: pd.DataFrame, columns: list[str], query: str, key: str) -> str | None:
    """Show the table and return the gene to look at: the selected row, else an exact match of the query."""
    if found.empty:
        asked = f"has {show.safe_label(query)} in its symbol" if query.strip() else "passes these filters"
        st.info(f"No gene of this table {asked}.", icon=":material/search_off:")
        return None
    shown = found[columns]
    if "start" in columns:
        shown = shown.assign(start=shown["start"] + 1)  # People read positions from 1.
    # Query and filters are part of the key: a selection is a row number, and must not outlive its rows.
    event = st.dataframe(
        shown, placeholder="", hide_index=True, key=f"genes-table-{key}", on_select="rerun",
        selection_mode="single-row", height=min(36 * (len(found) + 1) + 3, 400),
        column_config={name: _config(name) for name in columns},
    )
    rows = event.selection.rows
    if rows and rows[0] < len(found):
        return str(found.iloc[rows[0]]["symbol"])
    exact = found["symbol"].str.casefold() == query.strip().casefold()
    return str(found[exact].iloc[0]["symbol"]) if exact.any() else None


def _config(name: str) -> Any:
    label, text = NAMES.get(name, name.removeprefix("own: ")), HELP.get(name)
    if name == "symbol":
        return st.column_config.TextColumn(label, pinned=True)
    if name in _PROBABILITY:
        return st.column_config.ProgressColumn(label, min_value=0, max_value=1, format="%.3f", help=text)
    if name in _PERCENT:
        return st.column_config.NumberColumn(label, format="percent", help=text)
    if name in ("low", "high", "q_value", "p_value"):
        return st.column_config.NumberColumn(label, format="%.3f", help=text)
    if name in ("start", "end", "nearest_segment"):
        return st.column_config.NumberColumn(label, format="localized", help=text)
    if name == "brain_enriched":
        return st.column_config.CheckboxColumn(label)
    return st.column_config.Column(label, help=text)


def query_box() -> str:
    """Show the search box, filled with what the page's address asks for."""
    asked = st.query_params.get(GENE, "")
    # The page is new, or its address was changed by a link or the back button; `keep_in_address` notes its own changes.
    if GENE not in st.session_state or asked != st.session_state.get(_ASKED, ""):
        st.session_state[GENE] = asked
        st.session_state[_ASKED] = asked
    return st.text_input(
        "Gene", key=GENE, type="search", placeholder="ANK3", live=True,
        help="Symbol or part of it. An exact match comes first.",
    )


def keep_in_address(query: str, found: bool) -> None:
    """Have the page's address name the gene searched for, for links and for the back button.

    Parameters
    ----------
    query
        What is in the search box.
    found
        Whether it is a gene's symbol. What is typed on the way there makes no steps for the back button.
    """
    named = query.strip() if found else ""
    if named == st.query_params.get(GENE, ""):
        return
    if named:
        st.query_params[GENE] = named
    else:
        st.query_params.pop(GENE, None)
    st.session_state[_ASKED] = named
