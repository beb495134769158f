"""Runs side by side: results, settings that differ, scores with intervals, curves over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.figures.runs import overlay_figure
from neandl_core.figures.training import ScoreRow, score_figure
from neandl_core.run_notes import settings_side_by_side
from neandl_core.runs import RunState, read_config, read_metrics, read_summary
from pages.shared import show
from pages.shared.run_columns import outcome


def compare(chosen: list[tuple[Path, RunState]]) -> None:
    show.heading(f"{len(chosen)} runs side by side")
    names = distinct([state.title or folder.name for folder, state in chosen])
    folders = dict(zip(names, (folder for folder, _ in chosen), strict=True))
    configs = {name: read_config(folder) for name, folder in folders.items() if (folder / "config.json").exists()}
    results = {name: outcome(folder, state) for name, (folder, state) in zip(names, chosen, strict=True)}
    st.dataframe(
        pd.DataFrame({"Run": list(results), "Result": list(results.values())}), hide_index=True, key="compare-results",
        column_config={"Result": st.column_config.TextColumn(width="large")},
    )
    rows = settings_side_by_side(configs)
    if rows:
        st.markdown("**What differs**")
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="compare-settings")
    else:
        st.caption("Settings, inputs and versions are the same.")
    summaries = {name: read_summary(folder) or {} for name, folder in folders.items()}
    simulated = any(
        summary.get("simulated")
        or (isinstance(summary.get("dataset"), dict) and summary["dataset"].get("simulated"))
        for summary in summaries.values()
    )
    scores(summaries, simulated)
    records = {name: read_metrics(folder) for name, folder in folders.items()}
    curved = {name: lines for name, lines in records.items() if any("val_loss" in line for line in lines)}
    if curved:
        show.figure(
            overlay_figure(curved), None, "curves", "compare-curves", "By epoch, on examples held back from training.",
            simulated=simulated,
        )


def scores(summaries: dict[str, dict], simulated: bool) -> None:
    tested = {name: test for name, summary in summaries.items() if (test := test_of(summary)) is not None}
    rows = [
        ScoreRow(name, test["auc"], *(test.get("auc_ci") or (test["auc"], test["auc"])), kind="result")
        for name, test in tested.items() if test["auc"] is not None
    ]
    if not rows:
        return
    sizes = {test["n"] for test in tested.values()}
    columns = ("n", "auc", "auc_ci", "accuracy", "accuracy_ci", "brier", "ece")
    measures = pd.DataFrame([{"run": name, **{key: test.get(key) for key in columns}} for name, test in tested.items()])
    st.markdown("**Scores on test examples, with 95% intervals**")
    st.dataframe(
        pd.DataFrame([
            {"Run": name, "n": test["n"], **{
                label: with_interval(test, key)
                for key, label in (("auc", "AUC"), ("accuracy", "Accuracy"), ("brier", "Brier score"))
            }} for name, test in tested.items()
        ]), hide_index=True, key="compare-measures",
        column_config={"n": st.column_config.NumberColumn(format="localized")},
    )
    drawn = score_figure(rows, max(sizes), f"{len(rows)} models")
    if len(sizes) > 1:
        drawn.update_layout(title={"text": f"{len(rows)} models, n = {min(sizes):,} to {max(sizes):,} test examples"})
    show.figure(
        drawn, measures, "scores-compared", "compare-scores",
        "AUC on test examples with 95% intervals; 0.5 is guessing." + (
            "" if len(sizes) == 1 else " The runs have different test parts, so their scores are not of the same task."
        ), simulated=simulated,
    )


def test_of(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return the test scores of a training, or of its controls in the same words; None if there are none."""
    test = summary.get("test")
    if not isinstance(test, dict) or "auc" not in test:
        return None
    if "n" in test:
        return test
    return {"n": test["examples"], "auc_ci": (test["low"], test["high"]), **test}


def with_interval(test: dict, name: str) -> str:
    """Write a score with its interval, where it has one: ``0.85 (0.83 to 0.87)``."""
    if name not in test:
        return "-"
    value, (low, high) = test[name], test.get(f"{name}_ci") or (None, None)
    if value is None:
        return "undefined"
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def distinct(titles: list[str]) -> list[str]:
    return [f"{title} ({titles[:place].count(title) + 1})" if titles.count(title) > 1 else title
            for place, title in enumerate(titles)]
