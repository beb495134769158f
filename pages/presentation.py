"""Figures & slides: figures put aside on the other pages, arranged, and taken away as files."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.errors import NeanDLError
from neandl_core.figures.palettes import PALETTES
from neandl_core.presentation import Item, Presentation, Width, new_presentation, presentations
from pages.shared import basket, runs_view, show
from pages.shared.slides import downloads, installed, panel_download, preview

SIZES: dict[Width, str] = {"89": "89 mm", "183": "183 mm", "slide": "Slide 16:9"}
CHOSEN = "slides-chosen"


def main() -> None:
    show.title("Figures & slides", "Arrange what you put aside, and take it to your talk or paper.")
    deck = which()
    items = deck.items()
    runs_view.active("export")
    if not items:
        empty()
        return
    if any(item.simulated for item in items):
        show.simulated_badge()
    left, right = st.columns([1, 1], gap="medium")
    with left:
        chosen = listing(deck, items)
        looks(deck)
    with right:
        one(deck, chosen)
    show.heading("Take away")
    downloads(deck, items)
    panel_download(deck, items)


def which() -> Presentation:
    """Offer the presentations there are, and return the one chosen."""
    there = {one.folder.name: one for one in presentations(basket.root())}
    deck = basket.current()
    if not there:
        return deck
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = sorted(there)
        picked = st.selectbox(
            "Presentation", names, index=names.index(deck.folder.name) if deck.folder.name in there else 0,
            format_func=lambda name: there[name].deck.name, key=f"slides-deck-{len(names)}",
            help="Figures from all pages are added to this one.",
        )
        st.session_state[basket.DECK] = picked
        with st.popover("New", icon=":material/add:"):
            name = st.text_input("Name", key="slides-new", placeholder="Friday talk")
            if st.button("Make it", key="slides-make", type="primary", disabled=not name.strip()):
                with show.plain_errors():
                    st.session_state[basket.DECK] = new_presentation(basket.root(), name).folder.name
                    st.rerun()
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown(f"Delete **{show.safe_label(there[picked].deck.name)}** with all its figures? The runs stay.")
            if st.button("Delete it", key="slides-delete", type="primary"):
                there[picked].delete()
                st.session_state.pop(basket.DECK, None)
                st.rerun()
    return there[picked]


def empty() -> None:
    show.empty_state(
        "Nothing put aside yet",
        "Every figure on every page has the button **Add to slides**. Press it where you see something worth showing; "
        "the figure comes here with its table, its method and its settings.", "reads", "Start with a damage plot",
    )


def listing(deck: Presentation, items: list[Item]) -> Item:
    """Show the figures in order, to be chosen, moved and removed; return the chosen one."""
    ids = [item.id for item in items]
    if st.session_state.get(CHOSEN) not in ids:
        st.session_state[CHOSEN] = ids[0]
    st.markdown(f"**{len(items)} figure{'s' * (len(items) != 1)}**")
    with st.container(border=True, gap=None, height=430 if len(items) > 9 else "content"):
        for place, item in enumerate(items):
            row(deck, item, place, last=place == len(items) - 1)
    return next(item for item in items if item.id == st.session_state[CHOSEN])


def row(deck: Presentation, item: Item, place: int, *, last: bool) -> None:
    chosen = st.session_state[CHOSEN] == item.id

    def choose() -> None:
        st.session_state[CHOSEN] = item.id

    name, up, down, away = st.columns([12, 1, 1, 1], gap="small", vertical_alignment="center")
    label = f"{place + 1}\\. {show.safe_label(item.title, 60)}"
    name.button(
        f"**{label}**" if chosen else label, key=f"slides-choose-{item.id}", type="tertiary", on_click=choose,
        icon=":material/chevron_right:" if chosen else None, help=show.safe_label(item.title, 200),
    )
    # The signs are in the labels, where screen readers find their names.
    up.button(":material/arrow_upward:", key=f"slides-up-{item.id}", type="tertiary", disabled=place == 0,
              help="Earlier", on_click=deck.move, args=(item.id, -1))
    down.button(":material/arrow_downward:", key=f"slides-down-{item.id}", type="tertiary", disabled=last,
                help="Later", on_click=deck.move, args=(item.id, 1))
    away.button(":material/close:", key=f"slides-away-{item.id}", type="tertiary", help="Take it off",
                on_click=deck.remove, args=(item.id,))


def looks(deck: Presentation) -> None:
    """Set what holds for all figures: letters, colours, the title slide."""
    now = deck.deck
    st.markdown("**For all of them**")
    fonts = installed()
    with st.container(horizontal=True):
        font = st.selectbox(
            "Font", fonts, index=fonts.index(now.font) if now.font in fonts else 0, key=f"slides-font-{now.name}",
            help="Those installed on this machine that hold every sign a figure needs; PDF files carry theirs along.",
        )
        palette = st.selectbox(
            "Colours", list(PALETTES), index=list(PALETTES).index(now.palette) if now.palette in PALETTES else 0,
            key=f"slides-palette-{now.name}", help="Okabe-Ito and Tol suit colour-blind eyes, too.",
        )
    title = st.text_input(
        "Title of the talk", now.title, key=f"slides-title-{now.name}", placeholder=now.name, max_chars=200
    )
    author = st.text_input(
        "Below the title", now.author, key=f"slides-author-{now.name}", placeholder="Your name, group, date",
        max_chars=200,
    )
    if (font, palette, title, author) != (now.font, now.palette, now.title, now.author):
        deck.change(font=font, palette=palette, title=title, author=author)
        st.rerun()


def one(deck: Presentation, item: Item) -> None:
    """Show a figure as it will be in the file, and let its words and width be changed."""
    width = st.segmented_control(
        "Size", list(SIZES), default=item.width, format_func=SIZES.__getitem__, key=f"slides-width-{item.id}",
        required=True, help="One or two columns of a journal, or a slide. In the deck every figure fills its slide.",
    )
    with st.container(border=True):
        try:
            preview(deck, item, width)
        except NeanDLError as error:
            show.error_box(error)
    title = st.text_input("Title", item.title, key=f"slides-item-title-{item.id}", max_chars=200)
    caption = st.text_area("Caption", item.caption, key=f"slides-item-caption-{item.id}", height=90, max_chars=2000)
    if (title, caption, width) != (item.title, item.caption, item.width):
        deck.update(item.id, title=title, caption=caption, width=width)
        st.rerun()
    with st.expander("Method and settings", icon=":material/list:"):
        for line in filter(None, (item.n, item.method)):
            st.markdown(show.safe_label(line, 600))
        if item.run:
            st.caption(f"Run: {show.safe_label(Path(item.run).name)}")
        if not item.method:
            st.caption("Shows several runs; nothing is known of one method.")


main()
