"""Parts of pages that run in the browser: their sources, and whether the programs that they build on are there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
import streamlit.components.v2 as components

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SCATTER = "regl-scatterplot/regl-scatterplot.js"
IGV = "igv/igv.js"
PLOTLY = "plotly/plotly.js"


def has(program: str) -> bool:
    """Return whether a bundled program is there; `make setup` makes them."""
    return (ASSETS / "vendor" / program).is_file()


@cache
def part(name: str) -> components.types.ComponentRenderer:
    """Register the part of that name in ``assets/js`` and return what puts it on a page."""
    texts = {kind: (ASSETS / "js" / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")}
    return components.component(f"neandl_{name}", **texts, isolate_styles=False)


def colours_of_page() -> tuple[str, str, str]:
    """Return the page's mode, background and ink."""
    dark = st.context.theme.type == "dark"
    return ("dark", "#10171E", "#E8EDF2") if dark else ("light", "#FFFFFF", "#17212B")
