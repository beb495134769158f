"""Genes: every gene of a list with its probability, and one gene with all that speaks for or against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import GeneSettings
from neandl_core.figures.genes import evidence_figure, gene_histogram, gene_track_figure
from neandl_core.intervals import Locus, format_locus
from neandl_core.runs import RunState, list_runs, read_summary
from neandl_core.schemas import GENES
from pages.shared import cached, runs_view, show
from pages.shared.picker import pick
from pages.shared.state import GENE, workspace

SHOWN = {
    "symbol": "Gene", "contig": "Chromosome", "start": "Start", "end": "End", "probability": "P(introgressed)",
    "low": "Low", "high": "High", "predicted": "Called", "windows": "Windows", "trained_on": "Trained on",
    "maps": "Maps", "rows": "List rows", "reason": "Not scored because",
}


def main() -> None:
    show.title("Genes", "Which genes look Neanderthal, and what speaks for it besides the score?")
    at_work = runs_view.active("genes")
    folder = runs_view.run_picker("genes", "Gene table", "genes-run")
    with st.expander("Score genes", expanded=folder is None and not at_work, icon=":material/add:"):
        form()
    if folder is not None:
        result(folder, read_summary(folder) or {})
    elif st.query_params.get(GENE):
        st.info(
            f"{show.safe_label(st.query_params[GENE])} will be shown here once a gene table is made.",
            icon=":material/info:",
        )


def form() -> None:
    models = {folder: state for folder, state in list_runs(workspace().runs, "train", "done") if on_windows(folder)}
    if not models:
        show.empty_state(
            "No model yet", "Genes are scored by a model trained on windows. Train one first.", "training",
            "Train a model",
        )
        return
    left, right = st.columns(2, gap="medium")
    with left:
        model = st.selectbox(
            "Model", list(models), key="genes-model", format_func=lambda folder: model_label(folder, models[folder])
        )
        genes = pick("genes", "Gene list", "genes-list", help_text='Rows of "chr:start-end SYMBOL".')
    with right:
        genome = pick("genome", "Genome", "genes-genome", help_text="The genome that the gene positions belong to.")
        maps = st.selectbox(
            "Published maps", [None, *map_folders()], key="genes-maps",
            format_func=lambda path: "none" if path is None else f"{path.name} · {len(bed_files(path))} BED files",
            help="A folder of BED files in the data folders, each one map; how many touch a gene is evidence that "
            "does not come from this model.",
        )
    threshold = st.slider("Call a gene introgressed from P =", 0.05, 0.95, 0.5, 0.05, key="genes-threshold")
    title = st.text_input("Name", "Genes", key="genes-title")
    if genes is not None and genome is not None and st.button(
        "Score genes", type="primary", icon=":material/play_arrow:"
    ):
        with show.plain_errors():
            settings = GeneSettings.make(threshold=float(threshold))
            arguments = [
                str(model), "--genes", str(genes), "--reference", str(genome), "--threshold", str(settings.threshold)
            ]
            runs_view.start("genes", arguments if maps is None else [*arguments, "--maps", str(maps)], title)


def on_windows(folder: Path) -> bool:
    return (read_summary(folder) or {}).get("dataset", {}).get("kind") == "windows"


def model_label(folder: Path, state: RunState) -> str:
    summary = read_summary(folder) or {}
    return f"{state.title or folder.name} · AUC {summary['test']['auc']:.2f}, {summary['dataset']['split']} split"


def map_folders() -> list[Path]:
    """Return the folders of the data folders that hold at least two BED files."""
    folders = {path.parent for path in workspace().files("intervals")}
    return sorted(folder for folder in folders if len(bed_files(folder)) > 1)


def bed_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith((".bed", ".bed.gz", ".bg", ".bg.gz"))]


def result(folder: Path, summary: dict[str, Any]) -> None:
    genes = cached.contract_table(folder / "genes.tsv", GENES, "genes")
    if summary["simulated"]:
        show.simulated_badge()
    believe(summary)
    show.cards({
        "Genes": (f"{summary['genes']:,}", summary["merge_rule"]),
        "Scored": (f"{summary['scored']:,}", summary["combination"]),
        "Called introgressed": (f"{summary['predicted']:,}", f"P of at least {summary['threshold']}"),
        "Not scored": (f"{sum(summary['skipped'].values()):,}", "Reasons are in the table and below"),
    })
    query = st.text_input(
        "Gene", key=GENE, bind="query-params", type="search", placeholder="ANK3", live=True,
        help="Symbol or part of it. An exact match comes first.",
    )
    found = search(genes, query)
    chosen = gene_table(found, query)
    if chosen is not None:
        panel(folder, genes[genes["symbol"] == chosen].iloc[0], summary)
    with st.expander("All genes at once", expanded=chosen is None, icon=":material/bar_chart:"):
        show.figure(
            gene_histogram(genes, summary["threshold"], chosen), genes, "genes", "histogram",
            "Every scored gene; the dotted line is the threshold. The download holds the whole table.",
            simulated=summary["simulated"],
        )
    with st.expander("Notes and what was not scored", icon=":material/list:"):
        for reason, count in summary["skipped"].items():
            st.markdown(f"- {count:,} genes: {show.safe_label(reason, 200)}")
        for note in summary["notes"]:
            st.markdown(f"- {show.safe_label(note, 400)}")


def believe(summary: dict[str, Any]) -> None:
    """Say first whether the model behind the table can be believed."""
    verdict = summary["model"].get("verdict") or {}
    if not verdict:
        return
    text = f"The model behind this table: {show.safe_label(verdict['sentence'], 500)}"
    if verdict["signal"] == "clear":
        st.success(text, icon=":material/check_circle:")
    elif verdict["signal"] == "weak":
        st.warning(f"{text} Read the probabilities below with that in mind.", icon=":material/help:")
    else:
        st.error(f"{text} So the probabilities below are no evidence; the maps are.", icon=":material/block:")


def search(genes: pd.DataFrame, query: str) -> pd.DataFrame:
    """Return the genes whose symbol holds the query: exact match first, then those that begin with it."""
    wanted = query.strip().casefold()
    if not wanted:
        return genes
    symbols = genes["symbol"].str.casefold()
    rank = (symbols != wanted).astype(int) + (~symbols.str.startswith(wanted)).astype(int)
    held = symbols.str.contains(wanted, regex=False)
    return genes[held].assign(rank=rank[held]).sort_values(["rank", "symbol"]).drop(columns="rank")


def gene_table(found: pd.DataFrame, query: str) -> str | None:
    """Show the table and return the gene to look at: the selected row, else an exact match of the query."""
    if found.empty:
        st.info(f"No gene of this list has {show.safe_label(query)} in its symbol.", icon=":material/search_off:")
        return None
    columns = [name for name in SHOWN if name in found.columns]
    # The query is part of the key: a selection is a row number, and must not outlive its rows.
    event = st.dataframe(
        # People read positions from 1.
        found[columns].assign(start=found["start"] + 1), placeholder="", hide_index=True,
        key=f"genes-table-{query}", on_select="rerun", selection_mode="single-row",
        height=min(36 * (len(found) + 1) + 3, 400),
        column_config={
            "symbol": st.column_config.TextColumn(SHOWN["symbol"], pinned=True),
            "probability": st.column_config.ProgressColumn(
                SHOWN["probability"], min_value=0, max_value=1, format="%.3f"
            ),
            **{name: st.column_config.NumberColumn(SHOWN[name], format="%.3f") for name in ("low", "high")},
            "trained_on": st.column_config.NumberColumn(
                SHOWN["trained_on"], format="percent", help="Share of the gene that the model was trained on"
            ),
            **{name: st.column_config.NumberColumn(SHOWN[name], format="localized") for name in ("start", "end")},
            **{name: SHOWN[name] for name in ("contig", "predicted", "windows", "maps", "rows", "reason")},
        },
    )
    rows = event.selection.rows
    if rows and rows[0] < len(found):
        return str(found.iloc[rows[0]]["symbol"])
    exact = found["symbol"].str.casefold() == query.strip().casefold()
    return str(found[exact].iloc[0]["symbol"]) if exact.any() else None


def panel(folder: Path, gene: pd.Series, summary: dict[str, Any]) -> None:
    """Show one gene: where it is, its score or why there is none, the track, the maps."""
    with st.container(border=True):
        locus = Locus(str(gene["contig"]), int(gene["start"]), int(gene["end"]))
        st.subheader(show.safe_label(gene["symbol"]), anchor=False)
        st.caption(f"{show.safe_label(format_locus(locus))} · {len(locus):,} bases · {gene['rows']} list rows")
        scored = gene["windows"] > 0
        evidence = cached.table(folder / "evidence.tsv")
        maps = evidence[evidence["symbol"] == gene["symbol"]]
        numbers: dict[str, tuple[str, str] | str] = {
            "P(introgressed)": (f"{gene['probability']:.3f}" if scored else "not scored", str(gene["reason"]) or (
                f"95 % interval {gene['low']:.3f} to {gene['high']:.3f}" if pd.notna(gene["low"]) else "one block only"
            )),
            "Called": str(gene["predicted"]),
            "Windows": f"{gene['windows']:,}",
        }
        if len(maps):
            published = maps[maps["kind"] == "map"]
            numbers["Maps that touch it"] = f"{(published['share'] > 0).sum()} of {len(published)}"
        if scored and pd.notna(gene["trained_on"]):
            numbers["Trained on"] = (
                f"{gene['trained_on']:.0%}", "Share of the gene that was training sequence: there the score is memory"
            )
        show.cards(numbers)
        if not scored:
            st.info(
                f"There is no score for {show.safe_label(gene['symbol'])}: {show.safe_label(gene['reason'], 200)}.",
                icon=":material/info:",
            )
        if scored:
            track = cached.table(folder / "track.parquet")
            own = track[track["symbol"] == gene["symbol"]]
            show.figure(
                gene_track_figure(
                    own, summary["threshold"], summary["window"], locus.contig, span=(locus.start, locus.end)
                ),
                own, f"gene-{gene['symbol']}", "track", "Each dot is a window; the dotted line is the threshold.",
                simulated=summary["simulated"],
            )
        if len(maps):
            show.figure(
                evidence_figure(maps, str(gene["symbol"])), maps,
                f"maps-{gene['symbol']}", "maps",
                "Share of the gene that each region list covers: for introgression in orange, against it in blue.",
                simulated=summary["simulated"],
            )


main()
