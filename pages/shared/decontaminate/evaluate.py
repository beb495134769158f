"""Step 3: what the model is worth on reads it never saw, beside what simpler measures reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.training import score_figure, score_rows
from neandl_core.runs import read_summary
from pages.shared import cached, runs_view, show
from pages.shared.decontaminate import steps

VERDICT = {
    "clear": (st.success, ":material/check_circle:"), "weak": (st.warning, ":material/help:"),
    "none": (st.error, ":material/block:"),
}
MEASURES = ("n", "auc", "accuracy", "balanced_accuracy", "ap", "brier", "ece")


def step() -> None:
    """Show the chosen model's scores."""
    folder = runs_view.run_picker("train", "Model", steps.MODEL_KEY, accept=steps.of_reads)
    if folder is not None:
        result(folder, read_summary(folder) or {})
        steps.next_button("apply", "Apply it to a sample", key="evaluate-next")


def result(folder: Path, summary: dict[str, Any]) -> None:
    """Show verdict, scores with intervals, and the baselines."""
    simulated = summary["dataset"]["simulated"]
    if simulated:
        show.simulated_badge()
    shown, icon = VERDICT[summary["verdict"]["signal"]]
    shown(show.safe_label(summary["verdict"]["sentence"], 600), icon=icon)
    test, baselines = summary["test"], summary["baselines"]
    cards = {"AUC": scored(test, "AUC: how often an ancient read gets a higher score than a modern one.")}
    for name, label, meaning in (
        ("pmd", "PMD score", "The usual measure of damage in one read: what a model must beat."),
        ("interior", "Without the ends", "The same on the read without its ends: near 0.5 if only damage counts."),
        ("length", "Length alone", "0.5, as lengths are equal."), ("gc", "GC alone", "Should be near 0.5."),
        ("quality", "Quality alone", "Far from 0.5 if the classes come from different sequencers, which no model may "
         "use."),
    ):
        if name in baselines and baselines[name].get("auc") is not None:
            cards[label] = scored(baselines[name], meaning)
    show.cards(cards)
    rows = score_rows(summary)
    show.figure(
        cached.drawn(folder / "summary.json", score_figure, rows, test["n"], summary["preset"]),
        pd.DataFrame([{key: getattr(row, key) for key in ("name", "auc", "low", "high", "kind")} for row in rows]),
        f"read-scores-{folder.name}", "read-scores",
        "AUC on reads of stretches that training never saw; 0.5 is guessing, 1 is perfect. Many ancient reads carry no "
        "damage and look like modern ones, so no method reaches 1. Bars are 95% intervals.",
        simulated=simulated,
    )
    show.folded("All measures and notes", lambda: measures(summary), "evaluate-measures")


def measures(summary: dict[str, Any]) -> None:
    """Show every measure of the model, of its controls and of the baselines, and what the run noted."""
    everything = {f"{summary['dataset']['split']} split": summary["test"]}
    everything |= {f"{name} split": control["test"] for name, control in summary["controls"].items()}
    everything |= {f"baseline {name}": scores for name, scores in summary["baselines"].items()}
    table = pd.DataFrame([
        {"scores of": name, **{key: scores.get(key) for key in MEASURES}} for name, scores in everything.items()
    ])
    st.dataframe(table, hide_index=True, column_config={
        key: st.column_config.NumberColumn(format="%.3f") for key in MEASURES[1:]
    })
    show.table_downloads(table, "measures-of-reads", "read-measures")
    for note in summary["notes"]:
        st.markdown(f"- {show.safe_label(note, 500)}")


def scored(scores: dict[str, Any], meaning: str) -> tuple[str, str]:
    """Return an AUC as a card: value, and interval with meaning."""
    if scores.get("auc") is None:
        return "undefined", meaning
    low, high = scores.get("auc_ci") or (None, None)
    interval = "" if low is None else f" 95% interval {low:.3f} to {high:.3f}."
    return f"{scores['auc']:.3f}", meaning + interval
