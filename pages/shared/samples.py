"""All samples at once: a table of every finished analysis, and their damage curves over each other."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.errors import InputError
from neandl_core.figures.damage import Curve, overlay_figure
from neandl_core.runs import list_runs
from pages.shared import cached, runs_view, show
from pages.shared.state import workspace

ONE, MANY = "One sample", "All samples"
VERDICTS = ("damaged", "not damaged", "too few reads")
_AXES = {"the highest of all": None, "10 %": 0.1, "30 %": 0.3, "60 %": 0.6}
_PERCENT = st.column_config.NumberColumn(format="percent")


def view() -> str:
    """Let the user choose between one sample and all of them, once there are two."""
    if len(list_runs(workspace().runs, "reads", "done")) < 2:
        return ONE
    return st.segmented_control("View", [ONE, MANY], default=ONE, key="reads-view", label_visibility="collapsed") or ONE


def all_samples() -> None:
    """Show the table with its filters, and the curves of what is left in it."""
    rows, curves = _collect()
    left, right = st.columns([2, 1])
    text = left.text_input("Name contains", key="samples-text")
    axis = right.selectbox("Axis up to", list(_AXES), key="samples-axis")
    verdicts = st.pills("Verdict", VERDICTS, selection_mode="multi", key="samples-verdict")
    highest = max((rate or 0 for curve in curves for rate in (*curve.c_to_t_5p, *curve.three_prime)), default=0)
    top = _AXES[axis] or max(0.3, 1.08 * highest)
    table = pd.DataFrame(rows)
    shown = table[table["Sample"].str.contains(text, case=False, regex=False)]
    if verdicts:
        shown = shown[shown["Verdict"].isin(verdicts)]
    st.caption(
        f"{len(shown):,} of {len(table):,} analyses. Click a column to sort; mark rows to draw only those. The axis "
        "stays the same whatever is shown, so that heights compare."
    )
    event = st.dataframe(
        shown, hide_index=True, key="samples-table", on_select="rerun", selection_mode="multi-row",
        column_config={
            "Reads used": st.column_config.NumberColumn(format="localized"), "5′ C>T": _PERCENT, "3′ G>A": _PERCENT,
            "3′ C>T": _PERCENT, "Median length": st.column_config.NumberColumn(format="%.0f"),
        },
    )
    marked = event.selection.rows
    drawn = shown.iloc[marked] if marked else shown
    chosen = [curves[index] for index in drawn.index]
    if chosen:
        show.figure(
            overlay_figure(chosen, y_max=top), shown, "samples", "samples",
            "C>T from the 5′ end and, by the library, G>A or C>T from the 3′ end. More than ten curves are drawn "
            "alike; hover over one to read its name.",
            simulated=bool(drawn["Simulated"].any()),
        )


def _collect() -> tuple[list[dict[str, Any]], list[Curve]]:
    """Return a row and a curve of each finished analysis, newest first; of results that cannot be read, nothing."""
    rows, curves = [], []
    for folder, state in list_runs(workspace().runs, "reads", "done"):
        try:
            summary = cached.json_file(folder / "summary.json")
        except InputError as error:
            show.error_box(error)
            continue
        single = summary["library"] == "single-stranded"
        name = state.title or folder.name
        rows.append({
            "Sample": name, "Verdict": summary["damaged"], "Library": summary["library"],
            "UDG": summary.get("udg", {}).get("treatment", ""), "Reads used": summary["reads_used"],
            "5′ C>T": summary["c_to_t_5p"][0], "3′ G>A": summary["g_to_a_3p"][0], "3′ C>T": summary["c_to_t_3p"][0],
            "Median length": summary["length"]["median"], "Simulated": summary["simulated"],
            "When": runs_view.when_text(state.queued),
        })
        key = "c_to_t_3p" if single else "g_to_a_3p"
        curves.append(Curve(
            show.safe_label(name), summary["reads_used"], summary["c_to_t_5p"], summary[key], "C>T" if single else "G>A"
        ))
    return rows, curves
