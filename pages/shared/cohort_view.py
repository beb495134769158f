"""Many files in one run: choose them or a whole folder, watch, and look at all samples and at what was refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import CohortSettings
from neandl_core.runs import read_summary
from neandl_core.workspace import is_simulated
from pages.shared import runs_view, samples, show
from pages.shared.picker import pick
from pages.shared.state import file_labels, size_text, workspace

MOST_NAMED = 5
"""Refused files that are named one below the other; more are a table."""
FOLDER, CHOSEN = "A whole folder", "Chosen files"


def cohorts(definitions: dict[str, str]) -> None:
    """Show the form, the cohorts at work, and the one that is chosen.

    Parameters
    ----------
    definitions
        The definitions of a position, each with what to call it.
    """
    at_work = runs_view.active("cohort")
    folder = runs_view.run_picker("cohort", "Samples", "cohort-run")
    show.folded(
        "Analyse many files", lambda: form(definitions), "cohort-form", icon=":material/add:",
        expanded=folder is None and not at_work,
    )
    if folder is not None:
        result(folder, read_summary(folder) or {})


def form(definitions: dict[str, str]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        files = choose()
        if files:
            size = size_text(sum(path.stat().st_size for path in files))
            st.caption(f"{len(files):,} files, {size}. Each is read where it lies.")
        genome = pick(
            "genome", "Reference", "cohort-genome", optional=True,
            help_text="The same for all. Only needed for CRAM files and for reads without MD tags.",
        ) if workspace().files("genome") else None
    with right:
        definition = st.selectbox(
            "Positions are counted in", list(definitions), format_func=definitions.__getitem__, key="cohort-definition",
            help="The same for all samples, so that they compare.",
        )
        one, two = st.columns(2)
        quality = one.number_input("Mapping quality from", 0, 254, 0, key="cohort-quality")
        length = two.number_input("Length from (bases)", 0, 1000, 0, key="cohort-length")
        quick = st.toggle("Damage curve and lengths alone", key="cohort-quick",
                          help="Faster: without PMD scores, CpG context and single reads.")
    title = st.text_input("Name", "Samples", key="cohort-title")
    if st.button(f"Analyse {len(files):,} files" if files else "Analyse", type="primary", disabled=not files,
                 icon=":material/play_arrow:", key="cohort-start"):
        with show.plain_errors():
            settings = CohortSettings.make(
                definition=definition, min_mapping_quality=int(quality), min_length=int(length), quick=quick
            )
            arguments = [
                *map(str, files), "--definition", definition,
                "--min-mapping-quality", str(settings.min_mapping_quality), "--min-length", str(settings.min_length),
            ]
            arguments += ["--quick"] if quick else []
            arguments += [] if genome is None else ["--reference", str(genome)]
            runs_view.start("cohort", arguments, title)


def choose() -> list[Path]:
    """Let the user choose a folder or single files, and return the files."""
    offered = workspace().files("alignment")
    if not offered:
        return []
    simulated = {path for path in offered if is_simulated(path)}
    folders: dict[Path, list[Path]] = {}
    for path in offered:
        folders.setdefault(path.parent, []).append(path)
    if st.segmented_control("Files", [FOLDER, CHOSEN], default=FOLDER, key="cohort-how") == CHOSEN:
        labels = file_labels(offered, simulated)
        return st.multiselect(
            "Samples", offered, key="cohort-files", format_func=labels.__getitem__, placeholder="Choose files"
        )
    # The fullest first: a folder of one file is no cohort.
    order = sorted(folders, key=lambda folder: (-len(folders[folder]), folder))
    chosen = st.selectbox(
        "Folder", order, key="cohort-folder",
        format_func=lambda folder: f"{folder.name} · {len(folders[folder]):,} files"
        f"{' · simulated' if simulated.issuperset(folders[folder]) else ''}",
    )
    return folders[chosen] if chosen is not None else []


def result(folder: Path, summary: dict[str, Any]) -> None:
    refused = summary["refused"]
    show.cards({
        "Samples": (f"{summary['samples']:,}", "One file each"),
        "Analysed": (f"{summary['done']:,}", "Each can be opened by itself"),
        "With ancient damage": (f"{summary['damaged']:,}", "By the rule that each sample's page states"),
        "Refused": (f"{len(refused):,}", "Files that could not be read; named below"),
        "Reads used": (f"{summary['reads_used']:,}", "Of all samples together"),
    })
    if len(refused) > MOST_NAMED:
        with st.expander(f"{len(refused):,} files were refused", icon=":material/block:"):
            st.dataframe(
                pd.DataFrame(refused).rename(columns={"sample": "Sample", "message": "Why"}), hide_index=True,
                key="cohort-refused", column_config={"Why": st.column_config.TextColumn(width="large")},
            )
    else:
        for one in refused:
            st.warning(f"Refused: {show.safe_label(one['message'], 400)}", icon=":material/block:")
    samples.all_samples(folder)
