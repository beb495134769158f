"""The sample sheet as a table that can be edited, and its way in and out as a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core.sample_sheet import (
    STRANDS,
    UDG,
    Sample,
    load_samples,
    make_sample,
    match_rows,
    merged,
    read_sheet,
    save_samples,
)
from neandl_core.uploads import shown_name
from pages.shared import show
from pages.shared.picker import missing
from pages.shared.state import workspace

COLUMNS = {
    "name": "Name", "library": "Library", "strands": "ss/ds", "udg": "UDG", "species": "Species", "note": "Note",
}
UNKNOWN = "unknown"
"""What stands in a cell of ss/ds or UDG of which nothing is known: an empty one would look like "none"."""
_VERSION = "sheet-version"
_SAID = "sheet-said"


def view() -> None:
    """Show the table, keep what is changed, and offer to read and write it as a file."""
    folders = workspace()
    paths = folders.files("alignment")
    if not paths:
        missing("alignment", "Sample sheet")
        return
    samples = load_samples(folders.folder)
    st.markdown("What you know of each sample beside its reads. Library type and UDG fill in the forms of other pages.")
    version = st.session_state.setdefault(_VERSION, 0)
    table = _as_table(paths, samples)
    edited = st.data_editor(
        table, hide_index=True, key=f"sheet-{version}-{hash(tuple(map(str, paths)))}", num_rows="fixed",
        disabled=["File"], height=min(600, 38 + 35 * len(table)), column_config={
            "File": st.column_config.TextColumn(pinned=True, width="medium"),
            "Name": st.column_config.TextColumn(width="medium"),
            "Library": st.column_config.TextColumn(width=110),
            "Species": st.column_config.TextColumn(width=120),
            "ss/ds": st.column_config.SelectboxColumn(
                options=[word or UNKNOWN for word in STRANDS], required=True, width="small",
                help="ss: single-stranded library, ds: double-stranded. The lab that made the library knows."
            ),
            "UDG": st.column_config.SelectboxColumn(
                options=[word or UNKNOWN for word in UDG], required=True, width="small",
                help="Enzyme that removes damage: none, half (the ends keep it), full"
            ),
            "Note": st.column_config.TextColumn(width="large"),
        },
    )
    if not edited.equals(table):
        with show.plain_errors():
            save_samples(folders.folder, samples | _from_table(paths, edited))
            st.caption(":material/check: Saved.")
    left, right = st.columns(2, gap="medium")
    with right:
        st.markdown("**Save as a file**")
        show.table_files(edited.rename(columns={"File": "file"}), "samples", "sheet-files")
    with left:
        _import(folders.folder, paths)


def _as_table(paths: list[Path], samples: dict[str, Sample]) -> pd.DataFrame:
    rows = []
    for path in paths:
        sample = asdict(samples.get(str(path.resolve()), Sample()))
        words = {"strands": sample["strands"] or UNKNOWN, "udg": sample["udg"] or UNKNOWN}
        rows.append({"File": shown_name(path)} | {title: (sample | words)[name] for name, title in COLUMNS.items()})
    return pd.DataFrame(rows, dtype=str)


def _from_table(paths: list[Path], edited: pd.DataFrame) -> dict[str, Sample]:
    samples = {}
    for path, (_, row) in zip(paths, edited.iterrows(), strict=True):
        values = {field: row[title] if pd.notna(row[title]) else "" for field, title in COLUMNS.items()}
        samples[str(path.resolve())] = make_sample(values, shown_name(path))
    return samples


def _import(folder: Path, paths: list[Path]) -> None:
    st.markdown("**Read from a file**")
    sent = st.file_uploader(
        "Sheet", type=["csv", "tsv", "txt", "xlsx"], max_upload_size=1, label_visibility="collapsed",
        key=f"sheet-file-{st.session_state[_VERSION]}",
        help="CSV, tab-separated or XLSX with the columns file, name, library, ss/ds, UDG, species, note.",
    )
    said = st.session_state.pop(_SAID, None)
    if said:
        st.success(said[0], icon=":material/check_circle:")
        if said[1]:
            st.warning(said[1], icon=":material/warning:")
    if sent is None:
        return
    with show.plain_errors():
        rows = read_sheet(sent.getvalue(), sent.name)
        names = [shown_name(path) for path in paths]
        files = {
            name if names.count(name) == 1 else str(path): path for name, path in zip(names, paths, strict=True)
        }
        found, unmatched = match_rows(rows, files)
        samples = load_samples(folder)
        save_samples(folder, samples | {
            path: merged(samples.get(path, Sample()), sample) for path, sample in found.items()
        })
        listed = ", ".join(show.safe_label(name, 60) for name in unmatched[:5])
        st.session_state[_SAID] = (
            f"{len(found):,} of {len(rows):,} rows were read in.",
            f"{len(unmatched):,} rows name files that are not here: {listed}." if unmatched else "",
        )
        st.session_state[_VERSION] += 1
        st.rerun()
