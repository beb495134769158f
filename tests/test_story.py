"""The whole story in a real browser, clicked as a user does: from the demo's reads to a deck with its gene."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE

from neandl_core.runs import list_runs
from pages.shared.browser_parts import SCATTER, has
from tests.browser import (
    WEBGL,
    Watched,
    chromium,
    copy_workspace,
    drawn,
    find_browser,
    lasso,
    number_before,
    open_list,
    served,
    tab,
)
from tests.test_browser import ARTEFACTS, NAVIGATION, _grow, assert_clean

pytestmark = [
    pytest.mark.browser,
    # The demo project is made first, unless another module has asked for it.
    pytest.mark.timeout(1500),
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium; name one in NEANDL_BROWSER"),
]
GENE = "DEMO-ANK3"
RUN_SECONDS = 300
"""How long a run that a test starts may take on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that draws WebGL, as the map of k-mers needs it."""
    with chromium(WEBGL) as started:
        yield started


@pytest.fixture(scope="module")
def folder(demo_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the module's own with the finished demo project."""
    made = tmp_path_factory.mktemp("story")
    copy_workspace(demo_project, made)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


def go(watched: Watched, page: str) -> None:
    """Choose a page in the menu, and wait for its title."""
    watched.page.locator(NAVIGATION).get_by_role("link", name=page, exact=True).click()
    watched.page.get_by_role("heading", name=page, exact=True, level=1).wait_for(timeout=60_000)
    watched.settle()


def finish(watched: Watched) -> None:
    """Wait until the run just started is at work, and then until its result is on the page."""
    cancel = watched.page.get_by_role("button", name="Cancel")
    cancel.first.wait_for(timeout=60_000)
    cancel.first.wait_for(state="detached", timeout=RUN_SECONDS * 1e3)
    watched.settle()
    assert watched.page.locator('[data-testid="stAlertContentError"]').filter(has_text="failed").count() == 0


def metric(watched: Watched, label: str) -> str:
    """Return the number on a card."""
    card = watched.page.locator('[data-testid="stMetric"]').filter(
        has=watched.page.locator('[data-testid="stMetricLabel"]', has_text=label)
    ).first
    card.wait_for(timeout=60_000)
    return card.locator('[data-testid="stMetricValue"]').inner_text()


def add_to_slides(watched: Watched, key: str) -> None:
    """Press the button of a figure by the figure's key, and wait for the answer."""
    watched.page.locator(f".st-key-{key}-add").get_by_role("button").click()
    watched.page.get_by_text("Added.").first.wait_for(timeout=60_000)
    watched.settle()


def look_at_damage(watched: Watched) -> None:
    """The ancient sample is damaged, and the page says so."""
    watched.page.get_by_role("link", name="Look at damage").click()
    watched.page.get_by_role("heading", name="Reads & damage", level=1).wait_for(timeout=60_000)
    watched.settle()
    assert float(metric(watched, "C>T at the 5′ end").rstrip("%")) > 5
    add_to_slides(watched, "damage")


def decontaminate(watched: Watched, contamination: float) -> None:
    """The mixed sample is scored with the demo's model; the estimate is near the truth."""
    go(watched, "Decontaminate")
    watched.page.get_by_role("button", name=re.compile("4 Apply")).or_(
        watched.page.get_by_role("radio", name=re.compile("4 Apply"))
    ).first.click()
    watched.page.get_by_text("Analyse a sample").wait_for(timeout=60_000)
    watched.page.get_by_text("Analyse a sample").click()
    watched.page.get_by_role("button", name="Estimate contamination").click()
    finish(watched)
    assert abs(float(metric(watched, "Modern reads").rstrip("%")) / 100 - contamination) < 0.15


def cut_windows(watched: Watched) -> None:
    """A dataset is made; held-out chromosomes share next to nothing with training, the random split much."""
    go(watched, "Windows & audit")
    watched.page.get_by_text("Make a dataset").click()
    watched.page.get_by_role("spinbutton", name="k-mer length").fill("5")
    watched.page.get_by_role("textbox", name="Name", exact=True).fill("Windows of the story")
    watched.page.get_by_role("button", name="Cut windows").click()
    finish(watched)
    assert "Windows of the story" in picked(watched, "Dataset")
    honest = float(metric(watched, "Chromosome split").rstrip("%"))
    leaking = float(metric(watched, "Random split").rstrip("%"))
    assert honest < 1 < leaking


def train(watched: Watched) -> None:
    """The quickest model learns from them."""
    go(watched, "Training")
    watched.page.get_by_text("Train a model", exact=True).click()
    choose(watched, "Dataset", re.compile("Windows of the story"))
    choose(watched, "Model", "logistic", last=True)
    watched.page.get_by_role("textbox", name="Name", exact=True).fill("Model of the story")
    watched.page.get_by_role("button", name="Train", exact=True).click()
    finish(watched)
    assert 0 < float(metric(watched, "AUC, chromosome split")) <= 1


