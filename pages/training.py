"""Training: start a model, watch it learn, and see whether what it learnt is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.training import score_figure, score_rows
from neandl_core.runs import read_summary
from pages.shared import cached, glossary, model_scores, runs_view, show
from pages.shared.curves import learning_curves, live_curves
from pages.shared.model_form import form
from pages.shared.state import PAGES

MEASURES = {
    "auc": "AUC", "accuracy": "Accuracy", "balanced_accuracy": "Accuracy, classes weighing the same",
    "majority_accuracy": "Accuracy of always the larger class", "ap": "Average precision", "brier": "Brier score",
    "ece": "ECE",
}


def main() -> None:
    show.title("Training", "Does the model learn anything that holds where it never looked?")
    at_work = runs_view.active("train", live_curves)
    folder = runs_view.run_picker("train", "Model", "train-run")
    wanted = folder is None and not at_work
    show.folded("Train a model", form, "train-form", icon=":material/add:", expanded=wanted)
    if folder is not None:
        result(folder, read_summary(folder) or {})


def result(folder: Path, summary: dict[str, Any]) -> None:
    simulated = summary["dataset"]["simulated"]
    if simulated:
        show.simulated_badge()
    verdict = summary["verdict"]
    shown = {"clear": st.success, "weak": st.warning, "none": st.error}[verdict["signal"]]
    shown(show.safe_label(verdict["sentence"], 600), icon={
        "clear": ":material/check_circle:", "weak": ":material/help:", "none": ":material/block:"
    }[verdict["signal"]])
    test = summary["test"]
    cards = {
        f"AUC, {summary['dataset']['split']} split": (score_text(test, "auc"), interval_text(test, "auc")),
        "Accuracy": (score_text(test, "accuracy"), f"{interval_text(test, 'accuracy')} Always naming the larger class "
                     f"gives {test['majority_accuracy']:.2f}."),
    }
    for name, control in summary["controls"].items():
        cards[f"AUC, {name} split"] = (score_text(control["test"], "auc"), interval_text(control["test"], "auc"))
        cards[f"Accuracy, {name} split"] = (
            score_text(control["test"], "accuracy"), interval_text(control["test"], "accuracy")
        )
    cards["Examples per second"] = (f"{summary['samples_per_second']:,.0f}", f"On {summary['device']}, in training")
    show.cards(cards)
    rows = score_rows(summary)
    show.figure(
        cached.drawn(folder / "summary.json", score_figure, rows, test["n"], summary["preset"]),
        pd.DataFrame([vars_of(row) for row in rows]), "scores", "scores",
        "AUC on test examples, 0.5 is guessing; bars are 95% intervals from resampling loci. Orange points come from "
        "a split that leaks and do not count.", simulated=simulated,
    )
    learning_curves(folder, simulated=simulated)
    model_scores.errors(folder, summary)
    if summary["dataset"]["kind"] == "windows":
        st.page_link(PAGES["genes"], label="Score genes with this model", icon=":material/arrow_forward:")
    show.folded("All measures and notes", lambda: details(summary), "training-details")


def score_text(scores: dict[str, Any], name: str) -> str:
    return "undefined" if scores.get(name) is None else f"{scores[name]:.3f}"


def interval_text(scores: dict[str, Any], name: str) -> str:
    low, high = scores.get(f"{name}_ci") or (None, None)
    return "" if low is None else f"95% interval {low:.3f} to {high:.3f}."


def vars_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("name", "auc", "low", "high", "kind")}


def details(summary: dict[str, Any]) -> None:
    runs = {f"{summary['dataset']['split']} split": summary["test"]}
    runs |= {f"{name} split": control["test"] for name, control in summary["controls"].items()}
    runs |= {f"baseline {name}": scores for name, scores in summary["baselines"].items()}
    table = pd.DataFrame([
        {"Model": name, "Examples": scores.get("n"), **{shown: scores.get(key) for key, shown in MEASURES.items()}}
        for name, scores in runs.items()
    ])
    st.dataframe(table, hide_index=True, column_config={
        shown: st.column_config.NumberColumn(format="%.3f", help=glossary.meaning(shown))
        for shown in MEASURES.values()
    })
    show.table_downloads(table, "measures", "measures")
    notes = summary["notes"]
    if isinstance(summary["classes"], dict) and "sentence" in summary["classes"]:
        notes = [summary["classes"]["sentence"], *notes]
    for note in notes:
        st.markdown(f"- {show.safe_label(note, 500)}")


main()
