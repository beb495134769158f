"""Step 2: train a model of reads."""

from __future__ import annotations

import streamlit as st

from neandl_core.presets import PRESET_TEXT
from neandl_core.runs import read_summary
from pages.shared import model_form, runs_view, show
from pages.shared.curves import learning_curves, live_curves
from pages.shared.decontaminate import steps


def step() -> None:
    """Show the form, what is at work, and how the chosen model learnt."""
    at_work = runs_view.active("train", live_curves)
    folder = runs_view.run_picker("train", "Model", steps.MODEL_KEY, accept=steps.of_reads)
    show.folded(
        "Train a model", lambda: model_form.form(("read-set",), "reads-train"), "reads-train-form",
        icon=":material/add:", expanded=folder is None and not at_work,
    )
    if folder is not None:
        summary = read_summary(folder) or {}
        if summary["dataset"]["simulated"]:
            show.simulated_badge()
        st.markdown(f"**{show.safe_label(summary['preset'])}**: {PRESET_TEXT.get(summary['preset'], '')}")
        learning_curves(folder, simulated=summary["dataset"]["simulated"])
        steps.next_button("evaluate", "See what it is worth", key="train-next")
