"""The two pictures that were published, one press each: of word2vec's 5-mers and of the BiLSTM's 10-mers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from neandl_core.runs import list_runs, read_summary
from pages.shared import runs_view
from pages.shared.state import workspace

PICTURES = {"word2vec": "word2vec, 5-mers", "bilstm": "LSTM, 10-mers"}


def published(key: str) -> None:
    """Offer each picture: opened where there is one, made where there is a model, explained where there is none.

    Parameters
    ----------
    key
        Key of the page's list of maps, which turns to the picture.
    """
    summaries = {folder: read_summary(folder) or {} for folder, _ in list_runs(workspace().runs, "train", "done")}
    maps = {folder: read_summary(folder) or {} for folder, _ in list_runs(workspace().runs, "embed", "done")}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("The published pictures", width="content")
        for preset, label in PICTURES.items():
            model = next((folder for folder, one in summaries.items() if one.get("preset") == preset), None)
            made = None if model is None else next((run for run, one in maps.items() if is_whole(one, model)), None)
            text = (
                f"Train a {preset} model first: it learns the vectors." if model is None
                else "Opens the newest one." if made is not None else "UMAP of the newest such model; a minute or two."
            )
            pressed = st.button(
                label, key=f"embed-published-{preset}", disabled=model is None, help=text,
                icon=":material/scatter_plot:", on_click=None if made is None else runs_view.turn_to, args=(key, made),
            )
            if pressed and made is None and model is not None:
                runs_view.start("embed", [str(model), "--method", "umap"], f"UMAP of {label}")


def is_whole(summary: dict[str, Any], model: Path) -> bool:
    """Whether a run is a flat UMAP of all that a model learnt."""
    return (
        summary.get("model", {}).get("folder") == str(model.resolve()) and summary.get("method") == "umap"
        and summary.get("dimensions") == 2 and bool(summary.get("learnt")) and not summary.get("subset")
    )
