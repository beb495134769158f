"""Send files from the user's own computer to the server's disk; what was not finished can be gone on with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from neandl_core.uploads import Upload, token
from pages.shared import runs_view, show
from pages.shared.state import size_text, workspace
from pages.shared.upload_route import store

SCRIPT = Path(__file__).resolve().parents[2] / "assets" / "uploader.js"
_HTML = """
<div class="uploader">
  <div class="zone">
    <button type="button" class="choose">Choose files</button>
    <span>or drop them here. Any size up to LIMIT; you can close the page and go on later.</span>
    <input type="file" multiple hidden aria-label="Files to add">
  </div>
  <div class="list"></div>
</div>
"""
_CSS = """
.uploader { font-family: var(--st-font); color: var(--st-text-color); font-size: 1rem; }
.zone { display: flex; flex-wrap: wrap; align-items: center; gap: 1rem; padding: 1.25rem;
  border: 1.5px dashed var(--st-border-color); border-radius: var(--st-base-radius);
  background: var(--st-secondary-background-color); }
.zone.over { border-color: var(--st-primary-color); }
button { font: inherit; cursor: pointer; border-radius: var(--st-base-radius); padding: .4rem .9rem;
  border: 1px solid var(--st-border-color); background: var(--st-background-color); color: var(--st-text-color); }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.choose { background: var(--st-primary-color); border-color: var(--st-primary-color);
  color: var(--st-background-color); }
.row { display: grid; grid-template-columns: minmax(8rem, 2fr) minmax(6rem, 2fr) 3fr auto; gap: 1rem;
  align-items: center; padding: .6rem 0; border-bottom: 1px solid var(--st-border-color); }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600; }
.row[data-state="failed"] .state { color: var(--st-red-text-color, #b3261e); }
.row[data-state="done"] .state { color: var(--st-green-text-color, #006b4f); }
progress { width: 100%; accent-color: var(--st-primary-color); }
"""


def view() -> None:
    """Show the uploader, what was not finished, and the way without any upload."""
    folders = workspace()
    uploads = store()
    st.markdown(
        "Files on the server need no upload: its data folders are read where they lie. From your own computer:"
    )
    sent = _component(size_text(uploads.limit).replace(".0 ", " "))(
        data={"token": token(folders.uploads)}, key="uploader", on_finished_change=lambda: None
    )
    complete = [upload for upload in uploads.all() if upload.complete]
    fresh = next((upload for upload in complete if upload.identity == sent.finished), None)
    if fresh is not None:
        _say(fresh)
    unfinished = [upload for upload in uploads.all() if not upload.complete]
    if unfinished:
        show.heading("Not finished")
        st.caption("Choose the same file again and it goes on from where it stopped.")
        for upload in unfinished:
            with st.container(horizontal=True, vertical_alignment="center"):
                share = uploads.offset(upload) / upload.size
                st.progress(
                    min(1.0, share), width="stretch",
                    text=f"**{show.safe_label(upload.name)}** · {share:.0%} of {size_text(upload.size)} · "
                    f"{runs_view.when_text(upload.begun)}",
                )
                if st.button("Remove", key=f"remove-{upload.identity}", icon=":material/delete:"):
                    uploads.remove(upload)
                    st.rerun()
    st.caption(f"Kept on the server in {show.safe_label(folders.uploads, 200)}, under names that NeanDL chooses.")


def _say(upload: Upload) -> None:
    name = show.safe_label(upload.name)
    if upload.problem:
        st.warning(f"**{name}** is here, but: {show.safe_label(upload.problem, 300)}", icon=":material/warning:")
    else:
        st.success(
            f"**{name}** is here: {show.safe_label(upload.format)}. It is offered on every page that can use it.",
            icon=":material/check_circle:",
        )
    st.caption(f"SHA-256 {upload.sha256}")


@cache
def _component(limit: str) -> st.components.v2.types.ComponentRenderer:
    """Register the uploader; its script is part of the project and holds nothing that came from a user."""
    return st.components.v2.component(
        "neandl_uploader", html=_HTML.replace("LIMIT", limit), css=_CSS, js=SCRIPT.read_text(encoding="utf-8"),
    )
