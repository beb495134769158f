"""Figures & slides as it is used: add figures on other pages, arrange them, take the files away."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image
from pptx import Presentation as Slides

from neandl_core.figures.style import finish
from neandl_core.presentation import FOLDER, Presentation, presentations
from neandl_core.workspace import Workspace
from pages.shared.basket import title_of
from tests.browser import chromium, find_browser, served, tab
from tests.test_app import opened, texts, workspace  # noqa: F401 - a fixture
from tests.test_reads_page import analysed, put  # noqa: F401 - a fixture

NAVIGATION = '[data-testid="stSidebarNav"]'


def filled(folder: Path, count: int) -> Presentation:
    deck = Presentation(folder / FOLDER / "My-figures")
    for number in range(count):
        figure = go.Figure(go.Scatter(x=np.arange(9), y=np.arange(9) * number, name="a"))
        deck.add(finish(figure), None, title=f"Figure {number}", simulated=number == 1)
    return deck


def by_key(app, kind: str, key: str):
    return next(element for element in getattr(app, kind) if element.key == key)


def test_nothing_put_aside_says_what_to_do(workspace: Workspace) -> None:  # noqa: F811
    app = opened("presentation")
    assert not app.exception
    assert "Nothing put aside yet" in texts(app)
    assert "Add to slides" in texts(app)


def test_a_figure_is_added_on_its_page_with_its_run(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    folder = put(workspace, analysed)
    app = opened("reads")
    by_key(app, "button", "damage-add").click().run()
    assert not app.exception
    (deck,) = presentations(workspace.folder / FOLDER)
    (item,) = deck.items()
    assert item.title == "Damage: Sample 0"
    assert Path(item.run) == folder
    assert item.n.startswith("n = ")
    assert len(deck.table(item.id))


def test_figures_are_moved_and_taken_off_on_the_page(workspace: Workspace) -> None:  # noqa: F811
    deck = filled(workspace.folder, 3)
    first = deck.items()[0].id
    app = opened("presentation")
    assert not app.exception
    by_key(app, "button", f"slides-down-{first}").click().run()
    assert [item.title for item in deck.items()] == ["Figure 1", "Figure 0", "Figure 2"]
    by_key(app, "button", f"slides-away-{first}").click().run()
    assert [item.title for item in deck.items()] == ["Figure 1", "Figure 2"]
    shown = deck.items()[0].id
    by_key(app, "text_input", f"slides-item-title-{shown}").set_value("Better").run()
    assert deck.items()[0].title == "Better"
    assert not app.exception


def test_a_broken_figure_is_an_error_in_words_and_not_a_broken_page(workspace: Workspace) -> None:  # noqa: F811
    deck = filled(workspace.folder, 2)
    (deck.folder / "items" / f"{deck.items()[0].id}.figure.json").write_text("{")
    app = opened("presentation")
    assert not app.exception
    assert "not a JSON file" in app.error[0].value.replace("\\", "")


def test_many_figures_are_made_by_a_run(workspace: Workspace) -> None:  # noqa: F811
    filled(workspace.folder, 11)
    app = opened("presentation")
    assert not app.exception
    assert by_key(app, "button", "slides-run").label == "Make the files of 11 figures"


def test_titles_say_what_a_figure_shows() -> None:
    assert title_of("gene-HLA-A", "track", None) == "HLA-A: windows over the gene"
    assert title_of("scores", "scores", None) == "Score and what it must beat"
    assert title_of("scores-run-1", "scores", None) == "Contamination"
    assert title_of("reads-0-to-1", "drill-figure", None) == "Reads, base by base"


@pytest.mark.browser
@pytest.mark.skipif(find_browser() is None, reason="there is no Chromium; name one in NEANDL_BROWSER")
def test_from_a_figure_to_the_deck_in_a_browser(tmp_path: Path, analysed: Path) -> None:  # noqa: F811
    shutil.copytree(analysed, tmp_path / "runs" / "reads-1")
    with served(tmp_path) as address, chromium() as browser, tab(browser, address, height=1400) as watched:
        page = watched.page
        page.goto(f"{address}/reads")
        watched.settle()
        for number, key in enumerate(("damage", "lengths"), 1):
            before = page.locator(".js-plotly-plot").first.evaluate("node => (node.mark = node.mark || 1)")
            page.locator(f".st-key-{key}-add button:visible").click()
            page.get_by_text(f"Added. {number} figure").wait_for(timeout=30_000)
            # The figure was not drawn again for it.
            assert page.locator(".js-plotly-plot").first.evaluate("node => node.mark") == before
        page.locator(NAVIGATION).get_by_text("Figures & slides").click()
        page.get_by_text("2 figures", exact=True).wait_for(timeout=30_000)
        watched.settle()
        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("button", name="Download PowerPoint").click()
        deck = Slides(download.value.path())
        assert [slide.shapes.title.text for slide in deck.slides][1:] == ["Damage: out", "Read lengths: out"]
        blobs = [shape.image.blob for slide in deck.slides for shape in slide.shapes if hasattr(shape, "image")]
        assert [Image.open(io.BytesIO(blob)).width > 3000 for blob in blobs] == [True, True]
        page.reload()
        page.get_by_text("2 figures", exact=True).wait_for(timeout=30_000)
        assert page.locator('[data-testid="stException"]').count() == 0
        assert [text for text in watched.errors if "/assets/vendor/" not in text] == []
        assert watched.foreign == []
