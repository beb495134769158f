"""Step 4: score every read of a sample with a model, and estimate how many are modern."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import ClassifySettings
from neandl_core.figures.reads import reliability_figure, score_histogram, sides_figure
from neandl_core.runs import list_runs, read_summary
from neandl_core.schemas import DAMAGE_RATES, SCORES
from pages.shared import cached, runs_view, show
from pages.shared.decontaminate import steps
from pages.shared.picker import pick
from pages.shared.read_drill import drill
from pages.shared.state import workspace

SIDES = ("ancient", "modern")


def step() -> None:
    """Show the form and the chosen result."""
    at_work = runs_view.active("classify")
    folder = runs_view.run_picker("classify", "Sample", steps.RESULT_KEY)
    wanted = folder is None and not at_work
    show.folded("Analyse a sample", form, "classify-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})
        steps.next_button("download", "Take the files away", key="apply-next")


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


@st.fragment
def form() -> None:
    """Ask for model, sample and settings of `classify`."""
    offered = models()
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
    """Show the estimate with what it rests on."""
    if summary["simulated"]:
        show.simulated_badge()
    found = summary["contamination"]
    low, high = found["ci"]
    for warning in summary["warnings"]:
        st.warning(show.safe_label(warning, 500), icon=":material/warning:")
    total, made = summary["reads_scored"], folder / "summary.json"
    show.cards({
        "Modern reads": (f"{found['estimate']:.1%}", "Share of the scored reads that are modern, corrected for the "
                         "model's own errors"),
        "95% interval": (f"{low:.1%} to {high:.1%}", "Over the loci of this sample and of the model's held-out reads"),
        "Reads scored": (f"{total:,}", f"of {summary['reads_total']:,} in the file; see what was left out below"),
        "Called ancient": (f"{summary['reads']['ancient']:,}", f"P(ancient) of {summary['threshold']:g} and more"),
        "Called modern": (f"{summary['reads']['modern']:,}", "Not the number of modern reads: many ancient reads carry "
                          "no damage and end here"),
    })
    scores = cached.contract_table(folder / "scores.tsv", SCORES, "scores")
    show.figure(
        cached.drawn(made, score_histogram, scores, found["estimate"], low, high),
        scores, f"scores-{folder.name}", "scores",
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
            cached.drawn(
                made, sides_figure, rates, {side: summary["damage"][side]["reads_used"] for side in rates},
                "C>T" if single else "G>A",
            ),
            table, f"sides-{folder.name}", "sides",
            "Damage of both sides. They differ because damage is what they were told apart by: this is no evidence "
            "of age.",
            simulated=summary["simulated"],
        )
    model = summary["model"]
    show.figure(
        cached.drawn(
            made, reliability_figure, summary["reliability"]["before"], summary["reliability"]["after"],
            model["held_out"],
        ),
        pd.DataFrame(summary["reliability"]["after"]), "reliability", "reliability",
        f"Does a probability mean what it says? On reads the model never saw; AUC {model['auc']:.2f}, calibration "
        f"error {model['ece_before']:.3f} before and {model['ece_after']:.3f} after.",
        simulated=summary["simulated"],
    )
    single = any(part and part["library"] == "single-stranded" for part in summary["damage"].values())
    show.folded(
        "Single reads, base by base", lambda: drill(
            folder, "P(ancient)", (0.9, 1.0), "classify-reads", single_stranded=single, simulated=summary["simulated"]
        ), "classify-single", icon=":material/manage_search:",
    )
    show.folded(
        f"What became of the {summary['reads_total']:,} reads, and how the share was estimated",
        lambda: counted(summary), "classify-counted",
    )


def counted(summary: dict[str, Any]) -> None:
    """Show what became of every record of the file, the rows adding up to it, and how the estimate was made."""
    fates = {f"called {side}": summary["reads"][side] for side in SIDES} | summary["dropped"]
    table = pd.DataFrame([(fate, count) for fate, count in fates.items() if count], columns=["reads", "count"])
    table["share"] = table["count"] / max(1, summary["reads_total"])
    st.dataframe(table, hide_index=True, key="classify-left-out", column_config={
        "reads": "What became of them", "count": st.column_config.NumberColumn("Reads", format="localized"),
        "share": st.column_config.ProgressColumn("Share", min_value=0, max_value=1, format="percent"),
    })
    show.table_downloads(table, "reads-called-and-left-out", "classify-left-out-files")
    st.markdown(show.safe_label(summary["contamination"]["method"], 900))
    for note in summary["notes"]:
        st.markdown(f"- {show.safe_label(note, 500)}")
