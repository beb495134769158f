"""Step 5: the two BAM files, the list of reads and the tables behind the figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core.runs import read_summary
from pages.shared import runs_view, show
from pages.shared.decontaminate import steps
from pages.shared.state import size_text

LARGEST_DOWNLOAD = 200_000_000
"""Bytes up to which a file is offered as a download; a larger one is named by its path."""
FILES = {
    "ancient.bam": "Reads called ancient, sorted, with their P(ancient) as the tag XP",
    "ancient.bam.bai": "Index of ancient.bam",
    "modern.bam": "Reads called modern, in the same way; many ancient reads without damage are among them",
    "modern.bam.bai": "Index of modern.bam",
    "reads.parquet": "Every read with its place, length, P(ancient) and side, as a table",
    "scores.tsv": "Reads by P(ancient), with what the fit expects of both classes",
    "ancient_damage_rates.tsv": "Damage of the reads called ancient, by position",
    "modern_damage_rates.tsv": "Damage of the reads called modern, by position",
    "summary.json": "The estimate with its interval, all counts and notes",
}


def step() -> None:
    """Offer the files of the chosen sample."""
    folder = runs_view.run_picker("classify", "Sample", steps.RESULT_KEY)
    if folder is None:
        return
    summary = read_summary(folder) or {}
    if summary["simulated"]:
        show.simulated_badge()
    sides = summary["reads"]
    st.markdown(
        f"{sides['ancient']:,} reads were called ancient and {sides['modern']:,} modern, from a P(ancient) of "
        f"{summary['threshold']:g} on; {sum(summary['dropped'].values()):,} records were not scored and are in neither "
        "file. Most modern reads leave the ancient file, and so do ancient reads without damage: use it where "
        "contamination hurts more than lost coverage."
    )
    offered = [(name, folder / name) for name in FILES if (folder / name).exists()]
    table = pd.DataFrame([
        {"file": name, "size": size_text(path.stat().st_size), "what it is": FILES[name]} for name, path in offered
    ])
    st.dataframe(table, hide_index=True, key="classify-files")
    small = [(name, path) for name, path in offered if path.stat().st_size <= LARGEST_DOWNLOAD]
    with st.container(horizontal=True):
        for name, path in small:
            st.download_button(
                name, reader(path), file_name=name, mime="application/octet-stream", on_click="ignore",
                key=f"file-{name}", icon=":material/download:",
            )
    if len(small) < len(offered):
        st.info(
            f"Files above {size_text(LARGEST_DOWNLOAD)} are not sent through the browser; copy them from the folder "
            "below.", icon=":material/folder:",
        )
    st.caption(f"All files lie in {show.safe_label(folder, 300)}.")


def reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file when its button is pressed."""
    return path.read_bytes
