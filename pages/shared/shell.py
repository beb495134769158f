"""What surrounds every page: logo, menu, and the one place where an error of the input becomes a sentence."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared import glossary, tour
from pages.shared.basket import SHOWN_RUN
from pages.shared.show import plain_errors
from pages.shared.state import login_missing, workspace

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SIDEBAR_WIDTH = 252

st.set_page_config(page_title="NeanDL", page_icon=str(ASSETS / "icon.svg"), layout="wide",
                   initial_sidebar_state=SIDEBAR_WIDTH)
st.html(ASSETS / "look.css")
if st.context.theme.type == "dark":
    st.html(ASSETS / "dark.css")
st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))

MENU = {
    "Start": [("home", "Home", ":material/home:"), ("runs", "Runs", ":material/history:")],
    "Data": [("data", "Data", ":material/folder_open:")],
    "Reads": [
        ("reads", "Reads & damage", ":material/ssid_chart:"),
        ("decontaminate", "Decontaminate", ":material/call_split:"),
    ],
    "Introgression": [
        ("windows", "Windows & audit", ":material/view_week:"),
        ("training", "Training", ":material/model_training:"),
        ("results", "Results", ":material/fact_check:"),
        ("interpretation", "Interpretation", ":material/biotech:"),
        ("embeddings", "Embeddings", ":material/scatter_plot:"),
    ],
    "Genes": [
        ("genes", "Genes", ":material/genetics:"),
        ("overlap", "Gene avoidance", ":material/shuffle:"),
    ],
    "Share": [("presentation", "Figures & slides", ":material/co_present:")],
}

page = st.navigation(
    {
        group: [
            st.Page(f"../{name}.py", title=title, icon=icon, url_path=name, default=name == "home")
            for name, title, icon in entries
        ]
        for group, entries in MENU.items()
    },
    expanded=True,
)
if login_missing():
    # No page runs before: every page is reached through here.
    st.title("NeanDL", anchor=False)
    st.markdown("Log in to see your runs. What you make is kept apart from what others make.")
    st.button("Log in", type="primary", on_click=st.login, icon=":material/login:")
    st.stop()
# A page says which run it draws; what the page before it drew is forgotten.
st.session_state.pop(SHOWN_RUN, None)
with plain_errors():
    if workspace().read_only:
        st.warning(
            "The workspace is read-only: finished runs can be looked at, and none can be started.",
            icon=":material/lock:",
        )
    name = page.url_path or "home"
    with st.sidebar:
        glossary.button(name)
    tour.card(name)
    page.run()
