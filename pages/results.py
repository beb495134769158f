"""Results: which model is worth believing, and whether its score is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.comparison import auc_text, controls_of_runs, differing_settings, result_row, run_key
from neandl_core.figures.controls import forest_figure, overlay_figure
from neandl_core.runs import RunState, list_runs, read_metrics, read_summary
from neandl_core.schemas import CHROMOSOMES, CONTROLS
from pages.shared import cached, glossary, model_scores, runs_view, show
from pages.shared.state import PAGES, workspace

MOST_DRAWN = 30
MOST_CURVES = 8
MARK = {
    "good": ":green[:material/check_circle:]", "bad": ":red[:material/cancel:]",
    "unclear": ":orange[:material/help:]",
}
MEASURES = {"val_accuracy": "accuracy", "val_auc": "AUC", "val_loss": "loss"}
COLUMNS = {
    "name": "Run", "model": "Model", "dataset": "Dataset", "split": "Split", "auc": "AUC", "interval": "95% interval",
    "checked": "Is it real?", "verdict": "Verdict", "beats_baseline": "Beats baselines", "accuracy": "Accuracy",
    "brier": "Brier", "ece": "ECE", "when": "When",
}


def main() -> None:
    show.title("Results", "Which model is worth believing, and is its score real?")
    runs_view.active("controls")
    rows = table_of_runs()
    if rows.empty:
        show.empty_state(
            "No trained model yet", "Train one; its score appears here beside those of others.",
            "training", "Train a model",
        )
        return
    if len(rows) > 1:
        side_by_side(rows)
        st.divider()
    folder = runs_view.run_picker("train", "Run", "results-run")
    if folder is not None:
        in_depth(folder, read_summary(folder) or {})


@st.fragment
def side_by_side(rows: pd.DataFrame) -> None:
    """Show all runs and compare those chosen; a search or a choice leaves the rest of the page alone."""
    compare(overview(rows))


def table_of_runs() -> pd.DataFrame:
    """One row per finished train run, newest first; runs of another version are left out and said."""
    checked = controls_of_runs(workspace().runs)
    titles = {run_key(folder): state.title or folder.name for folder, state in list_runs(workspace().runs)}
    rows, odd = [], 0
    for folder, state in list_runs(workspace().runs, "train", "done"):
        _, controls = checked.get(run_key(folder), (None, None))
        try:
            rows.append(one_row(folder, state, controls, titles))
        except (KeyError, TypeError):
            odd += 1
    if odd:
        st.caption(f"{odd} runs of another version are not shown.")
    return pd.DataFrame(rows)


def one_row(
    folder: Path, state: RunState, controls: dict[str, Any] | None, titles: dict[tuple[str, ...], str]
) -> dict[str, Any]:
    summary = cached.json_file(folder / "summary.json")
    row = result_row(summary, controls)
    dataset = summary["dataset"]["folder"]
    return {
        "folder": folder, "name": state.title or folder.name,
        "dataset": titles.get(run_key(dataset), Path(dataset).name), **row,
        "interval": auc_text(row).partition(" ")[2].strip("[]"), "when": runs_view.when_text(state.queued),
    }


def overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Show the table of runs with its filters; return the rows ticked, or all that are shown."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Search", key="results-search", placeholder="name, model, dataset")
        models = st.multiselect("Model", sorted(rows["model"].unique()), key="results-models")
        answers = st.multiselect("Verdict", sorted(rows["verdict"].unique()), key="results-verdicts")
    shown = rows
    if text:
        hay = (rows["name"] + " " + rows["model"] + " " + rows["dataset"]).str.lower()
        shown = shown[hay.str.contains(text.lower(), regex=False)]
    if models:
        shown = shown[shown["model"].isin(models)]
    if answers:
        shown = shown[shown["verdict"].isin(answers)]
    if shown.empty:
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        return shown
    table = shown[list(COLUMNS)].rename(columns=COLUMNS)
    # The filters are in the key: a selection of rows must not outlive the rows it was made in.
    picked = st.dataframe(
        table, hide_index=True, key=f"results-{text}-{models}-{answers}", on_select="rerun",
        selection_mode="multi-row", height=min(38 + 35 * len(table), 400),
        column_config={
            shown: st.column_config.NumberColumn(format="%.3f", help=glossary.meaning(shown))
            for shown in ("AUC", "Accuracy", "Brier", "ECE")
        } | {
            "Beats baselines": st.column_config.TextColumn(
                help="Better than the best of GC content, length and k-mer counts? Unclear: within the interval."
            ),
        },
    ).selection.rows
    bar = st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center")
    bar.caption(
        f"{len(shown):,} of {len(rows):,} runs. Tick rows to compare only those; click a heading to sort.",
        width="stretch",
    )
    with bar.container(width="content"):
        show.download_menu("results-table", lambda: show.table_files(table, "results", "results-table"))
    return shown.iloc[picked] if picked else shown


def compare(rows: pd.DataFrame) -> None:
    """Draw the runs' AUCs, learning curves and the settings in which they differ."""
    if rows.empty:
        return
    drawn = rows.head(MOST_DRAWN).copy()
    drawn["name"] = unique_names(drawn)
    drawn["kind"] = ["leaking split" if split in ("random", "interval") else "model" for split in drawn["split"]]
    simulated = bool(drawn["simulated"].any())
    for column in ("auc", "low", "high"):
        drawn[column] = drawn[column].astype(float)
    drawn_columns = ("name", "model", "split", "auc", "low", "high")
    newest = drawn["folder"].iloc[0] / "summary.json"
    shown = tuple(drawn[["folder", *drawn_columns, "kind"]].astype(str).itertuples(index=False, name=None))
    show.heading("Scores")
    caption = "AUC on test examples with 95% intervals by resampling loci; 0.5 is guessing."
    if len(rows) > MOST_DRAWN:
        caption += f" The first {MOST_DRAWN} of {len(rows)} runs; tick rows to choose."
    show.figure(
        cached.drawn(newest, forest_figure, drawn, also=shown), drawn[list(drawn_columns)], "compared-scores",
        "compared", caption, simulated=simulated,
    )
    show.heading("Learning curves")
    learning_curves(drawn, shown, simulated=simulated)
    different = differing_settings(drawn["folder"].tolist()) if len(drawn) > 1 else []
    if different:
        with st.expander("Settings that differ", icon=":material/tune:"):
            names = {folder.name: name for folder, name in zip(drawn["folder"], drawn["name"], strict=True)}
            st.dataframe(pd.DataFrame(different).rename(columns=names), hide_index=True)


