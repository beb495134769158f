"""Contamination: score every read with a trained model, estimate the modern share, and take both sides away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import ClassifySettings
from neandl_core.figures.reads import reliability_figure, score_histogram, sides_figure
from neandl_core.runs import list_runs, read_summary
from neandl_core.schemas import DAMAGE_RATES, SCORES
from pages.shared import cached, runs_view, show
from pages.shared.picker import pick
from pages.shared.state import size_text, workspace

SIDES = ("ancient", "modern")
LARGEST_DOWNLOAD = 200_000_000
"""Bytes up to which a BAM is offered as a download; a larger one is named by its path."""


def main() -> None:
    show.title("Contamination", "How much of my sample is modern?")
    at_work = runs_view.active("classify")
    folder = runs_view.run_picker("classify", "Sample", "classify-run")
    with st.expander("Analyse a sample", expanded=folder is None and not at_work, icon=":material/add:"):
        form()
    if folder is not None:
        result(folder, read_summary(folder) or {})


def models() -> dict[Path, str]:
    """Return the finished models of reads, newest first, with what to call them."""
    found = {}
    for folder, state in list_runs(workspace().runs, "train", "done"):
        summary = read_summary(folder) or {}
        if summary.get("dataset", {}).get("kind") == "reads":
            auc = summary["test"].get("auc")
            score = "" if auc is None else f" · AUC {auc:.2f}"
            found[folder] = f"{state.title or folder.name} · {summary['preset']}{score}"
    return found


def form() -> None:
    offered = models()
    if not offered:
        show.empty_state(
            "No model of reads yet",
            "Reads are told apart by a model that was trained on ancient and on modern reads. Make a dataset with "
            "`python -m neandl_core read-set`, then train a model on it. The demo project has one.",
            "training", "Train a model",
        )
        return
    left, right = st.columns(2, gap="medium")
    with left:
        model = st.selectbox(
            "Model", list(offered), format_func=offered.__getitem__, key="classify-model",
            help="It should have seen reads of the same library type, damage and lengths as this sample's.",
        )
        sample = pick("alignment", "Sample", "classify-file", prefer="mixed", help_text="Read where it lies.")
        if sample is None:
            return
    with right:
        one, two = st.columns(2)
        threshold = one.number_input(
            "Called ancient from P", 0.01, 0.99, 0.5, 0.05, key="classify-threshold",
            help="Sorts the reads into two files. The estimate does not depend on it.",
        )
        quality = two.number_input("Mapping quality from", 0, 254, 0, key="classify-quality",
                                   help="0 keeps every aligned read.")
        genome = pick(
            "genome", "Reference", "classify-genome", optional=True,
            help_text="Only needed for CRAM files and for the damage of reads without MD tags.",
        ) if workspace().files("genome") else None
    title = st.text_input("Name", sample.name, key=f"classify-title-{sample}")
    if st.button("Estimate contamination", type="primary", icon=":material/play_arrow:"):
        with show.plain_errors():
            settings = ClassifySettings.make(threshold=float(threshold), min_mapping_quality=int(quality))
            arguments = [
                str(model), str(sample), "--threshold", str(settings.threshold), "--min-mapping-quality",
                str(settings.min_mapping_quality),
            ]
            if genome is not None:
                arguments += ["--reference", str(genome)]
            runs_view.start("classify", arguments, title)


def result(folder: Path, summary: dict[str, Any]) -> None:
    if summary["simulated"]:
        show.simulated_badge()
    found = summary["contamination"]
    low, high = found["ci"]
    for warning in summary["warnings"]:
        st.warning(show.safe_label(warning, 500), icon=":material/warning:")
    total = summary["reads_scored"]
    show.cards({
        "Modern reads": (f"{found['estimate']:.1%}", "Share of the scored reads that are modern, corrected for the "
                         "model's own errors"),
        "95 % interval": (f"{low:.1%} to {high:.1%}", "Over the loci of this sample and of the model's held-out reads"),
        "Reads scored": (f"{total:,}", f"of {summary['reads_total']:,} in the file; see what was left out below"),
        "Called ancient": (f"{summary['reads']['ancient']:,}", f"P(ancient) of {summary['threshold']:g} and more"),
        "Called modern": (f"{summary['reads']['modern']:,}", "Not the number of modern reads: many ancient reads carry "
                          "no damage and end here"),
    })
    scores = cached.contract_table(folder / "scores.tsv", SCORES, "scores")
    show.figure(
        score_histogram(scores, found["estimate"], low, high), scores, f"scores-{folder.name}", "scores",
        "Grey: reads of this sample by how ancient they look. Lines: the mixture of both classes that explains them "
        "best. Where the dashed line misses the bars, the sample is of another kind than the model's reads.",
        simulated=summary["simulated"],
    )
    rates = {
        side: cached.contract_table(folder / f"{side}_damage_rates.tsv", DAMAGE_RATES, "damage rates")
        for side in SIDES if summary["damage"].get(side)
    }
    if rates:
        single = any(summary["damage"][side]["library"] == "single-stranded" for side in rates)
        table = pd.concat([part.assign(called=side) for side, part in rates.items()], ignore_index=True)
        show.figure(
            sides_figure(
                rates, {side: summary["damage"][side]["reads_used"] for side in rates}, "C>T" if single else "G>A"
            ),
            table, f"sides-{folder.name}", "sides",
            "Damage of both sides. They differ because damage is what they were told apart by: this is no evidence "
            "of age.",
            simulated=summary["simulated"],
        )
    model = summary["model"]
    show.figure(
        reliability_figure(summary["reliability"]["before"], summary["reliability"]["after"], model["held_out"]),
        pd.DataFrame(summary["reliability"]["after"]), "reliability", "reliability",
        f"Does a probability mean what it says? On reads the model never saw; AUC {model['auc']:.2f}, calibration "
        f"error {model['ece_before']:.3f} before and {model['ece_after']:.3f} after.",
        simulated=summary["simulated"],
    )
    files(folder)
    left_out(summary)
    with st.expander("How it was estimated", icon=":material/list:"):
        st.markdown(show.safe_label(found["method"], 900))
        for note in summary["notes"]:
            st.markdown(f"- {show.safe_label(note, 500)}")


def files(folder: Path) -> None:
    """Offer both BAMs with their indexes and the list of reads."""
    st.markdown("**Files**")
    with st.container(horizontal=True):
        for name in ("ancient.bam", "ancient.bam.bai", "modern.bam", "modern.bam.bai", "reads.parquet"):
            path = folder / name
            if path.exists() and path.stat().st_size <= LARGEST_DOWNLOAD:
                st.download_button(
                    f"{name} ({size_text(path.stat().st_size)})", reader(path), file_name=name,
                    mime="application/octet-stream", on_click="ignore", key=f"file-{name}",
                )
    st.caption(f"They lie in {show.safe_label(folder, 300)}; the tag XP of each read is its P(ancient).")


def reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file when its button is pressed."""
    return path.read_bytes


def left_out(summary: dict[str, Any]) -> None:
    """Show what became of every record of the file; the rows add up to the file."""
    fates = {f"called {side}": summary["reads"][side] for side in SIDES} | summary["dropped"]
    table = pd.DataFrame([(fate, count) for fate, count in fates.items() if count], columns=["reads", "count"])
    table["share"] = table["count"] / max(1, summary["reads_total"])
    st.markdown(f"**What became of the {summary['reads_total']:,} reads**")
    st.dataframe(table, hide_index=True, key="classify-left-out", column_config={
        "count": st.column_config.NumberColumn(format="localized"),
        "share": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
    })
    show.table_downloads(table, "reads-called-and-left-out", "classify-left-out-files")


main()
