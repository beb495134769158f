"""The list of files: what each is by its content, whether it was read through, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core.checking import Verdict, find_verdict
from neandl_core.io.recognition import Recognised, recognise
from neandl_core.uploads import UploadStore, shown_name
from neandl_core.workspace import KINDS, Workspace, is_simulated
from pages.shared import runs_view, show
from pages.shared.state import size_text, workspace
from pages.shared.upload_route import store

KIND_NAMES = {
    "alignment": "Alignments", "genome": "Genomes", "intervals": "Intervals", "genes": "Genes", "table": "Tables",
    "sizes": "Sizes", "other": "Other",
}
"""What the filter offers; whatever has no page of its own is "other"."""
MOST = 2_000
UNCHECKED = "not yet"
_STATES = {"good": "good", "bad": "cannot be used", "not checked": "not possible"}


def view() -> None:
    """Show the table with its filters, and offer to check files."""
    folders = workspace()
    paths = folders.everything()
    if not paths:
        _nothing()
        return
    table = _table(folders, paths[:MOST])
    _cards(table)
    shown = _filtered(table)
    if len(paths) > MOST:
        st.caption(f"The first {MOST:,} of {len(paths):,} files.")
    chosen = _listed(shown, table)
    _actions(folders, table, shown, chosen)


def _nothing() -> None:
    show.empty_state(
        "No files here yet",
        "Start NeanDL with `NEANDL_DATA` set to the folder that holds your BAM files, add a file from your computer, "
        "fetch public data above, or load the demo project.", "home", "Load the demo project",
    )


def _table(folders: Workspace, paths: list[Path]) -> pd.DataFrame:
    rows = []
    for path in paths:
        status = path.stat()
        found = _recognised(str(path), status.st_size, status.st_mtime_ns)
        verdict = find_verdict(folders.checks, path)
        rows.append({
            "File": shown_name(path),
            "What it is": found.format + (" · simulated" if is_simulated(path) or (verdict and verdict.simulated)
                                          else ""),
            "Size": status.st_size,
            "Checked": UNCHECKED if verdict is None else _STATES[verdict.state],
            "What is in it, or wrong": _text(path, found, verdict),
            "From": _origin(folders, path),
            "kind": found.kind if found.kind in KIND_NAMES else "other",
            "path": str(path),
        })
    order = list(KIND_NAMES)
    return pd.DataFrame(sorted(rows, key=lambda row: (order.index(row["kind"]), row["File"].lower())))


def _text(path: Path, found: Recognised, verdict: Verdict | None) -> str:
    if verdict is not None:
        return " ".join([verdict.text, *verdict.notes])
    if found.problem:
        return found.problem
    offered = path.name.lower().endswith(KINDS.get(found.kind, ()))
    if found.kind in KINDS and found.ending and not offered:
        return f"Pages offer it once its name ends in {found.ending}."
    return ""


def _origin(folders: Workspace, path: Path) -> str:
    if path.is_relative_to(folders.uploads):
        return "upload"
    if path.is_relative_to(folders.downloads):
        return "public data"
    if path.is_relative_to(folders.runs):
        return "simulation"
    return path.parent.name


@st.cache_data(max_entries=20_000, show_spinner=False)
def _recognised(path: str, size: int, modified: int) -> Recognised:
    return recognise(path)


def _cards(table: pd.DataFrame) -> None:
    wrong = table["Checked"].eq(_STATES["bad"]).sum()
    show.cards({
        "Files": (f"{len(table):,}", f"{size_text(int(table['Size'].sum()))} in all"),
        "Alignments": (f"{table['kind'].eq('alignment').sum():,}", "BAM, CRAM and SAM files"),
        "Checked": (
            f"{table['Checked'].ne(UNCHECKED).sum():,}", "Read to the last byte once, with a checksum"
        ),
        "Cannot be used": (f"{wrong:,}", "Damaged, cut off, or not what they should be"),
    })


def _filtered(table: pd.DataFrame) -> pd.DataFrame:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input("Find", placeholder="part of a name", key="data-find", width=210, type="search")
        kinds = [kind for kind in KIND_NAMES if table["kind"].eq(kind).any()]
        chosen = st.pills("Kind", kinds, selection_mode="multi", format_func=KIND_NAMES.__getitem__, key="data-kinds")
        problems = st.toggle("Only with problems", key="data-problems")
    shown = table
    for word in words.lower().split():
        shown = shown[shown["File"].str.lower().str.contains(word, regex=False)]
    if chosen:
        shown = shown[shown["kind"].isin(chosen)]
    if problems:
        shown = shown[shown["Checked"].eq(_STATES["bad"]) | (
            shown["Checked"].eq(UNCHECKED) & shown["What is in it, or wrong"].ne("")
        )]
    return shown


def _listed(shown: pd.DataFrame, table: pd.DataFrame) -> list[Path]:
    """Show the table and return the marked files."""
    if shown.empty:
        st.info("No file is left: widen the filter.", icon=":material/filter_alt_off:")
        return []
    st.caption(f"{len(shown):,} of {len(table):,} files. Mark files to check them or to remove uploads.")
    # Marks count rows: with another filter the table is another one, or they would stay on rows that moved.
    event = st.dataframe(
        shown.drop(columns=["kind", "path"]), hide_index=True, on_select="rerun", selection_mode="multi-row",
        key=f"data-files-{hash(tuple(shown['path']))}", height=min(560, 38 + 35 * len(shown)),
        column_config={
            "File": st.column_config.TextColumn(pinned=True, width="medium"),
            "What it is": st.column_config.TextColumn(width="medium", help="By its content, not by its name"),
            "Size": st.column_config.NumberColumn(format="bytes", width="small"),
            "Checked": st.column_config.TextColumn(
                width="small", help="Whether it was read to its last byte since it last changed"
            ),
            "What is in it, or wrong": st.column_config.TextColumn(width="large"),
        },
    )
    return [Path(shown["path"].iloc[row]) for row in event.selection.rows if row < len(shown)]


def _actions(folders: Workspace, table: pd.DataFrame, shown: pd.DataFrame, chosen: list[Path]) -> None:
    new = [Path(path) for path in shown.loc[shown["Checked"].eq(UNCHECKED), "path"]]
    to_check = chosen or new
    with st.container(horizontal=True, vertical_alignment="center"):
        label = f"Check {len(to_check):,} file{'' if len(to_check) == 1 else 's'}"
        if st.button(label, icon=":material/fact_check:", disabled=not to_check, type="primary", help=(
            "Reads each to its last byte once, in the background, and keeps the verdict and the SHA-256. "
            "Marked files; if none is marked, those that were not checked yet."
        )):
            title = shown_name(to_check[0]) if len(to_check) == 1 else f"{len(to_check):,} files"
            runs_view.start("check", [*map(str, to_check), "--index", str(folders.checks)], title)
        mine = [path for path in chosen if path.parent == folders.uploads]
        if mine and st.button(
            f"Remove {len(mine):,} upload{'' if len(mine) == 1 else 's'}", icon=":material/delete:", key="data-remove"
        ):
            _remove(store(), mine)
            st.rerun()
    files = table.drop(columns="kind").rename(columns={"path": "Path"})
    show.table_downloads(files, "files", "data-table")


def _remove(uploads: UploadStore, paths: list[Path]) -> None:
    for path in paths:
        uploads.remove(uploads.find(path.name[:32]))
