"""How results look on every page: number cards, figures with their downloads, notes, errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from neandl_core.errors import NeanDLError
from neandl_core.figures.style import for_screen, mark_simulated
from pages.shared import basket, glossary
from pages.shared.browser_parts import PLOTLY, has, part
from pages.shared.cached import Drawn
from pages.shared.state import PAGES

FIGURE_FORMATS = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
TABLE_FORMATS = {
    "TSV": "text/tab-separated-values",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BUNDLED_TRACES = ("scatter", "bar", "heatmap")
"""What the bundled part of Plotly draws; clouds of points and figures with three axes are Streamlit's own."""
WIDTHS_MM = {"one column (89 mm)": 89, "two columns (183 mm)": 183}
_AUTOLINK = re.compile(r"(?i)(https?:|ftp:|www|@)(?=[/.\w])")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^=&])")


def safe_label(text: object, limit: int = 80) -> str:
    """Return text from a file so that markdown shows it letter by letter: no picture, link or formula comes of it."""
    plain = "".join(ch for ch in str(text) if unicodedata.category(ch) not in {"Cc", "Cf", "Co", "Cs"})
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    # Markdown makes links of bare addresses too, which no backslash stops; an invisible space does.
    return _MARKDOWN.sub(r"\\\1", _AUTOLINK.sub("\\1\N{ZERO WIDTH SPACE}", plain))


