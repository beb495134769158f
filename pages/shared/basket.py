"""Putting figures aside for a presentation, from every page, and what the pages know of presentations."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from neandl_core.errors import NeanDLError
from neandl_core.figure_notes import run_title
from neandl_core.presentation import FOLDER, Presentation, presentations, unmarked
from pages.shared.state import workspace

DECK = "deck"
"""Key: folder name of the presentation that this tab adds to."""
SHOWN_RUN = "shown-run"
"""Key: folder of the run that the page draws at the moment; `runs_view.run_picker` says so."""
FIRST = "My-figures"
"""Folder name of the presentation that is made when the first figure is added."""
TITLES = {
    "damage": "Damage", "lengths": "Read lengths", "samples": "Damage of samples", "read-figures": "Reads in figures",
    "composition": "Bases around the breaks", "pmd": "PMD scores", "pmd-damage": "Damage by PMD score",
    "thresholds": "What every threshold finds", "calls": "What was called what", "by-length": "Scores by read length",
    "reliability": "Does a probability mean what it says?", "set-match": "Are the classes alike?",
    "scores": "Contamination", "sides": "Damage of both sides", "read-scores": "Score and what it must beat",
    "agreement": "Do the scores agree with the maps?", "track": "Windows over the gene", "locus": "The locus",
    "maps": "What the maps say of the gene", "expression": "Expression of the gene", "curves": "Learning curves",
    "audit": "What the test shares with training", "gc": "GC content of the classes", "map": "Map of k-mers",
    "importance": "Which positions matter", "gradients": "What each position adds", "weights": "K-mers that weigh most",
    "by-frequency": "Most frequent k-mers", "by-test": "Enriched k-mers", "mutations": "Every base changed",
    "window-gradients": "One window, base by base", "compared": "Models side by side", "controls": "Is it real?",
    "overlap-pairs": "Do introgressed segments avoid genes?", "overlap-genes": "Do segments avoid genes?",
    "overlap-segments_hit": "Segments that meet a gene", "overlap-genic_bases": "Genic bases in segments",
    "histogram": "All genes",
}
"""What a figure is called on a slide, by its key on the page; others are called as their files are."""
OF_GENES = ("track", "locus", "maps", "expression")
"""Keys of figures whose name ends with the gene's symbol."""
SEVERAL = ("damage-of-samples", "compared-scores", "compared-curves")
"""Names of figures that show more than one run."""


def root() -> Path:
    """Return the folder of all presentations."""
    return workspace().folder / FOLDER


def current() -> Presentation:
    """Return the presentation that figures are added to: chosen in this tab, or the one last changed."""
    named = st.session_state.get(DECK)
    if named and (root() / named / "deck.json").exists():
        return Presentation(root() / named)
    return next(iter(presentations(root())), Presentation(root() / FIRST))


def add_button(
    figure: go.Figure, table: pd.DataFrame | None, name: str, key: str, caption: str, run: Path | None, *,
    simulated: bool,
) -> None:
    """Offer to put a figure aside. Call it within a fragment, or pressing it runs the page.

    Parameters
    ----------
    figure, table, name, key, caption, simulated
        As of `show.figure`; the figure without the word "Simulated".
    run
        Folder of the run that it shows; None if there is none, or several.
    """
    if st.button(
        "Add to slides", key=f"{key}-add", icon=":material/add_to_queue:", width="content",
        help="Keeps the figure with its table and method. Arrange and download them under Figures & slides.",
    ):
        deck = current()
        of = None if name in SEVERAL else run
        try:
            with st.spinner("Adding"):
                deck.add(
                    figure, table, title=title_of(name, key, of), caption=unmarked(caption), name=name, run=of,
                    simulated=simulated,
                )
        except NeanDLError as error:
            st.toast(str(error), icon=":material/error:", duration="long")
            return
        st.session_state[DECK] = deck.folder.name
        count = len(deck.items())
        st.toast(
            f"Added. {count} figure{'s' * (count != 1)} under Figures & slides.", icon=":material/check_circle:"
        )


def title_of(name: str, key: str, run: Path | None) -> str:
    """Return what a figure is called on a slide: what it shows, and of what."""
    if key in OF_GENES:
        return f"{name.partition('-')[2]}: {TITLES[key][:1].lower()}{TITLES[key][1:]}"
    if key.endswith("-figure"):
        title = "Reads, base by base"
    elif name == "scores":
        title = "Score and what it must beat"
    else:
        title = TITLES.get(key) or name.replace("-", " ").capitalize()
    of = run_title(run) if run is not None else ""
    return f"{title}: {of}" if of else title
