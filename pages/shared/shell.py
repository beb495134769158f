"""What surrounds every page: logo, menu, and the one place where an error of the input becomes a sentence."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared.show import plain_errors

ASSETS = Path(__file__).resolve().parents[2] / "assets"

st.set_page_config(page_title="NeanDL", page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))

MENU = {
    "Start": [("home", "Home", ":material/home:")],
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
}

page = st.navigation(
    {
        group: [
            st.Page(f"../{name}.py", title=title, icon=icon, url_path=name, default=name == "home")
            for name, title, icon in entries
        ]
        for group, entries in MENU.items()
    }
)
with plain_errors():
    page.run()