def figure_label(text: object, limit: int = 60) -> str:
    """Return text from a file for the inside of a figure, where markdown means nothing and ``<`` begins a tag."""
    plain = "".join(ch for ch in str(text) if unicodedata.category(ch) not in {"Cc", "Cf", "Co", "Cs"})
    plain = plain if len(plain) <= limit else plain[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return plain.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")


def title(text: str, question: str) -> None:
    """Open a page: its name and the question it answers."""
    glossary.begin_page()
    st.title(text, anchor=False)
    st.caption(question, help=glossary.tooltip("question", question))


def heading(text: str, about: str = "") -> None:
    """Open a part of a page; terms that come up first in it, or in what it is about, are explained on hovering."""
    st.subheader(text, anchor=False, help=glossary.tooltip(f"heading {text}", text, about))


def error_box(error: NeanDLError | str) -> None:
    """Show what is wrong in the one sentence that the core gives."""
    st.error(safe_label(error, limit=600), icon=":material/error:")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an error of the user's input into `error_box`; what follows in the block is not shown."""
    try:
        yield
    except NeanDLError as error:
        error_box(error)


def simulated_badge() -> None:
    """Say that what is shown comes from NeanDL's own simulation."""
    st.badge(
        "Simulated", icon=":material/science:", color="orange",
        help="Made by NeanDL's simulation to show the steps and to check them. Nothing here was measured.",
    )


def empty_state(heading: str, text: str, page: str | None = None, label: str = "") -> None:
    """Say what is missing and where to get it.

    Parameters
    ----------
    heading, text
        What is missing, and what to do.
    page, label
        A name in `state.PAGES`, and what its link says.
    """
    with st.container(border=True):
        st.subheader(heading, anchor=False)
        st.markdown(text)
        if page is not None:
            st.page_link(PAGES[page], label=label, icon=":material/arrow_forward:")


def cards(numbers: Mapping[str, tuple[str, str] | str]) -> None:
    """Show numbers side by side, in more than one row where the page is narrow.

    Parameters
    ----------
    numbers
        Name -> value as text, or (value, explanation shown on hovering).
    """
    with st.container(horizontal=True, key=f"cards-{len(numbers)} {' '.join(numbers)}"):
        for name, value in numbers.items():
            shown, explanation = (value, None) if isinstance(value, str) else value
            explanation = glossary.tooltip(f"card {name}", name, explanation or "", own=explanation)
            st.metric(name, shown, help=explanation, border=True, height="stretch")


def tabs(drawn: Mapping[str, Callable[[], None]], names: Sequence[str], key: str) -> None:
    """Show tabs of which only the open one is drawn. Call it within a fragment: opening a tab runs that anew.

    Parameters
    ----------
    drawn
        Name of a tab -> what draws it.
    names
        The tabs to show, in their order.
    key
        Unique on the page.
    """
    for tab, name in zip(st.tabs(names, key=key, on_change="rerun"), names, strict=True):
        if tab.open:
            with tab:
                drawn[name]()


@st.fragment
def folded(
    label: str, draw: Callable[[], None], key: str, *, icon: str = ":material/list:", expanded: bool = False
) -> None:
    """Show a part that is folded away, and drawn when it is opened for the first time.

    What it holds is drawn anew by itself: neither opening it nor a widget inside runs the page.

    Parameters
    ----------
    label
        Always seen.
    draw
        Draws what is inside.
    key
        Unique on the page.
    icon
        Before the label.
    expanded
        Whether it is open at first.
    """
    # What is open at first and what is not are told apart, as a fold remembers how it was left.
    key = f"{key}-{'unfolded' if expanded else 'folded'}"
    fold = st.expander(label, expanded=expanded, icon=icon, key=key, on_change="rerun")
    # Once drawn it stays: what was typed inside would be lost with its widgets.
    if fold.open or st.session_state.get(f"{key}-drawn"):
        st.session_state[f"{key}-drawn"] = True
        with fold, plain_errors():
            draw()


def figure(
    drawn: go.Figure | Drawn, table: pd.DataFrame | None, name: str, key: str, caption: str = "", *, simulated: bool,
    run: Path | None = None,
) -> None:
    """Show a figure with its caption, a button that adds it to the slides and, in a menu, its files.

    Parameters
    ----------
    drawn
        From `neandl_core.figures`, best through `cached.drawn`; for a light or dark page here, for paper in the files.
    table
        What was drawn; None if there is nothing to give away.
    name
        File name of the downloads, without ending.
    key
        Unique on the page.
    caption
        Below the figure; for markdown, so names from files go through `safe_label` first.
    simulated
        Whether it rests on NeanDL's own simulation; then the figure and the files say so.
    run
        Folder of the run that it shows; the one last chosen on the page if None.
    """
    drawn = drawn if isinstance(drawn, Drawn) else Drawn(drawn)
    plain, plain_name = drawn.figure, name
    if simulated:
        name = f"simulated-{name}"
    on_screen(drawn, key, name.replace("-", " "), simulated=simulated)
    run = run or st.session_state.get(basket.SHOWN_RUN)
    _foot(
        key, caption, lambda: basket.add_button(plain, table, plain_name, key, caption, run, simulated=simulated),
        lambda: _files(plain, table, name, key, simulated=simulated),
    )


@st.fragment
def _foot(key: str, caption: str, add: Callable[[], None], offer: Callable[[], None]) -> None:
    """Show what is below a figure: what it shows, and what can be done with it; no button here runs the page."""
    with st.container(horizontal=True, horizontal_alignment="right", wrap=False):
        if caption:
            st.caption(caption, width="stretch", help=glossary.tooltip(f"figure {key}", caption))
        add()
        _menu(key, offer)


def on_screen(drawn: Drawn, key: str, label: str, *, simulated: bool, bar: bool = True) -> None:
    """Show a figure and nothing else.

    Parameters
    ----------
    drawn
        The figure.
    key
        Unique on the page.
    label
        What those hear who do not see it.
    simulated
        Whether its title shall say so.
    bar
        Whether it has buttons to zoom and for the full screen.
    """
    dark = st.context.theme.type == "dark"
    if has(PLOTLY) and all(trace.type in BUNDLED_TRACES for trace in drawn.figure.data):
        spec, height = drawn.on_screen(dark, simulated), drawn.figure.layout.height or 450
        part("figure")(key=f"{key}-drawn", data={"spec": spec, "height": height, "label": label, "bar": bar})
        return
    config = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d"]}
    st.plotly_chart(
        for_screen(drawn.figure, dark, simulated=simulated), theme=None, key=key, width="stretch",
        config=config if bar else {"displayModeBar": False},
    )


@st.fragment
def download_menu(key: str, offer: Callable[[], None]) -> None:
    """Show a menu of files that is filled when it is opened: most stay closed, and ten widgets each cost time.

    Parameters
    ----------
    key
        Unique on the page.
    offer
        Draws what the menu holds.
    """
    _menu(key, offer)


def _menu(key: str, offer: Callable[[], None]) -> None:
    menu = st.popover(
        "Download", icon=":material/download:", width="content", key=f"{key}-menu", on_change="rerun"
    )
    if menu.open:
        with menu:
            offer()


def _files(plain: go.Figure, table: pd.DataFrame | None, name: str, key: str, *, simulated: bool) -> None:
    """Offer a figure's files."""
    width = st.radio("Width in print", list(WIDTHS_MM), key=f"{key}-width")
    with st.container(horizontal=True):
        for form, mime in FIGURE_FORMATS.items():
            _button(
                form, f"{name}.{form.lower()}", mime, key,
                _figure_maker(plain, form, WIDTHS_MM[width], simulated=simulated),
            )
    if table is not None:
        with st.container(horizontal=True):
            _table_buttons(table, name, key)


def table_downloads(table: pd.DataFrame, name: str, key: str) -> None:
    """Offer a table as TSV and XLSX files in a menu, where figures have theirs."""
    bar = st.container(horizontal=True, horizontal_alignment="right")
    with bar.container(width="content"):
        download_menu(key, lambda: table_files(table, name, key))


def table_files(table: pd.DataFrame, name: str, key: str) -> None:
    """Offer a table as TSV and XLSX files, side by side: for a menu of one's own."""
    with st.container(horizontal=True):
        _table_buttons(table, name, key)


def _table_buttons(table: pd.DataFrame, name: str, key: str) -> None:
    for form, mime in TABLE_FORMATS.items():
        _button(form, f"{name}.{form.lower()}", mime, key, _table_maker(table, form))


def _button(form: str, file_name: str, mime: str, key: str, make: Callable[[], bytes]) -> None:
    st.download_button(form, make, file_name=file_name, mime=mime, on_click="ignore", key=f"{key}-{form}")


def _figure_maker(plain: go.Figure, form: str, width_mm: int, *, simulated: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        # matplotlib is imported here, so that pages open without it.
        from neandl_core.figures.print import export_bytes

        return export_bytes(mark_simulated(plain) if simulated else plain, form.lower(), width_mm)

    return make


def _table_maker(table: pd.DataFrame, form: str) -> Callable[[], bytes]:
    def make() -> bytes:
        from neandl_core.export.tables import table_bytes

        return table_bytes(table, form)

    return make