@st.fragment
def learning_curves(drawn: pd.DataFrame, shown: tuple[tuple[str, ...], ...], *, simulated: bool) -> None:
    measure = st.segmented_control(
        "Measure", list(MEASURES), format_func=MEASURES.__getitem__, default="val_accuracy", key="results-measure",
        label_visibility="collapsed",
    ) or "val_accuracy"
    records = {
        name: [record for record in read_metrics(folder) if is_epoch(record)]
        for folder, name in zip(drawn["folder"], drawn["name"], strict=True)
    }
    curves = {name: rows for name, rows in records.items() if len(rows) > 1}
    if not curves:
        st.caption("None of these models learns in steps, so there is no curve.")
        return
    some = dict(list(curves.items())[:MOST_CURVES])
    caption = "On the validation part. A curve that turns for the worse is learning by heart."
    if len(curves) > len(some):
        caption += f" The first {len(some)} of {len(curves)} runs with curves."
    newest = drawn["folder"].iloc[0] / "summary.json"
    show.figure(
        cached.drawn(newest, overlay_figure, some, measure, also=(shown, measure)),
        None, "compared-curves", "curves", caption, simulated=simulated
    )


def is_epoch(record: dict[str, Any]) -> bool:
    return record.get("kind") == "epoch" and record.get("run", "main") == "main"


def unique_names(rows: pd.DataFrame) -> list[str]:
    """Name runs for a figure; those of one name are told by their time, and by a number where that is one, too."""
    names = [
        name if list(rows["name"]).count(name) == 1 else f"{name}, {when[5:]}"
        for name, when in zip(rows["name"], rows["when"], strict=True)
    ]
    return [name if names.count(name) == 1 else f"{name} ({index + 1})" for index, name in enumerate(names)]


def in_depth(folder: Path, summary: dict[str, Any]) -> None:
    """Show one run: whether it is real, per chromosome, and what it calls what."""
    if summary["dataset"]["simulated"]:
        show.simulated_badge()
    positive = summary["classes"]["names"][1].capitalize()
    show.heading("Is it real?")
    folder_of_controls, controls = controls_of_runs(workspace().runs).get(run_key(folder), (None, None))
    if controls is None:
        st.info(
            "Not checked yet. The check trains the same model on shuffled labels and under the split that leaks, sets "
            "baselines (GC content, length, k-mers) beside it, and says what remains.", icon=":material/fact_check:",
        )
    else:
        verdict_of(controls)
    check_form(folder, summary, again=controls is not None)
    if controls is not None:
        evidence(folder_of_controls, controls, positive)
    else:
        chromosomes_of_run(folder, positive)
    model_scores.errors(folder, summary)
    st.page_link(PAGES["training"], label="Curves, measures and notes of this run", icon=":material/arrow_forward:")


