"""All samples at once: a table of every finished analysis, and their damage curves over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.errors import InputError
from neandl_core.figures.damage import Curve, overlay_figure
from neandl_core.runs import list_runs
from pages.shared import cached, runs_view, show
from pages.shared.state import RUN, workspace

ONE, MANY, BATCH = "One sample", "All samples", "Many files at once"
VERDICTS = ("damaged", "not damaged", "too few reads")
_AXES = {"the highest of all": None, "10%": 0.1, "30%": 0.3, "60%": 0.6}
_NUMBERS = {"Reads used": 1, "5′ C>T": 100, "3′ G>A": 100, "3′ C>T": 100, "Median length": 1}
"""Columns that can be filtered by value, and what turns them into the unit on the page."""
_PERCENT = st.column_config.NumberColumn(format="percent")


def view() -> str:
    """Let the user choose between one sample, all of them once there are two, and many files in one run."""
    offered = [ONE]
    if len(list_runs(workspace().runs, "reads", "done")) > 1:
        offered.append(MANY)
    if len(workspace().files("alignment")) > 1 or list_runs(workspace().runs, "cohort"):
        offered.append(BATCH)
    if len(offered) == 1:
        return ONE
    chosen = st.segmented_control("View", offered, default=ONE, key="reads-view", label_visibility="collapsed")
    return chosen or ONE


def all_samples(within: Path | None = None) -> None:
    """Show the table with its filters, and the curves of what is left in it; of a cohort's samples if it is given."""
    rows, curves, folders = _collect(within)
    if not rows:
        return
    table = pd.DataFrame(rows)
    highest = max((rate or 0 for curve in curves for rate in (*curve.c_to_t_5p, *curve.three_prime)), default=0)
    shown, axis = _filtered(table)
    top = _AXES[axis] or max(0.3, 1.08 * highest)
    st.caption(
        f"{len(shown):,} of {len(table):,} analyses. Click a column's name to sort; mark rows to colour their curves, "
        "or one row to open it. "
        "The axis stays the same whatever is shown, so that heights compare."
    )
    # Marks count rows: with another filter the table is another one, or they would stay on rows that moved.
    event = st.dataframe(
        shown, hide_index=True, key=f"samples-table-{hash(tuple(shown.index))}", on_select="rerun",
        selection_mode="multi-row", height=min(420, 38 + 35 * max(1, len(shown))),
        column_config={
            "Sample": st.column_config.TextColumn(pinned=True), "When": st.column_config.TextColumn(width="small"),
            "Reads used": st.column_config.NumberColumn(format="localized"), "5′ C>T": _PERCENT, "3′ G>A": _PERCENT,
            "3′ C>T": _PERCENT, "Median length": st.column_config.NumberColumn(format="%.0f"),
        },
    )
    show.table_downloads(shown, "samples", "samples-files")
    if shown.empty:
        st.info("No analysis is left: widen the filter.", icon=":material/filter_alt_off:")
        return
    marked = event.selection.rows
    if len(marked) == 1:
        opened = shown.iloc[marked[0]]
        st.button(
            f"Open {show.safe_label(opened['Sample'])}", key="samples-open", icon=":material/open_in_full:",
            on_click=_open, args=(folders[shown.index[marked[0]]],),
        )
    alone = bool(marked) and st.toggle("Only the marked ones", key="samples-alone")
    drawn = shown.iloc[marked] if alone else shown
    chosen = [curves[index] for index in drawn.index]
    show.figure(
        overlay_figure(chosen, y_max=top, marked=range(len(chosen)) if alone else marked), curve_table(chosen),
        "damage-of-samples", "samples",
        "Each line is a sample: C>T from the 5′ end and, by the library, G>A or C>T from the 3′ end. Ancient samples "
        "rise towards the ends, modern ones stay flat. More than ten are grey; mark rows to colour them, or hover over "
        "a line to read its name.",
        simulated=bool(drawn["Simulated"].any()),
    )


def _open(folder: Path) -> None:
    """Turn the page to one sample. Called before the page is drawn, when its widgets may still be set."""
    st.session_state["reads-view"] = ONE
    st.session_state["reads-run"] = st.query_params[RUN] = runs_view.run_id(folder)


def _filtered(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Show the filters; return the rows that pass them, and the axis that was chosen."""
    left, right = st.columns([2, 1])
    text = left.text_input("Name contains", key="samples-text", type="search", live=True)
    axis = right.selectbox("Axis up to", list(_AXES), key="samples-axis")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        verdicts = st.pills("Verdict", VERDICTS, selection_mode="multi", key="samples-verdict")
        column = st.selectbox("Only where", ["any value", *_NUMBERS], key="samples-column", width=180)
        low, high = None, None
        if column != "any value":
            unit = " (%)" if _NUMBERS[column] != 1 else ""
            low = st.number_input(f"is from{unit}", value=None, key=f"samples-low-{column}", width=130)
            high = st.number_input(f"up to{unit}", value=None, key=f"samples-high-{column}", width=130)
    passed = table["Sample"].str.contains(text or "", case=False, regex=False)
    if verdicts:
        passed &= table["Verdict"].isin(verdicts)
    if low is not None:
        passed &= table[column] * _NUMBERS[column] >= low
    if high is not None:
        passed &= table[column] * _NUMBERS[column] <= high
    return table[passed], axis


def curve_table(curves: list[Curve]) -> pd.DataFrame:
    """Return the curves as one table: sample, reads, end, substitution, position from the end (1 = terminal), rate."""
    return pd.concat([
        pd.DataFrame({
            "sample": curve.name, "reads": curve.reads, "end": end, "substitution": substitution,
            "position": range(1, len(rates) + 1), "rate": rates,
        })
        for curve in curves
        for end, substitution, rates in (
            ("5p", "C>T", curve.c_to_t_5p), ("3p", curve.three_prime_name, curve.three_prime),
        )
    ], ignore_index=True)


def _collect(within: Path | None) -> tuple[list[dict[str, Any]], list[Curve], list[Path]]:
    """Return a row, a curve and the folder of each finished analysis, newest first, those of a cohort by name.

    Of results that cannot be read there is nothing.
    """
    rows, curves, folders = [], [], []
    listed = list_runs(workspace().runs, "reads", "done")
    if within is not None:
        listed = sorted(item for item in listed if item[0].parent == within)
    for folder, state in listed:
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
        folders.append(folder)
        key = "c_to_t_3p" if single else "g_to_a_3p"
        curves.append(Curve(
            show.figure_label(name), summary["reads_used"], summary["c_to_t_5p"], summary[key],
            "C>T" if single else "G>A",
        ))
    return rows, curves, folders
