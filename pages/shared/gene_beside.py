"""What is set beside the genes of a run: another run, expression, traits, a table of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from neandl_core.gene_joins import (
    BRAIN_RULE,
    brain_enriched,
    count_traits,
    join_table,
    read_any_table,
    read_traits,
    tissues,
)
from neandl_core.runs import list_runs, read_summary
from neandl_core.schemas import GENES
from neandl_core.uploads import shown_name
from pages.shared import cached, runs_view, show
from pages.shared.state import workspace

OWN_COLUMNS = 6
"""Columns of a user's table that are offered in the gene table."""


@dataclass
class Beside:
    """Tables indexed as the genes, and what was matched."""

    columns: pd.DataFrame
    expression: pd.DataFrame | None = None
    tissues: list[str] = field(default_factory=list)
    traits: pd.DataFrame | None = None
    own: pd.DataFrame | None = None
    other: pd.DataFrame | None = None
    other_name: str = ""
    other_summary: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def beside(folder: Path, genes: pd.DataFrame, *, simulated: bool) -> Beside:
    """Offer what can be set beside the genes, and return what was chosen, joined."""
    found = Beside(pd.DataFrame(index=genes.index))
    runs = {
        one: state for one, state in list_runs(workspace().runs, "genes", "done") if one != folder
    }
    offered = workspace().files("table")
    # Simulated genes have no expression and no traits.
    gtex, gwas = (None, None) if simulated else ("gtex", "gwas")
    with st.popover("Set beside", icon=":material/join_inner:"):
        other = st.selectbox(
            "Another gene run", [None, *runs], key="genes-other",
            format_func=lambda one: "none" if one is None else runs[one].title or one.name,
            help="For example the forest's beside the BiLSTM's.",
        )
        expression = choose("Expression", offered, "genes-expression", gtex, "Genes in rows, tissues in columns.")
        traits = choose(
            "Traits", offered, "genes-traits", gwas,
            "The GWAS Catalog's file as downloaded, where a variant between two genes counts for neither; or a trait "
            "and its genes a line.",
        )
        own = choose("A table of yours", offered, "genes-own", None, "Any table with a column of symbols or "
                     "Ensembl ids: CSV, TSV, XLSX or parquet in the data folders.")
        if other is not None:
            with show.plain_errors():
                add_run(found, genes, other, runs[other].title or runs_view.run_id(other))
        if expression is not None:
            with show.plain_errors():
                add_expression(found, folder, genes, expression)
        if traits is not None:
            with show.plain_errors():
                found.traits = _traits(str(traits), traits.stat().st_mtime_ns)
                found.columns["traits"] = _trait_counts(
                    str(traits), traits.stat().st_mtime_ns, genes_id(folder), genes["symbol"], found.traits
                )
                having = int((found.columns["traits"] > 0).sum())
                found.notes.append(f"{traits.name}: {having:,} of {len(genes):,} genes have a trait.")
        if own is not None:
            with show.plain_errors():
                add_own(found, folder, genes, own)
        for note in found.notes:
            st.caption(show.safe_label(note, 400))
    return found


def choose(label: str, offered: list[Path], key: str, prefer: str | None, text: str) -> Path | None:
    """Offer tables; one whose name says what it is comes first chosen."""
    likely = [path for path in offered if prefer and prefer in path.name.lower()]
    choices = [None, *likely, *(path for path in offered if path not in likely)]
    return st.selectbox(
        label, choices, 1 if likely else 0, key=key, help=text,
        format_func=lambda path: "none" if path is None else shown_name(path),
    )


def add_run(found: Beside, genes: pd.DataFrame, folder: Path, name: str) -> None:
    table = cached.shared_table(folder / "genes.tsv", GENES, "genes")
    found.other = table.drop_duplicates("symbol").set_index("symbol")
    found.other_name, found.other_summary = name, read_summary(folder) or {}
    found.columns["other_probability"] = genes["symbol"].map(found.other["probability"])
    found.columns["other_predicted"] = genes["symbol"].map(found.other["predicted"])
    both = found.columns["other_probability"].notna() & genes["probability"].notna()
    if both.sum() > 2:
        ranks = genes.loc[both, "probability"].rank().corr(found.columns.loc[both, "other_probability"].rank())
        same = (genes.loc[both, "predicted"] == found.columns.loc[both, "other_predicted"]).mean()
        found.notes.append(
            f"{name}: {both.sum():,} genes scored by both; rank correlation {ranks:.2f}, the same call for {same:.0%}."
        )


def add_expression(found: Beside, folder: Path, genes: pd.DataFrame, path: Path) -> None:
    joined, note = _join(str(path), path.stat().st_mtime_ns, genes_id(folder), genes)
    names = tissues(joined)
    if not names:
        st.caption(f"{show.safe_label(path.name)} holds no column of numbers.")
        return
    found.expression, found.tissues = joined, names
    found.columns["brain_enriched"] = brain_enriched(joined).reindex(genes.index)
    found.notes += [note, f"{int(brain_enriched(joined).sum()):,} are {BRAIN_RULE}."]


def add_own(found: Beside, folder: Path, genes: pd.DataFrame, path: Path) -> None:
    joined, note = _join(str(path), path.stat().st_mtime_ns, genes_id(folder), genes)
    found.own = joined
    found.notes.append(note)
    for name in [name for name in joined.columns if name != "symbol"][:OWN_COLUMNS]:
        found.columns[f"own: {name}"] = joined[name].reindex(genes.index)


def genes_id(folder: Path) -> tuple[str, int]:
    """Name a run's gene table for the caches below, which do not look into it."""
    path = folder / "genes.tsv"
    return str(path), path.stat().st_mtime_ns


@st.cache_data(max_entries=8, show_spinner="Joining tables")
def _join(path: str, changed: int, genes_of: tuple[str, int], _genes: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    keys = [name for name in ("symbol", "gene_id") if name in _genes]
    joined = join_table(_genes[keys], read_any_table(path), Path(path).name)
    return joined.table, joined.note


@st.cache_data(max_entries=8, show_spinner=False)
def _trait_counts(
    path: str, changed: int, genes_of: tuple[str, int], _symbols: pd.Series, _traits: pd.DataFrame
) -> np.ndarray:
    return count_traits(_symbols, _traits)


@st.cache_data(max_entries=4, show_spinner="Reading traits")
def _traits(path: str, changed: int) -> pd.DataFrame:
    return read_traits(path)
