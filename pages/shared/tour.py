"""A tour of the demo project in five steps: a card above the pages, which says what to look at and leads on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from neandl_core.errors import NeanDLError
from neandl_core.files import write_text
from neandl_core.runs import list_runs
from pages.shared.state import PAGES, workspace

TOUR = "tour"
"""Query parameter and key: the step shown, from 1."""
SEEN = "tour-seen"
"""Key, and name of the file in the workspace: the tour was ended or declined, and is not offered by itself again."""


@dataclass(frozen=True)
class Step:
    """One stop: the page, what it is about, what to look at, and what else the page's address must say."""

    page: str
    title: str
    look: str
    address: dict[str, str] = field(default_factory=dict)


STEPS = (
    Step("reads", "Is the sample ancient?", "Look at the first figure: C read as T climbs towards the 5\u2032 end, as "
         "deamination makes it. Choose the modern sample above it, and the climb is gone."),
    Step("decontaminate", "How much of it is modern?", "Look at **Modern reads** and its interval: the share is "
         "estimated from all scores. The last step, **Download**, gives the ancient reads as a BAM.",
         {"step": "apply"}),
    Step("results", "Is the score real?", "Further down, look at the answer under **Is it real?** Beside the model "
         "stand the same model on shuffled labels, the split that leaks, and simple baselines."),
    Step("genes", "Which genes?", "Below the table, look at one gene: its probability along the exons, and what "
         "published maps, deserts and expression say of it. Clear the search to choose another.",
         {"gene": "DEMO-ANK3"}),
    Step("presentation", "How do I show it?", "Each figure you saw has **Add to slides** below it. What you add is "
         "arranged here and taken away as slides, PDF or a report, with methods and tables."),
)


def current() -> int | None:
    """Return the step that the address or this tab is at, from 1; None outside the tour."""
    asked = st.query_params.get(TOUR, "")
    if asked.isdecimal() and 1 <= int(asked) <= len(STEPS):
        st.session_state[TOUR] = int(asked)
    return st.session_state.get(TOUR)


def card(page: str) -> None:
    """Show the step that the tour is at, above the page; nothing outside the tour.

    Parameters
    ----------
    page
        Name in `state.PAGES` of the page below.
    """
    number = current()
    if number is None:
        return
    step = STEPS[number - 1]
    with st.container(border=True, key="tour-card", gap="small"):
        if not list_runs(workspace().runs, "demo"):
            st.markdown("**The tour goes through the demo project.** Load it first; it is ready to look at in seconds.")
            with st.container(horizontal=True, vertical_alignment="center"):
                if page != "home":
                    st.page_link(PAGES["home"], label="To the demo project", icon=":material/arrow_forward:")
                st.button("End tour", key="tour-end", type="tertiary", on_click=end)
            return
        here = page == step.page
        st.caption(f"Tour of the demo project \u00b7 step {number} of {len(STEPS)}")
        st.markdown(f"**{step.title}** {step.look}" if here else f"**{step.title}** This step is on another page.")
        # A page can be changed in the script alone, not in what a button calls.
        with st.container(horizontal=True, vertical_alignment="center"):
            if number > 1 and st.button("Back", key="tour-back", icon=":material/arrow_back:"):
                go_to(number - 1)
            if not here and st.button("Show me", key="tour-show", type="primary", icon=":material/arrow_forward:"):
                go_to(number)
            if here and number < len(STEPS) and st.button(
                f"Next: {STEPS[number].title}", key="tour-next", type="primary", icon=":material/arrow_forward:"
            ):
                go_to(number + 1)
            st.button(
                "Done" if number == len(STEPS) else "End tour", key="tour-end",
                type="primary" if here and number == len(STEPS) else "tertiary", on_click=end,
            )


def invitation() -> None:
    """Offer the tour on Home where the demo project is there: with words on the first visit, else a button alone."""
    if current() is not None:
        return
    if seen():
        if st.button("Take the tour", key="tour-again", icon=":material/tour:"):
            go_to(1)
        return
    st.markdown(f"**New here?** {len(STEPS)} steps through the demo project show what the pages are for.")
    with st.container(horizontal=True):
        if st.button("Take the tour", key="tour-start", type="primary", icon=":material/tour:"):
            go_to(1)
        st.button("Not now", key="tour-no", type="tertiary", on_click=end)


def go_to(number: int) -> None:
    """Turn to the page of a step; the address keeps both."""
    step = STEPS[number - 1]
    st.session_state[TOUR] = number
    st.switch_page(PAGES[step.page], query_params={**step.address, TOUR: str(number)})


def end() -> None:
    """End the tour and remember that it was seen (for a button's ``on_click``)."""
    st.session_state.pop(TOUR, None)
    st.query_params.pop(TOUR, None)
    st.session_state[SEEN] = True
    try:
        write_text(_mark(), "The tour was ended or declined; Home offers it again.\n")
    except NeanDLError:
        # Where the workspace cannot be written to, this tab alone remembers.
        return


def seen() -> bool:
    """Return whether the tour was ended or declined, in this tab or in the workspace."""
    return bool(st.session_state.get(SEEN)) or _mark().exists()


def _mark() -> Path:
    return workspace().folder / SEEN