def picked(watched: Watched, label: str) -> str:
    """Return what a list has chosen."""
    return watched.page.get_by_role("combobox", name=label, exact=True).first.input_value()


def choose(watched: Watched, label: str, option: str | re.Pattern[str], *, last: bool = False) -> None:
    """Open a list and choose from it; of several lists of one name the first, or the last."""
    lists = watched.page.get_by_role("combobox", name=label, exact=True).filter(visible=True)
    open_list(watched, lists.last if last else lists.first)
    watched.page.get_by_role("option", name=option).first.click()
    watched.settle()


def is_it_real(watched: Watched) -> None:
    """The controls are trained, and the answer stands on the page in words."""
    go(watched, "Results")
    assert "Model of the story" in picked(watched, "Run"), "the newest run is shown first"
    watched.page.get_by_role("spinbutton", name="Shuffled runs").fill("1")
    watched.page.get_by_role("spinbutton", name="Shuffled runs").press("Enter")
    watched.settle()
    watched.page.get_by_role("button", name="Is it real?").click()
    finish(watched)
    by_chance = float(metric(watched, "By chance"))
    assert 0.2 < by_chance < 0.8
    add_to_slides(watched, "controls")


def lasso_kmers(watched: Watched) -> None:
    """K-mers within a lasso are counted and described."""
    go(watched, "Embeddings")
    count = int(metric(watched, "K-mers").replace(",", ""))
    drawn(watched, count)
    watched.settle()
    lasso(watched)
    assert 0 < number_before(watched, "k-mers chosen") < count
    watched.page.get_by_text("Words met more often than in the rest").wait_for(timeout=60_000)
    watched.settle()


def gene_into_deck(watched: Watched) -> None:
    """The gene that the demo is about is found, and its track put aside."""
    go(watched, "Genes")
    box = watched.page.get_by_role("searchbox", name="Gene")
    box.fill(GENE.lower())
    watched.page.get_by_role("heading", name=GENE).wait_for(timeout=60_000)
    watched.settle()
    add_to_slides(watched, "track")


def take_the_deck(watched: Watched) -> bytes:
    """The deck is titled and downloaded as PowerPoint."""
    go(watched, "Figures & slides")
    title = watched.page.get_by_role("textbox", name="Title of the talk")
    title.fill("Friday's talk")
    title.press("Enter")
    watched.settle()
    # The page runs once more when the title is kept, and a press that comes in between is lost.
    watched.page.wait_for_timeout(2000)
    watched.settle()
    with watched.page.expect_download(timeout=120_000) as waiting:
        watched.page.get_by_role("button", name="Download PowerPoint").click()
    assert waiting.value.suggested_filename.endswith(".pptx")
    return Path(waiting.value.path()).read_bytes()


def test_from_reads_to_the_deck(browser: Browser, folder: Path, address: str) -> None:
    simulated = next((folder / "runs").glob("*/simulated/summary.json"))
    contamination = json.loads(simulated.read_text())["contamination"]
    with tab(browser, address) as watched:
        watched.page.goto(address)
        watched.page.get_by_text("The demo project is ready").wait_for(timeout=60_000)
        watched.settle()
        look_at_damage(watched)
        decontaminate(watched, contamination)
        cut_windows(watched)
        train(watched)
        is_it_real(watched)
        if has(SCATTER):
            lasso_kmers(watched)
        gene_into_deck(watched)
        deck = take_the_deck(watched)
        assert_clean(watched)
    done = {state.title: state.state for _, state in list_runs(folder / "runs")}
    assert done["Windows of the story"] == done["Model of the story"] == "done"
    slides = Presentation(io.BytesIO(deck)).slides
    first = [shape.text_frame.text for shape in slides[0].shapes if shape.has_text_frame]
    assert any("Friday's talk" in text for text in first)
    assert len(slides) >= 4
    for slide, words in zip(list(slides)[1:4], ("Damage", "Is it real?", GENE), strict=True):
        texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        assert any(words in text for text in texts)
        assert any("simulated" in text.lower() for text in texts), "what is simulated says so on its slide"
        picture = next(shape for shape in slide.shapes if shape.shape_type == MSO_SHAPE_TYPE.PICTURE)
        with Image.open(io.BytesIO(picture.image.blob)) as drawing:
            assert min(drawing.size) > 300
            assert np.asarray(drawing.convert("L")).std() > 5, "a figure is drawn, not a blank"
        assert len(slide.notes_slide.notes_text_frame.text) > 80