def verdict_of(controls: dict[str, Any]) -> None:
    verdict = controls["verdict"]
    shown, icon = {
        "signal": (st.success, ":material/check_circle:"), "weak": (st.warning, ":material/help:"),
        "none": (st.error, ":material/block:"),
    }[verdict["answer"]]
    if verdict["answer"] == "signal" and verdict["adds"] == "bad":
        # The signal is real, and this model is not the one to find it with.
        shown, icon = st.warning, ":material/help:"
    shown(show.safe_label(verdict["sentence"], 700), icon=icon)
    with st.container(border=True):
        for check in verdict["checks"]:
            question, answer = st.columns([2, 5])
            question.markdown(f"{MARK[check['outcome']]} **{show.safe_label(check['question'], 100)}**")
            answer.markdown(show.safe_label(check["answer"], 400))


def check_form(folder: Path, summary: dict[str, Any], again: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shuffles = st.number_input(
            "Shuffled runs", 1, 100, 3, key="results-shuffles", width=160,
            help="Times the model is trained on labels shuffled by locus. More show better what chance reaches.",
        )
        if st.button(
            "Check again" if again else "Is it real?", type="secondary" if again else "primary",
            icon=":material/fact_check:", key="results-check",
        ):
            runs_view.start(
                "controls", [str(folder), "--shuffles", str(int(shuffles))], f"Is it real? {summary['preset']}"
            )
        trained = summary["seconds_per_epoch"] * summary["epochs"]
        st.caption(f"About {runs_view.duration_text(trained * (shuffles + 1) + 15)} on this machine.", width="content")


def evidence(folder: Path, controls: dict[str, Any], positive: str) -> None:
    simulated = controls["simulated"]
    table = cached.contract_table(folder / "controls.tsv", CONTROLS, "controls")
    test, power = controls["test"], controls["shuffled"]
    show.cards({
        f"AUC, {controls['split']} split": (f"{test['auc']:.3f}" if test["auc"] is not None else "undefined",
                                            f"{test['examples']:,} test examples of {test['loci']:,} loci"),
        "By chance": (
            f"{power['mean']:.2f}" if power["mean"] is not None else "undefined",
            f"Mean AUC of {power['runs']} runs on shuffled labels"
            + (f", {power['range'][0]:.2f} to {power['range'][1]:.2f}." if power["range"] else "."),
        ),
        "Smallest AUC told from chance": (
            f"{power['detectable_auc']:.2f}" if power["detectable_auc"] is not None else "undefined",
            "With so many loci an AUC above this would have had an interval above 0.5.",
        ),
    })
    show.figure(
        cached.drawn(
            folder / "summary.json", forest_figure, table,
            f"n = {test['examples']:,} test examples, {test['loci']:,} loci",
        ), table, "controls", "controls",
        "AUC with 95% intervals by resampling loci. Green: the same model on shuffled labels, what chance "
        "reaches. Orange: a split that leaks; what it reaches on shuffled labels is pure memory.",
        simulated=simulated, run=folder,
    )
    chromosomes = cached.contract_table(folder / "chromosomes.tsv", CHROMOSOMES, "chromosomes")
    show_chromosomes(chromosomes, positive)
    for note in controls["notes"]:
        st.caption(show.safe_label(note, 400))


def chromosomes_of_run(folder: Path, positive: str) -> None:
    """Show the run's own table of chromosomes, which has no intervals, until its controls are there."""
    splits = cached.json_file(folder / "evaluation.json")["splits"]
    rows = next(one for one in splits if one["main"])["test"]["per_chromosome"]
    chromosomes = pd.DataFrame(rows).rename(columns={"n": "examples"})
    show_chromosomes(chromosomes, positive)


def show_chromosomes(table: pd.DataFrame, positive: str) -> None:
    names = {
        "contig": "Chromosome", "examples": "Examples", "ones": positive, "loci": "Loci", "auc": "AUC",
        "low": "from", "high": "to", "accuracy": "Accuracy", "baseline_auc": "AUC, best baseline",
    }
    shown = table[[name for name in names if name in table]].rename(columns=names)
    st.markdown("**Test chromosomes**")
    st.dataframe(shown, hide_index=True, width="content", column_config={
        names[name]: st.column_config.NumberColumn(format="%.3f")
        for name in ("auc", "low", "high", "accuracy", "baseline_auc")
    })
    show.table_downloads(shown, "chromosomes", "chromosomes")


main()
