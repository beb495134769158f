"""The form that scores genes: model, gene table, genome, maps, published predictions, and how a gene is called."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.cluster import scheduler_address
from neandl_core.config import GeneSettings
from neandl_core.runs import RunState, list_runs, read_summary
from neandl_core.slots import cpu_slots
from neandl_core.uploads import shown_name
from pages.shared import runs_view, show
from pages.shared.picker import pick, pick_maps
from pages.shared.state import workspace

RULES = {"threshold": "Its probability", "fdr": "A false-discovery rate"}


@st.fragment
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
        genes = pick(
            "genes", "Gene table", "genes-list", prefer="gene",
            help_text="A list of chr:start-end SYMBOL, GTF, GFF3, refGene, parquet or a table with a header.",
        )
        published = st.selectbox(
            "Published predictions", [None, *workspace().files("genes")], key="genes-published",
            format_func=lambda path: "none" if path is None else shown_name(path),
            help="Locus, symbol, call and two probabilities a row: set beside this model's.",
        )
    with right:
        genome = pick("genome", "Genome", "genes-genome", help_text="The genome that the gene positions belong to.")
        maps = pick_maps(
            "genes-maps", "A folder of BED files in the data folders, each one map; how many touch a gene is evidence "
            "that does not come from this model.",
        )
        rule = st.radio("Call a gene introgressed by", list(RULES), format_func=RULES.__getitem__, key="genes-rule",
                        horizontal=True)
        if rule == "threshold":
            limit = st.slider("From P =", 0.05, 0.95, 0.5, 0.05, key="genes-threshold")
        else:
            limit = st.slider(
                "False discoveries among the called genes, at most", 0.01, 0.5, 0.1, 0.01, key="genes-fdr",
                help="Each gene is compared with held-out depleted sequence of the same length (Benjamini-Hochberg).",
            )
    apart = side_by_side()
    title = st.text_input("Name", "Genes", key="genes-title")
    if genes is not None and genome is not None and st.button(
        "Score genes", type="primary", icon=":material/play_arrow:"
    ):
        with show.plain_errors():
            settings = GeneSettings.make(**{rule: float(limit)})
            arguments = [str(model), "--genes", str(genes), "--reference", str(genome)]
            arguments += ["--threshold", str(settings.threshold)] if settings.fdr is None else [
                "--fdr", str(settings.fdr)
            ]
            for name, path in (("--maps", maps), ("--published", published)):
                arguments += [] if path is None else [name, str(path)]
            runs_view.start("genes", [*arguments, "--by-chromosome"] if apart else arguments, title)


def side_by_side() -> bool:
    """Offer to divide the work by chromosome, where there is more than one place to do it."""
    scheduler = scheduler_address(workspace().queue)
    if not scheduler and cpu_slots() < 2:
        return False
    where = "on the machines of the cluster" if scheduler else f"in {cpu_slots()} runs at a time"
    return st.toggle(
        "Chromosomes side by side", bool(scheduler), key="genes-apart",
        help=f"Done {where}; the scores are the same. Worth it for a whole genome.",
    )


def on_windows(folder: Path) -> bool:
    return (read_summary(folder) or {}).get("dataset", {}).get("kind") == "windows"


def model_label(folder: Path, state: RunState) -> str:
    summary = read_summary(folder) or {}
    return f"{state.title or folder.name} · AUC {summary['test']['auc']:.2f}, {summary['dataset']['split']} split"
