"""What the page of presentations draws and gives away. Everything is drawn when it is asked for, and kept a while."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from neandl_core.presentation import Item, Presentation, Width, figure_digest
from pages.shared import runs_view, show

MANY = 10
"""Figures from which files are made by a run of their own, as that takes more than a few seconds."""
PREVIEW_DOTS = 150
MIME = {
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation", "pdf": "application/pdf",
    "html": "text/html", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip", "png": "image/png", "svg": "image/svg+xml",
}
KINDS = {
    "pptx": ("Slides", "PowerPoint", ":material/co_present:", "A title, one figure a slide, the method in the notes."),
    "html": ("Report", "HTML", ":material/description:", "One file that opens anywhere, also offline."),
    "pdf": ("Figures", "PDF", ":material/picture_as_pdf:", "One figure a page; lines stay lines, fonts are inside."),
    "png": ("Pictures", "PNG", ":material/image:", "One file a figure, with its resolution, in an archive."),
    "svg": ("Drawings", "SVG", ":material/shapes:", "One file a figure, to go on with in Illustrator or Inkscape."),
    "xlsx": ("Numbers", "Excel", ":material/table:", "The table behind each figure, a sheet each."),
}


@st.cache_resource(show_spinner=False)
def installed() -> list[str]:
    """Return the fonts that may be chosen on this machine."""
    # matplotlib is imported here, so that pages open without it.
    from neandl_core.figures.print import installed_fonts

    return installed_fonts()


def preview(deck: Presentation, item: Item, width: Width) -> None:
    """Show a figure as the exported file has it, at the size it will have on paper."""
    drawn = _preview(str(deck.folder), item.id, width, figure_digest(deck, item))
    # On the screen 89 mm are half of 183 mm, and a slide fills the frame.
    st.image(drawn, width=440 if width == "89" else "stretch")
    st.caption("This is the picture in the file, drawn by matplotlib: white in both themes, no browser needed.")


@st.cache_data(max_entries=64, show_spinner="Drawing")
def _preview(folder: str, item: str, width: Width, digest: str) -> bytes:
    from neandl_core.export.plates import picture, plates_of

    presentation = Presentation(folder)
    of = [one for one in presentation.items() if one.id == item]
    (plate,) = plates_of(presentation, of)
    return picture(plate, "png", _style(presentation, PREVIEW_DOTS), width)


def _style(deck: Presentation, dots: int = 300) -> object:
    from neandl_core.export.plates import Style

    return Style(deck.deck.font, deck.deck.palette, dots)


def downloads(deck: Presentation, items: list[Item]) -> None:
    """Offer every kind of file; many figures are drawn by a run, which the page shows."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dots = st.segmented_control(
            "Dots per inch of PNG", [300, 600], default=300, key="slides-dpi", required=True,
            help="300 for most journals, 600 for line drawings.",
        )
        editable = st.toggle(
            "Charts that PowerPoint can edit", key="slides-editable",
            help="Lines, points and bars with few numbers become charts of PowerPoint; bands and labels are left out, "
            "and the slide says so. Other figures stay pictures.",
        )
    if len(items) > MANY:
        _by_run(deck, len(items), dots, editable)
        return
    forms = list(KINDS)
    for row in (forms[:3], forms[3:]):
        for column, form in zip(st.columns(3, gap="small"), row, strict=True):
            with column.container(border=True, height="stretch", vertical_alignment="distribute"):
                _card(deck, form, dots, editable)


def _card(deck: Presentation, form: str, dots: int, editable: bool) -> None:
    what, where, icon, text = KINDS[form]
    st.markdown(f"{icon} **{what}** · {where}")
    st.caption(text)
    many = form in ("png", "svg")
    st.download_button(
        f"Download {where}", _maker(deck, form, dots, editable), mime=MIME["zip" if many else form],
        file_name=f"{deck.folder.name}-{form}.zip" if many else f"{deck.folder.name}.{form}", on_click="ignore",
        key=f"slides-get-{form}", width="stretch",
    )


