"""Which steps there are, how far each is, and how to get from one to another."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.runs import list_runs, read_summary
from pages.shared import show
from pages.shared.state import workspace

STEP = "step"
"""Query parameter: the step that the page shows."""
NAMES = {"dataset": "Dataset", "train": "Train", "evaluate": "Evaluate", "apply": "Apply", "download": "Download"}
COMMAND = {"dataset": "read-set", "train": "train", "evaluate": "train", "apply": "classify", "download": "classify"}
NEEDS = {"train": "dataset", "evaluate": "train", "apply": "train", "download": "apply"}
"""What must be done before a step."""
MODEL_KEY, DATASET_KEY, RESULT_KEY = "decontaminate-model", "decontaminate-dataset", "classify-run"
_KEY = "decontaminate-step"
_ICON = {"done": ":material/check_circle:", "running": ":material/progress_activity:", "open": ":material/circle:"}
_MISSING = {
    "dataset": ("No dataset of reads yet", "A model learns from reads known to be ancient and reads known to be "
                "modern. Make a dataset of both first."),
    "train": ("No model of reads yet", "Reads are told apart by a model that was trained on ancient and on modern "
              "reads. Train one first."),
    "apply": ("No sample analysed yet", "The files come from scoring a sample's reads with a model."),
}


def of_reads(folder: Path) -> bool:
    """Return whether a finished `train` run is a model of reads."""
    return (read_summary(folder) or {}).get("dataset", {}).get("kind") == "reads"


def states() -> dict[str, str]:
    """Return ``done``, ``running`` or ``open`` for each step."""
    found = {}
    for name, command in COMMAND.items():
        runs = list_runs(workspace().runs, command)
        done = [folder for folder, state in runs if state.state == "done"]
        if command == "train":
            done = [folder for folder in done if of_reads(folder)]
        running = any(not state.ended for _, state in runs)
        found[name] = "done" if done else "running" if running else "open"
    return found


def stepper(found: dict[str, str]) -> str:
    """Show the steps with their states and return the chosen one, which the page's address keeps."""
    if st.session_state.get(_KEY) not in NAMES:
        open_steps = [name for name, state in found.items() if state != "done"]
        wanted = st.query_params.get(STEP)
        st.session_state[_KEY] = wanted if wanted in NAMES else open_steps[0] if open_steps else "apply"

    def keep_in_address() -> None:
        st.query_params[STEP] = st.session_state[_KEY]

    return st.pills(
        "Step", list(NAMES), key=_KEY, on_change=keep_in_address, label_visibility="collapsed", required=True,
        format_func=lambda name: f"{_ICON[found[name]]} {list(NAMES).index(name) + 1} {NAMES[name]}",
    )


def go_to(step: str) -> None:
    """Turn to a step (for a button's `on_click`)."""
    st.session_state[_KEY] = step
    st.query_params[STEP] = step


def next_button(step: str, label: str, *, key: str) -> None:
    """Offer the way to a step."""
    st.button(label, key=key, icon=":material/arrow_forward:", on_click=go_to, args=(step,))


def blocked(step: str, found: dict[str, str]) -> bool:
    """Say what is missing for a step, with the way there; return whether anything is."""
    needed = NEEDS.get(step)
    if needed is None or found[needed] == "done":
        return False
    heading, text = _MISSING[needed]
    show.empty_state(heading, text)
    next_button(needed, f"To step {list(NAMES).index(needed) + 1}: {NAMES[needed]}", key=f"blocked-{step}")
    return True
