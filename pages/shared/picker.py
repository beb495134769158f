"""Choose a file that lies on the server, where a BAM file may have any size."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.uploads import shown_name
from neandl_core.workspace import KINDS, is_simulated
from pages.shared.show import empty_state
from pages.shared.state import file_labels, workspace

KIND_TEXT = {"alignment": "BAM, CRAM or SAM file", "genome": "genome (FASTA or 2bit)", "intervals": "BED file",
             "genes": "gene table", "sizes": "chromosome sizes or genome", "table": "table"}

_MAP_ENDINGS = (".bed", ".bed.gz", ".bg", ".bg.gz")


def pick(
    kind: str, label: str, key: str, *, optional: bool = False, prefer: str = "", help_text: str | None = None
) -> Path | None:
    """Offer the files of a kind and return the chosen one; typing filters the list.

    Parameters
    ----------
    kind
        One of `workspace.KINDS`.
    label
        Above the list, for example "Sample".
    key
        Unique on the page.
    optional
        Whether "none" may be chosen.
    prefer
        Part of a file's name: the first file that has it is offered first chosen.
    help_text
        Shown on hovering over the label.
    """
    offered = workspace().files(kind)
    if not offered:
        missing(kind, label)
        return None
    choices = [None, *offered] if optional else offered
    preferred = [
        index for index, path in enumerate(choices) if prefer and path is not None and prefer in shown_name(path)
    ]
    labels = file_labels(offered, {path for path in offered if is_simulated(path)})
    return st.selectbox(
        label, choices, preferred[0] if preferred else 0, key=key, help=help_text,
        format_func=lambda path: "none" if path is None else labels[path],
    )


def pick_maps(key: str, help_text: str) -> Path | None:
    """Offer the folders of published maps and return the chosen one; None if none is."""
    return st.selectbox(
        "Published maps", [None, *map_folders()], key=key, help=help_text,
        format_func=lambda path: "none" if path is None else f"{path.name} · {len(_bed_files(path))} BED files",
    )


def map_folders() -> list[Path]:
    """Return the folders of the data folders that hold at least two BED files; a simulated project has no maps."""
    folders = {path.parent for path in workspace().files("intervals") if not is_simulated(path)}
    return sorted(folder for folder in folders if len(_bed_files(folder)) > 1)


def _bed_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(_MAP_ENDINGS)]


def missing(kind: str, label: str) -> None:
    """Say that no file of a kind is offered, and what to do."""
    what = KIND_TEXT[kind]
    endings = ", ".join(f"`{ending}`" for ending in KINDS[kind])
    empty_state(
        f"{label}: no {what} here yet",
        f"Add one on the Data page, or start NeanDL with `NEANDL_DATA` set to the folder that holds it (endings "
        f"{endings}), for example `NEANDL_DATA=/data/bams make run`. Or load the demo project first.",
        "data", "Add files",
    )


def pick_many(kind: str, label: str, key: str, *, prefer: str = "") -> list[Path] | None:
    """Offer the files of a kind and return those chosen, in the order chosen; None if there is no file at all.

    Parameters
    ----------
    kind, label, key
        As for `pick`.
    prefer
        Part of a file's name: the first simulated file that has it is offered first chosen.
    """
    offered = workspace().files(kind)
    if not offered:
        missing(kind, label)
        return None
    simulated = {path for path in offered if is_simulated(path)}
    labels = file_labels(offered, simulated)
    usual = [path for path in offered if path in simulated and prefer and prefer in path.name][:1]
    return st.multiselect(label, offered, usual, key=key, format_func=labels.__getitem__, placeholder="Choose files")