def _by_run(deck: Presentation, count: int, dots: int, editable: bool) -> None:
    forms = st.pills(
        "Files", list(KINDS), selection_mode="multi", default=["pptx", "pdf"], key="slides-forms",
        format_func=lambda form: f"{KINDS[form][0]} ({KINDS[form][1]})",
    )
    if st.button(f"Make the files of {count} figures", type="primary", icon=":material/play_arrow:",
                 disabled=not forms, key="slides-run"):
        arguments = ["--presentation", str(deck.folder), "--format", ",".join(forms), "--dpi", str(dots)]
        runs_view.start("export", [*arguments, *(["--editable"] if editable else [])], deck.deck.name)
    with show.plain_errors():
        done = runs_view.run_picker("export", "Files made", "slides-made")
        if done is not None:
            from neandl_core.files import read_json

            made = read_json(done / "summary.json")["files"]
            st.download_button(
                f"Download {len(made)} files", _zip_of(str(done), tuple(made)), file_name=f"{deck.folder.name}.zip",
                mime=MIME["zip"], on_click="ignore", key=f"slides-zip-{done.name}", icon=":material/download:",
            )


def _zip_of(folder: str, names: tuple[str, ...]) -> Callable[[], bytes]:
    def make() -> bytes:
        from neandl_core.export.bundle import archive_of

        return archive_of(folder, names)

    return make


def _maker(deck: Presentation, form: str, dots: int, editable: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        from neandl_core.export.bundle import archive_bytes, files
        from neandl_core.export.plates import book, plates_of

        plates, style, about = plates_of(deck), _style(deck, dots), deck.deck
        if form == "pdf":
            return book(plates, style)
        words = {"title": about.title or about.name, "subtitle": about.author}
        if form in ("png", "svg"):
            return archive_bytes(plates, [form], style, **words)
        made = dict(files(plates, [form], style, editable=editable, **words))
        return next(iter(made.values()), b"")

    return make


def panel_download(deck: Presentation, items: list[Item]) -> None:
    """Put several figures into one with letters A, B, C, and give it away."""
    with st.expander("One figure with panels A, B, C", icon=":material/grid_view:"):
        titles = {item.id: item.title for item in items}
        left, right = st.columns([2, 3], gap="large")
        with left:
            chosen = st.multiselect(
                "Panels in order", list(titles), format_func=lambda name: titles.get(name, ""), max_selections=8,
                key=f"slides-panels-{deck.folder.name}", placeholder="two to eight figures",
            )
            width = st.segmented_control(
                "Size", ["183", "89"], default="183", format_func=lambda one: f"{one} mm", key="slides-panel-width",
                required=True,
            )
            columns = st.segmented_control(
                "Side by side", [1, 2], default=2, key="slides-panel-columns", required=True, disabled=width == "89"
            )
            columns = 1 if width == "89" else columns
            picked = [item for item in items if item.id in chosen]
            picked.sort(key=lambda item: chosen.index(item.id))
            if len(picked) < 2:
                st.caption("Choose at least two.")
                return
            with st.container(horizontal=True):
                for form in ("pdf", "svg", "png"):
                    st.download_button(
                        form.upper(), _panel_maker(deck, picked, form, width, columns), mime=MIME[form],
                        file_name=f"{deck.folder.name}-panels.{form}", on_click="ignore", key=f"slides-panel-{form}",
                    )
        with right, show.plain_errors():
            digest = "".join(figure_digest(deck, item) for item in picked)
            st.image(
                _panel_preview(str(deck.folder), tuple(item.id for item in picked), width, columns, digest),
                width=440 if width == "89" else "stretch",
            )


@st.cache_data(max_entries=16, show_spinner="Drawing")
def _panel_preview(folder: str, names: tuple[str, ...], width: Width, columns: int, digest: str) -> bytes:
    presentation = Presentation(folder)
    there = {item.id: item for item in presentation.items()}
    picked = [there[name] for name in names if name in there]
    return _panel_maker(presentation, picked, "png", width, columns, PREVIEW_DOTS)()


def _panel_maker(
    deck: Presentation, items: list[Item], form: str, width: Width, columns: int, dots: int = 300
) -> Callable[[], bytes]:
    def make() -> bytes:
        from neandl_core.export.plates import panels, plates_of

        return panels(plates_of(deck, items), form, _style(deck, dots), width=width, columns=columns)

    return make