def test_two_tabs_agree_on_a_run(browser: Browser, address: str) -> None:
    with tab(browser, address) as one, tab(browser, address) as other:
        one.page.goto(f"{address}/training")
        one.settle()
        other.page.goto(f"{address}/runs")
        other.settle()
        one.page.get_by_text("Train a model", exact=True).click()
        choose(one, "Model", "bilstm", last=True)
        one.page.get_by_role("textbox", name="Name", exact=True).fill("seen by two")
        one.page.get_by_role("button", name="Train", exact=True).click()
        one.page.get_by_role("button", name="Cancel").wait_for(timeout=60_000)
        # A list is as old as the page; a look at it again shows what another tab started.
        other.page.reload()
        other.page.get_by_text("seen by two").first.wait_for(timeout=60_000)
        other.page.get_by_role("button", name="Cancel").click()
        one.page.get_by_text("was cancelled; no result was kept").wait_for(timeout=60_000)
        other.page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=60_000)
        one.settle()
        other.settle()
        assert one.page.get_by_role("button", name="Cancel").count() == 0
        assert_clean(one)
        assert_clean(other)


def test_the_back_button_leads_through_pages_and_to_the_gene(browser: Browser, address: str) -> None:
    with tab(browser, address) as watched:
        page = watched.page
        page.goto(address)
        watched.settle()
        go(watched, "Genes")
        page.get_by_role("searchbox", name="Gene").fill(GENE)
        page.get_by_role("heading", name=GENE).wait_for(timeout=60_000)
        watched.settle()
        go(watched, "Windows & audit")
        page.go_back()
        page.get_by_role("heading", name="Genes", exact=True, level=1).wait_for(timeout=60_000)
        page.get_by_role("heading", name=GENE).wait_for(timeout=60_000)
        watched.settle()
        assert f"gene={GENE}" in page.url
        page.go_back()
        page.get_by_role("heading", name=GENE).wait_for(state="detached", timeout=60_000)
        watched.settle()
        assert urlsplit(page.url).path == "/genes"
        assert page.get_by_role("searchbox", name="Gene").input_value() == ""
        page.go_back()
        page.get_by_role("heading", name="NeanDL", exact=True, level=1).wait_for(timeout=60_000)
        page.go_forward()
        page.go_forward()
        page.get_by_role("heading", name=GENE).wait_for(timeout=60_000)
        watched.settle()
        assert_clean(watched)


def test_deep_links_open_what_they_name_cold_and_warm(browser: Browser, folder: Path) -> None:
    demo = next((folder / "runs").glob("*/simulated")).parent.name
    links = {
        f"genes?gene={GENE}": lambda page: page.get_by_role("heading", name=GENE),
        "decontaminate?step=apply": lambda page: page.get_by_role("button", name="Take the files away"),
        f"reads?run={demo}/reads-modern": lambda page: page.locator('input[value^="Simulated modern sample"]').first,
        f"embeddings?run={demo}/embed": lambda page: page.get_by_text("Trustworthiness").first,
    }
    with served(folder) as address:
        # The first is opened on a server that has drawn nothing yet, and again once all pages were.
        for link in [*links, next(iter(links))]:
            with tab(browser, address) as watched:
                watched.page.goto(f"{address}/{link}")
                links[link](watched.page).wait_for(timeout=60_000)
                watched.settle()
                assert watched.page.get_by_role("dialog").count() == 0
                assert watched.page.locator(NAVIGATION).get_by_text("Reads & damage").is_visible()
                assert_clean(watched)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_is_blank_and_no_figure_either(browser: Browser, demo_address: str, dark: bool) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    with tab(browser, demo_address, dark=dark) as watched:
        watched.page.goto(demo_address)
        watched.settle()
        names = watched.page.locator(NAVIGATION).get_by_role("link").all_inner_texts()
        assert len(names) > 10
        for name in [name.strip().splitlines()[-1] for name in names]:
            watched.page.set_viewport_size({"width": 1440, "height": 900})
            watched.page.locator(NAVIGATION).get_by_role("link", name=name, exact=True).click()
            watched.settle()
            _grow(watched)
            picture = watched.page.locator('[data-testid="stMainBlockContainer"]').screenshot()
            kind = "dark" if dark else "light"
            (ARTEFACTS / f"main-{re.sub(r'[^a-z]+', '-', name.lower())}-{kind}.png").write_bytes(picture)
            share, gap = inked(picture)
            assert share > 0.01, f"{name} is blank"
            assert gap < 500, f"{name} has {gap} empty rows"
            for number, figure in enumerate(watched.page.locator(".js-plotly-plot").filter(visible=True).all()):
                assert inked(figure.screenshot())[0] > 0.004, f"figure {number + 1} of {name} is blank"
        assert_clean(watched)


def inked(picture: bytes) -> tuple[float, int]:
    """Return the share of pixels unlike the commonest, and the longest run of rows between others that hold none."""
    with Image.open(io.BytesIO(picture)) as opened:
        shades = np.asarray(opened.convert("L")).astype(int)
    other = np.abs(shades - np.bincount(shades.ravel()).argmax()) > 12
    rows = np.flatnonzero(other.any(axis=1))
    return float(other.mean()), int(np.diff(rows).max(initial=0)) if len(rows) else len(shades)
