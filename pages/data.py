"""Data: what files are here and whether they can be used; add files, fetch public data, describe samples."""

from __future__ import annotations

import streamlit as st

from pages.shared import catalogue_view, data_files, runs_view, sheet_view, show, uploader

VIEW = "view"
"""Query parameter and key: which part of the page is open."""
VIEWS = {
    "files": ("Files", ":material/folder_open:", data_files.view),
    "add": ("Add files", ":material/upload:", uploader.view),
    "public": ("Public data", ":material/public:", catalogue_view.view),
    "samples": ("Sample sheet", ":material/table_edit:", sheet_view.view),
}


def main() -> None:
    show.title("Data", "What is here, and can it be used?")
    for command in ("data", "check"):
        runs_view.active(command)
    asked = st.query_params.get(VIEW)
    if VIEW not in st.session_state and asked in VIEWS:
        st.session_state[VIEW] = asked

    def keep_in_address() -> None:
        st.query_params[VIEW] = st.session_state[VIEW]

    chosen = st.segmented_control(
        "View", list(VIEWS), default=None if VIEW in st.session_state else "files", required=True, key=VIEW,
        label_visibility="collapsed", on_change=keep_in_address,
        format_func=lambda name: f"{VIEWS[name][1]} {VIEWS[name][0]}",
    )
    VIEWS[chosen or "files"][2]()


main()
