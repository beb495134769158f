"""Runs: everything that was started, at work, waiting or finished; look, compare, resume, make again, tidy up."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core import launch as launching
from neandl_core.cluster import VARIABLE, check_address, describe_cluster, scheduler_address, set_scheduler
from neandl_core.errors import NeanDLError
from neandl_core.run_notes import RunNotes, dependents, disk_use, read_notes, write_notes
from neandl_core.runs import RunState, delete_run, list_runs, read_config, read_log
from pages.shared import runs_view, show
from pages.shared.curves import live_curves
from pages.shared.run_columns import inputs_text, outcome, owner, size_of
from pages.shared.run_compare import compare
from pages.shared.state import size_text, workspace

MOST_SHOWN = 200
MOST_COMPARED = 8
WORK = ("queued", "running")
LOOK_SECONDS = 3.0
Listed = list[tuple[Path, RunState]]


def main() -> None:
    show.title("Runs", "What is at work, what came out, and how to have it again.")
    listed = list_runs(workspace().runs)
    if not listed:
        show.empty_state(
            "Nothing was run yet", "Whatever you start on a page is listed here. It goes on when the browser is closed "
            "and when this server is restarted.", "home", "Start with the demo project",
        )
        return
    overview(listed)
    look_again(marks(listed))
    for folder, state in reversed([item for item in listed if item[1].state in WORK and not inside_demo(item[0])]):
        runs_view.live(folder, live_curves if state.command == "train" else None)
    chosen = table(filtered(listed))
    if len(chosen) == 1:
        details(*chosen[0])
    elif len(chosen) > 1:
        compare(chosen[:MOST_COMPARED])
        if len(chosen) > MOST_COMPARED:
            st.caption(f"The first {MOST_COMPARED} of {len(chosen)} are compared.")
    else:
        st.caption("Choose a run in the first column to see it, or several to compare them.")
    cluster_settings()


def marks(listed: Listed) -> frozenset[tuple[Path, str]]:
    """Return what the table shows of runs and their states."""
    return frozenset((folder, state.state) for folder, state in listed)


@st.fragment(run_every=LOOK_SECONDS)
def look_again(shown: frozenset[tuple[Path, str]]) -> None:
    """Draw the page again once another tab, user or command line has started, ended or deleted a run."""
    if marks(list_runs(workspace().runs)) != shown:
        st.rerun()


def cluster_settings() -> None:
    """Say where runs are done, and let whoever has the server alone hand them to a cluster."""
    folders = workspace()
    try:
        address = scheduler_address(folders.queue)
    except NeanDLError as error:
        show.error_box(error)
        return
    if VARIABLE in os.environ or folders.shared is not None:
        # A scheduler runs code: where several share a server, its owner alone chooses it.
        if address:
            st.caption(f"Runs are done by the cluster at {show.safe_label(address)}.")
        return
    with st.expander(f"Cluster: {show.safe_label(address)}" if address else "Cluster", icon=":material/hub:"):
        field, button = st.columns([4, 1], vertical_alignment="bottom")
        typed = field.text_input(
            "Address of a Dask scheduler", address, key="runs-scheduler", placeholder="tcp://node1:8786",
            help="New runs go there. Empty: they are done on this machine. Runs that wait or are at work stay.",
        )
        if button.button("Use", key="runs-scheduler-use", width="stretch"):
            try:
                found = describe_cluster(checked).sentence if (checked := check_address(typed)) else ""
                set_scheduler(folders.queue, typed)
            except NeanDLError as error:
                show.error_box(error)
            else:
                st.success(f"New runs go to the cluster. {found}" if found else "New runs are done on this machine.")


def inside_demo(folder: Path) -> bool:
    return folder.parent != workspace().runs


def overview(listed: Listed) -> None:
    counts = pd.Series([state.state for _, state in listed]).value_counts()
    stopped = int(sum(counts.get(name, 0) for name in ("interrupted", "failed", "cancelled")))
    folders = [folder for folder, _ in listed if not inside_demo(folder)]
    show.cards({
        "At work": (f"{counts.get('running', 0):,}", "Each in a process of its own"),
        "Waiting": (f"{counts.get('queued', 0):,}", "Started in turn, as processors become free"),
        "Finished": (f"{counts.get('done', 0):,}", "Results are in the workspace"),
        "Not finished": (f"{stopped:,}", "Failed, cancelled or interrupted; each can be taken up again"),
        "Disk": (size_text(used(tuple(folders))), "All runs together"),
    })


@st.cache_data(ttl=20, show_spinner=False)
def used(folders: tuple[Path, ...]) -> int:
    return sum(disk_use(folder) for folder in folders)


def filtered(listed: Listed) -> Listed:
    inner = {folder for folder, _ in listed if runs_view.in_cohort(folder)}
    if inner and not st.session_state.get("runs-samples"):
        listed = [item for item in listed if item[0] not in inner]
    notes = {folder: read_notes(folder) for folder, _ in listed}
    known = sorted({tag for one in notes.values() for tag in one.tags})
    words, kinds, states, *tags = st.columns([3, 2, 2, 2] if known else [3, 2, 2], vertical_alignment="bottom")
    text = words.text_input("Search", key="runs-search", placeholder="Title, note or tag").strip().lower()
    kind = kinds.multiselect("Step", sorted({state.command for _, state in listed}), key="runs-kinds",
                             format_func=lambda command: runs_view.STEPS.get(command, command))
    state_names = states.multiselect("State", sorted({state.state for _, state in listed}), key="runs-states")
    tag = tags[0].multiselect("Tags", known, key="runs-tags") if known else []
    put_away = sum(one.archived for one in notes.values())
    with st.container(horizontal=True):
        archived = st.toggle(f"Show archived ({put_away})", key="runs-archived") if put_away else False
        if inner:
            st.toggle(
                f"Show the {len(inner):,} samples of runs of many files", key="runs-samples",
                help="Each is a run of its own, and also listed on the page Reads & damage.",
            )
    return [
        (folder, state) for folder, state in listed
        if (not kind or state.command in kind) and (not state_names or state.state in state_names)
        and (not tag or set(tag) & set(notes[folder].tags)) and notes[folder].archived <= archived
        and text in " ".join((state.title, folder.name, notes[folder].note, *notes[folder].tags)).lower()
    ]


def table(runs: Listed) -> Listed:
    if not runs:
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        return []
    shown = runs[:MOST_SHOWN]
    notes = [read_notes(folder) for folder, _ in shown]
    owners = [owner(folder) for folder, _ in shown]
    columns = {
        "Title": [state.title or folder.name for folder, state in shown],
        "Result": [outcome(folder, state) for folder, state in shown],
        "Step": [runs_view.step_text(state) for _, state in shown],
        "State": [runs_view.state_text(state) for _, state in shown],
        "Input": [inputs_text(folder, state.finished) for folder, state in shown],
        "Started": [runs_view.when_text(state.queued) for _, state in shown],
        "Took": [runs_view.duration_text(state.seconds) for _, state in shown],
        "Disk": [size_of(folder, state.finished) for folder, state in shown],
    }
    if any(one.tags for one in notes):
        columns["Tags"] = [list(one.tags) for one in notes]
    if len(set(owners)) > 1:
        columns["Owner"] = owners
    # The key holds what was filtered: a selection of rows is one of places, and means others once the list changes.
    event = st.dataframe(
        pd.DataFrame(columns), hide_index=True, on_select="rerun", selection_mode="multi-row",
        key=f"runs-table-{hash(tuple(folder.name for folder, _ in shown))}",
        column_config={
            **{name: st.column_config.TextColumn(width=width) for name, width in runs_view.RUN_COLUMNS.items()},
            "Title": st.column_config.TextColumn(width=210), "Result": st.column_config.TextColumn(width=310),
            "Input": st.column_config.TextColumn(width=140), "Disk": st.column_config.NumberColumn(format="bytes"),
        },
    )
    if len(runs) > MOST_SHOWN:
        st.caption(f"The newest {MOST_SHOWN} of {len(runs):,}. Search for others.")
    return [shown[row] for row in event.selection.rows if row < len(shown)]


def details(folder: Path, state: RunState) -> None:
    notes = read_notes(folder)
    with st.container(border=True):
        show.heading(show.safe_label(state.title or folder.name))
        facts = [state.state, size_text(disk_use(folder)), f"by {owner(folder)}"]
        if state.resumed:
            facts.append(f"taken up again {state.resumed} time{'s' if state.resumed > 1 else ''}")
        st.caption(" · ".join((*facts, runs_view.run_id(folder))))
        if state.state in ("failed", "interrupted"):
            show.error_box(state.message)
        buttons(folder, state, notes)
    texts = [name for name, there in {
        "Methods": (folder / "methods.txt").exists(), "Settings": (folder / "config.json").exists(), "Log": True,
        "Notes": True,
    }.items() if there]
    for tab, name in zip(st.tabs(texts), texts, strict=True):
        with tab:
            {"Methods": methods, "Settings": settings, "Log": log, "Notes": note_form}[name](folder)


def buttons(folder: Path, state: RunState, notes: RunNotes) -> None:
    with st.container(horizontal=True):
        runs_view.resume_button(folder, state, f"runs-resume-{folder.name}")
        if state.ended and st.button(
            "Run again", key="runs-again", icon=":material/replay:",
            help="Makes a new run with the same settings and inputs. With the same versions the numbers are the same.",
        ):
            _, changed = launching.rerun(folder, workspace().runs, workspace().queue)
            for line in changed:
                st.toast(f"An input has changed: {show.safe_label(line, 200)}", icon=":material/warning:")
            if not changed:
                st.rerun()
        if state.ended and st.button(
            "Unarchive" if notes.archived else "Archive", key="runs-archive", icon=":material/archive:",
            help="Archived runs stay on disk and are left out of this list.",
        ):
            write_notes(folder, replace(notes, archived=not notes.archived))
            st.rerun()
        if state.ended and not inside_demo(folder):
            with st.popover("Delete", icon=":material/delete:"):
                delete(folder)


def delete(folder: Path) -> None:
    needed = dependents(folder, workspace().runs)
    st.markdown(f"This removes {size_text(disk_use(folder))} for good.")
    if needed:
        names = ", ".join(show.safe_label(state.title or other.name) for other, state in needed[:5])
        more = f" and {len(needed) - 5} more" if len(needed) > 5 else ""
        st.warning(
            f"Made from it: {names}{more}. Their results stay; they cannot be made again without it.",
            icon=":material/account_tree:",
        )
    if st.button("Delete for good", type="primary", key=f"runs-delete-{folder.name}"):
        delete_run(folder)
        st.rerun()


def methods(folder: Path) -> None:
    st.caption("Ready to paste; the button in the corner copies it.")
    st.code((folder / "methods.txt").read_text(encoding="utf-8"), language=None, wrap_lines=True)


def settings(folder: Path) -> None:
    config = read_config(folder)
    left, right = st.columns(2)
    named = {"Setting": list(config["settings"]), "Value": [str(value) for value in config["settings"].values()]}
    left.dataframe(pd.DataFrame(named), hide_index=True)
    right.dataframe(pd.DataFrame({
        "Software": list(config["software"]), "Version": list(config["software"].values()),
    }), hide_index=True)
    for entry in config["inputs"]:
        size = f" · {size_text(entry['size'])}" if "size" in entry else ""
        checksum = f" · SHA-256 {entry['sha256'][:16]}" if entry.get("sha256") else ""
        st.caption(f"{show.safe_label(entry['path'], 200)}{size}{checksum}")


def log(folder: Path) -> None:
    st.code(read_log(folder, 200) or "The log is empty.", language=None, height=320)


def note_form(folder: Path) -> None:
    notes = read_notes(folder)
    with st.form(f"notes-{folder.name}", border=False):
        text = st.text_area("Note", notes.note, placeholder="What you want to remember about this run")
        tags = st.text_input("Tags", ", ".join(notes.tags), placeholder="paper, figure 2", help="Separated by commas")
        if st.form_submit_button("Save", icon=":material/save:"):
            write_notes(folder, replace(notes, note=text, tags=tuple(tags.split(","))))
            st.rerun()


main()
