"""Home: what is here, the simulated project in one click, recent runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core.demo import steps
from neandl_core.headlines import headline
from neandl_core.runs import RunState, list_runs, read_state, read_summary
from neandl_core.workspace import KINDS, Workspace
from pages.shared import runs_view, show, tour
from pages.shared.state import PAGES, workspace

RECENT = 12
NEXT_STEPS = (
    ("reads", "Look at damage", "Is it ancient?"),
    ("decontaminate", "Decontaminate", "How much of it is modern?"),
    ("windows", "Cut windows", "What will be learned?"),
    ("training", "Train", "Does it learn anything?"),
    ("genes", "Genes", "Which genes?"),
)


def main() -> None:
    folders = workspace()
    runs = list_runs(folders.runs)
    show.title("NeanDL", "Damage, contamination and Neanderthal sequence in ancient DNA, with scores you can defend.")
    what_is_here(folders, runs)
    demo_card(folders)
    recent(runs)
    about_data(folders)
    difference()


def what_is_here(folders: Workspace, runs: list[tuple[Path, RunState]]) -> None:
    counts = {kind: len(folders.files(kind)) for kind in KINDS}
    done = sum(state.state == "done" for _, state in runs)
    show.cards({
        "Samples": (f"{counts['alignment']:,}", "BAM, CRAM and SAM files in the data folders"),
        "Genomes": (f"{counts['genome']:,}", "FASTA files"),
        "Interval lists": (f"{counts['intervals']:,}", "BED files, for example introgressed segments"),
        "Finished runs": (f"{done:,}", "Results kept in the workspace"),
    })


def demo_card(folders: Workspace) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader("Demo project", anchor=False, width="content")
            show.simulated_badge()
        at_work = runs_view.active("demo", demo_steps)
        finished = bool(list_runs(folders.runs, "demo", "done"))
        if not at_work and not finished:
            st.markdown(
                "A small genome with genes, introgressed segments and three samples whose truth is known, then every "
                "step on them: damage, windows, models, genes. It is ready to look at in seconds and complete in a "
                "few minutes; you can leave the page meanwhile. A tour of five steps then shows you round."
            )
            if st.button("Load the demo project", type="primary", icon=":material/play_arrow:"):
                runs_view.start("demo", ["--seed", "1"], "Demo project")
        if finished and not at_work:
            st.markdown("The demo project is ready: its files are offered on every page, its results are shown there.")
            tour.invitation()
        if not folders.simulated():
            return
        with st.container(horizontal=True, gap="small"):
            for name, label, question in NEXT_STEPS:
                st.page_link(PAGES[name], label=label, icon=":material/arrow_forward:", help=question)


def demo_steps(folder: Path) -> None:
    """Show which steps of a demo are done; each is a run of its own."""
    words = []
    for step in steps(seed=1):
        state = read_state(folder / step.folder).state if (folder / step.folder / "state.json").exists() else ""
        icon = {"done": ":green[:material/check_circle:]", "running": ":material/progress_activity:"}.get(state, "")
        words.append(f"{icon or ':gray[:material/circle:]'} {step.title}")
    st.caption(" \u2003 ".join(words))


def about_data(folders: Workspace) -> None:
    show.heading("Your data")
    if folders.data:
        st.markdown("Files in these folders are read where they lie, without a copy:")
        st.code("\n".join(str(folder) for folder in folders.data), language=None, wrap_lines=True)
    else:
        st.markdown(
            "Files on the server are read where they lie, without a copy. Name the folder that holds your BAM files "
            "when you start NeanDL:"
        )
        st.code("NEANDL_DATA=/path/to/bams make run", language=None, wrap_lines=True)
    st.page_link(PAGES["data"], label="All files, uploads and public data", icon=":material/arrow_forward:")


def recent(runs: list[tuple[Path, RunState]]) -> None:
    show.heading("Recent runs")
    if not runs:
        st.caption("None yet. Whatever you start on a page is listed here and survives a closed browser.")
        return
    shown = runs[:RECENT]
    st.dataframe(
        pd.DataFrame({
            "Title": [state.title or folder.name for folder, state in shown],
            "Result": [outcome(folder, state) for folder, state in shown],
            "Step": [runs_view.step_text(state) for _, state in shown],
            "State": [runs_view.state_text(state) for _, state in shown],
            "Started": [runs_view.when_text(state.queued) for _, state in shown],
            "Took": [runs_view.duration_text(state.seconds) for _, state in shown],
        }),
        hide_index=True, key="recent-runs", height="content", column_config={
            name: st.column_config.TextColumn(width=width) for name, width in runs_view.RUN_COLUMNS.items()
        },
    )
    if len(runs) > RECENT:
        st.caption(f"The newest {RECENT} of {len(runs):,}.")


def outcome(folder: Path, state: RunState) -> str:
    if state.state == "done":
        return headline(state.command, read_summary(folder))
    return state.message if state.ended else ""


def difference() -> None:
    show.heading("What is different here")
    st.markdown(
        "Neighbouring windows share bases, so a network tested on a random fifth of them can score 99% by memory "
        "alone. NeanDL tests on chromosomes or loci that the network never saw, prints the random split's score "
        "beside it with intervals and baselines, and says in words when a result does not beat them. It cannot make a "
        "weak signal strong; it shows you that it is weak."
    )


main()
