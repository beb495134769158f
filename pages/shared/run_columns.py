"""What a list of runs says of each: its inputs, its result, its size, its owner."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.errors import InputError
from neandl_core.files import read_json
from neandl_core.headlines import headline
from neandl_core.run_notes import disk_use
from neandl_core.runs import RunState, raw_state, read_summary
from neandl_core.uploads import shown_name

KEPT_SECONDS = 120
"""What a row says of folders on disk is looked up again after so long."""


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False, max_entries=5000)
def inputs_text(folder: Path, finished: float | None) -> str:
    """Name what a run reads, files and the runs that it goes on from: the first, and how many more there are.

    Parameters
    ----------
    folder
        The run.
    finished
        When it ended: what was said of it before is looked up anew.
    """
    try:
        config = read_json(folder / "config.json")
    except InputError:
        return ""
    if config.get("command") == "cohort":
        samples = (read_summary(folder) or {}).get("samples")
        return f"{samples:,} files" if samples else "many files"
    names = list(dict.fromkeys(_named(Path(entry["path"])) for entry in config.get("inputs", ())))
    if not names:
        return ""
    return names[0] if len(names) == 1 else f"{names[0]} + {len(names) - 1}"


def _named(path: Path) -> str:
    """Return the title of the run that a file belongs to, or the file's name where it is one of its own."""
    for run in (path, path.parent):
        if (run / "state.json").exists():
            try:
                state = raw_state(run)
            except InputError:
                break
            if run == path or state.command != "simulate":
                return state.title or run.name
    return shown_name(path)


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False, max_entries=5000)
def size_of(folder: Path, finished: float | None) -> int:
    """Return the bytes of a run's folder; of one that has ended they stay, whatever is asked again."""
    return disk_use(folder)


def owner(folder: Path) -> str:
    try:
        return folder.owner()
    except (KeyError, OSError):
        return "unknown"


def outcome(folder: Path, state: RunState) -> str:
    if state.state == "done":
        return headline(state.command, read_summary(folder))
    return state.message if state.ended else ""
