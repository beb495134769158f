"""Runs on a page: start one, watch it, stop it, choose a finished one. The run folder is the only truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from neandl_core import launch as launching
from neandl_core.launch import launch
from neandl_core.runs import CHECKPOINTS, RESUMABLE, RunState, list_runs, raw_state, read_log, read_state
from neandl_core.slots import positions
from pages.shared.basket import SHOWN_RUN
from pages.shared.show import error_box, safe_label
from pages.shared.state import RUN, STARTED, run_from_address, workspace

REFRESH_SECONDS = 1.0
STEPS = {
    "simulate": "Simulation", "reads": "Reads & damage", "cohort": "Reads of many samples",
    "cohort-part": "Reads of many samples", "read-set": "Dataset of reads", "classify": "Decontaminate",
    "windows": "Windows", "train": "Training", "controls": "Is it real?", "interpret": "Interpretation",
    "embed": "Embedding", "genes": "Genes", "overlap": "Gene avoidance", "export": "Files for a talk",
    "index": "Index of a file", "check": "File check", "data": "Public data", "demo": "Demo project",
}
"""What a command is called on the pages."""
RUN_COLUMNS = {"Title": 235, "Result": 395, "Step": 125, "State": 80, "Started": 130, "Took": 70}
"""Columns of a list of runs and their widths in pixels."""


def start(command: str, arguments: Sequence[str], title: str) -> None:
    """Start a command as a child process, remember it for `active` and draw the page again.

    Parameters
    ----------
    command, arguments
        As on the command line, without ``--out``.
    title
        What to call the run in lists.
    """
    folders = workspace()
    # A double click, or the same click in another tab, is one click.
    st.session_state[f"{STARTED}-{command}"] = launch(
        folders.runs, command, arguments, title, once=True, queue=folders.queue
    )
    st.rerun()


def active(command: str, more: Callable[[Path], None] | None = None) -> bool:
    """Show every run of a command that is at work, and why the one last started from this tab did not finish.

    Parameters
    ----------
    command
        The command's name.
    more
        Called with the run folder at each refresh, to draw live curves below the progress.

    Returns
    -------
    bool
        Whether a run is at work.
    """
    at_work = [
        folder for folder, state in list_runs(workspace().runs, command) if not state.ended and not in_cohort(folder)
    ]
    last = st.session_state.get(f"{STARTED}-{command}")
    for folder in at_work:
        live(folder, more)
    if last is not None and last not in at_work and last.exists():
        ended(last, read_state(last))
    return bool(at_work)


def in_cohort(folder: Path) -> bool:
    """Return whether a run is a sample of a cohort, whose own progress stands for all of them."""
    parent = folder.parent
    return parent != workspace().runs and (parent / "state.json").exists() and raw_state(parent).command == "cohort"


@st.fragment(run_every=REFRESH_SECONDS)
def live(folder: Path, more: Callable[[Path], None] | None = None) -> None:
    """Show a run at work, refreshed each second without the rest of the page; at its end the page is drawn again."""
    state = read_state(folder)
    if state.ended:
        if state.state == "done":
            st.session_state[_next_key(state.command)] = run_id(folder)
        st.rerun()
    with st.container(border=True):
        left, right = st.columns([5, 1], vertical_alignment="center")
        said = progress_text(state, queue_place(folder, state))
        left.progress(state.share, text=f"**{safe_label(state.title or folder.name)}** · {said}")
        cancelled = (folder / "CANCEL").exists()
        if right.button(
            "Cancelling" if cancelled else "Cancel", key=f"cancel-{run_id(folder)}", disabled=cancelled,
            icon=":material/stop_circle:", width="stretch",
        ):
            launching.cancel(folder)
            st.rerun(scope="fragment")
        if more is not None and state.state == "running":
            more(folder)
        log_tail(folder)


def ended(folder: Path, state: RunState) -> None:
    """Say how a run that was not finished ended; of a finished one say nothing, as its result is on the page."""
    if state.state == "cancelled":
        st.info(f"**{safe_label(state.title)}** was cancelled; no result was kept.", icon=":material/cancel:")
    elif state.state in ("failed", "interrupted"):
        error_box(state.message)
        resume_button(folder, state, f"resume-{run_id(folder)}")
        log_tail(folder)


def resume_button(folder: Path, state: RunState, key: str) -> None:
    """Offer to go on with a run that did not finish."""
    if state.state not in RESUMABLE:
        return
    kept = any((folder / name).exists() for name in CHECKPOINTS)
    if st.button(
        "Resume" if kept else "Start again", key=key, icon=":material/play_circle:",
        help="Goes on after the last finished epoch, with the same numbers as if it had never stopped." if kept else
        "Begins again with the same settings, in the same place.",
    ):
        launching.resume(folder, workspace().queue)
        st.rerun()


def queue_place(folder: Path, state: RunState) -> int | None:
    """Return a waiting run's place in the queue, None if it does not wait."""
    return positions(workspace().queue).get(folder.resolve()) if state.state == "queued" else None


def log_tail(folder: Path) -> None:
    """Offer the last lines of a run's log."""
    text = read_log(folder)
    if text:
        with st.expander("Log"):
            st.code(text, language=None, height=240)


def run_id(folder: Path) -> str:
    """Return a run's name within the workspace; a step of a demo is named with its demo, ``demo-1/windows``."""
    return folder.relative_to(workspace().runs).as_posix()


def run_picker(
    command: str | Sequence[str], label: str, key: str, accept: Callable[[Path], bool] | None = None
) -> Path | None:
    """Offer the finished runs of a command, newest first, and return the chosen folder; None if there is none.

    `accept` tells which of them belong here; all if it is not given.

    The page's address keeps the choice, so that a link shows a colleague the same run.
    """
    commands = (command,) if isinstance(command, str) else tuple(command)
    found = {
        run_id(folder): (folder, state)
        for folder, state in list_runs(workspace().runs, state="done")
        if state.command in commands and (accept is None or accept(folder))
    }
    if not found:
        return None
    names = list(found)
    for name in commands:
        finished = st.session_state.pop(_next_key(name), None)
        if finished in found:
            turn_to(key, found[finished][0])
    own = _list_key(key)
    if st.session_state.get(own) not in found:
        st.session_state[own] = names[run_from_address(names, st.query_params.get(RUN))]

    def keep_in_address() -> None:
        st.query_params[RUN] = st.session_state[own]

    chosen = st.selectbox(
        label, names, key=own, on_change=keep_in_address,
        format_func=lambda name: f"{found[name][1].title or name} · {when_text(found[name][1].queued)}",
    )
    st.session_state[SHOWN_RUN] = found[chosen][0]
    return found[chosen][0]


def turn_to(key: str, folder: Path) -> None:
    """Turn the list of `run_picker` to a run, before it is drawn or for a button's `on_click`.

    Parameters
    ----------
    key
        As given to `run_picker`.
    folder
        Of the run.
    """
    # The list becomes a new one: the refresh of a run at work, sent by the browser a moment before, still carries the
    # old list's choice, which would win over this one.
    st.session_state[f"{key}-turn"] = st.session_state.get(f"{key}-turn", 0) + 1
    st.session_state[_list_key(key)] = run_id(folder)
    st.query_params[RUN] = run_id(folder)


def progress_text(state: RunState, place: int | None = None) -> str:
    """Say how far a run is, for example ``Counting reads · 45% · 12 s left``, or its place in the queue."""
    if state.state == "queued":
        return "starting" if place is None else f"waiting for a free processor, number {place} in the queue"
    parts = [safe_label(state.message or "working")]
    if state.total:
        parts.append(f"{state.share:.0%}")
    if state.eta_seconds is not None:
        parts.append(f"{duration_text(state.eta_seconds)} left")
    return " · ".join(parts)


def step_text(state: RunState) -> str:
    """Name the step of a run as the menu does."""
    return STEPS.get(state.command, state.command)


def state_text(state: RunState) -> str:
    """Name a run's state for a table."""
    if state.state == "running":
        return f"running, {state.share:.0%}" if state.total else "running"
    return state.state


def duration_text(seconds: float | None) -> str:
    """Write a duration as people do: ``45 s``, ``3 min``, ``2 h 10 min``."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def when_text(moment: float) -> str:
    """Write a time of the server's clock: ``2026-01-31 14:05``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _list_key(key: str) -> str:
    """Key of the list that `run_picker` shows at the moment."""
    turn = st.session_state.get(f"{key}-turn", 0)
    return f"{key}-{turn}" if turn else key


def _next_key(command: str) -> str:
    """Key of the run that the command's list should turn to, as it has just finished."""
    return f"finished-{command}"
