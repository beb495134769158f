"""The dashboard in a real browser: the cold deep link, one click to the demo project, every page in both themes."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.accessibility import AXE, violations
from tests.browser import ROOT, Watched, chromium, find_browser, served, tab

pytestmark = [
    pytest.mark.browser,
    # The demo project is made first; where nothing is compiled yet and the machine is busy that takes ten minutes.
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        find_browser() is None, reason="there is no Chromium; apt-get install chromium, or name it in NEANDL_BROWSER"
    ),
]
PAGES = (
    "home", "reads", "decontaminate", "windows", "training", "results", "interpretation", "embeddings", "genes",
    "overlap", "presentation", "data", "runs",
)
FIGURE = ".js-plotly-plot, .kmap-stage"
"""A figure, or the map of k-mers."""
NO_FIGURE = {"home", "presentation", "data", "runs"}
STEPS = ("dataset", "train", "evaluate", "apply", "download")
ARTEFACTS = ROOT / "test-artefacts"
NAVIGATION = '[data-testid="stSidebarNav"]'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def assert_clean(watched: Watched) -> None:
    fonts = (ROOT / "assets" / "vendor" / ".installed").exists()
    assert [text for text in watched.errors if fonts or "/assets/vendor/" not in text] == []
    assert watched.foreign == []


def test_cold_deep_link_opens_the_real_app(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as address, tab(browser, address) as watched:
        watched.page.goto(f"{address}/genes?gene=ANK3")
        watched.settle()
        assert watched.page.get_by_role("dialog").count() == 0
        assert watched.page.locator(NAVIGATION).get_by_text("Reads & damage").is_visible()
        assert watched.page.locator('[data-testid="stSidebarHeader"] img').count() == 1
        assert "gene=ANK3" in watched.page.url
        assert_clean(watched)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_opens_clean_in_both_themes(browser: Browser, demo_address: str, name: str, dark: bool) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    for width in (1440, 1024):
        with tab(browser, demo_address, width=width, dark=dark) as watched:
            watched.page.goto(f"{demo_address}/{'' if name == 'home' else name}")
            watched.settle()
            assert watched.page.locator('[data-testid="stException"]').count() == 0
            assert watched.page.locator('[data-testid="stAlertContentError"]').count() == 0
            assert (watched.page.locator(FIGURE).count() > 0) == (name not in NO_FIGURE)
            assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            _grow(watched)
            watched.page.screenshot(path=ARTEFACTS / f"{name}-{'dark' if dark else 'light'}-{width}.png")
            assert_clean(watched)
            if width == 1440 and AXE.exists():
                assert violations(watched.page) == []


def test_every_page_of_the_menu_is_opened() -> None:
    shell = ast.parse((ROOT / "pages" / "shared" / "shell.py").read_text(encoding="utf-8"))
    menu = next(
        ast.literal_eval(node.value) for node in shell.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "MENU"
    )
    assert sorted(entry[0] for entries in menu.values() for entry in entries) == sorted(PAGES)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_decontaminating_is_filled_by_the_demo(browser: Browser, demo_address: str, step: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    for width, dark in ((1440, False), (1024, True)):
        with tab(browser, demo_address, width=width, dark=dark) as watched:
            watched.page.goto(f"{demo_address}/decontaminate?step={step}")
            watched.settle()
            assert watched.page.locator('[data-testid="stException"]').count() == 0
            assert watched.page.locator('[data-testid="stAlertContentError"]').count() == 0
            assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert watched.page.locator(".js-plotly-plot").count() > 0 or step == "download"
            titles = watched.page.locator(".js-plotly-plot .xtitle, .js-plotly-plot .x2title")
            boxes = [box for box in titles.evaluate_all(
                "all => all.map(one => { const box = one.getBoundingClientRect(); "
                "return [box.left, box.right, box.top, box.bottom] })"
            ) if box[1] > box[0]]
            assert not any(
                one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
                for place, one in enumerate(boxes) for other in boxes[:place]
            ), "titles of axes lie on each other"
            _grow(watched)
            watched.page.screenshot(path=ARTEFACTS / f"decontaminate-{step}-{'dark' if dark else 'light'}-{width}.png")
            assert_clean(watched)


def test_single_reads_of_a_score_are_shown_letter_by_letter(browser: Browser, demo_address: str) -> None:
    with tab(browser, demo_address) as watched:
        watched.page.goto(f"{demo_address}/reads")
        watched.settle()
        watched.page.get_by_text("Read by read").click()
        watched.page.get_by_role("tab", name="Single reads").click()
        watched.page.get_by_text("drawn at random").wait_for()
        table = watched.page.get_by_text("Mark a read to see it letter by letter.").locator(
            'xpath=following::*[@data-testid="stDataFrame"][1]'
        )
        table.scroll_into_view_if_needed()
        box = table.bounding_box()
        watched.page.mouse.click(box["x"] + 18, box["y"] + 52)
        watched.page.locator('[data-testid="stCode"]').get_by_text("reference").wait_for()
        watched.settle()
        assert_clean(watched)


def test_training_is_watched_live_survives_a_refresh_and_shows_its_verdict(browser: Browser, demo_address: str) -> None:
    with tab(browser, demo_address) as watched:
        page = watched.page
        page.goto(f"{demo_address}/training")
        watched.settle()
        page.get_by_text("Train a model").click()
        page.get_by_role("textbox", name="Name").fill("watched")
        page.get_by_role("button", name="Train", exact=True).click()
        page.get_by_role("button", name="Cancel").wait_for(timeout=30_000)
        page.reload()
        page.get_by_role("button", name="Cancel").wait_for(timeout=30_000)
        page.get_by_text("The model itself").wait_for(timeout=60_000)
        page.locator(".js-plotly-plot").first.wait_for(timeout=60_000)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=30_000)
        watched.settle()
        assert_clean(watched)


def test_a_bad_file_is_one_sentence_on_the_page(browser: Browser, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "broken.bam").write_bytes(b"\x1f\x8b\x08\x04 this is no BAM")
    with served(tmp_path / "workspace", data) as address, tab(browser, address) as watched:
        watched.page.goto(f"{address}/reads")
        watched.settle()
        watched.page.get_by_role("button", name="Analyse", exact=True).click()
        alert = watched.page.locator('[data-testid="stAlertContentError"]')
        alert.wait_for(timeout=60_000)
        assert "broken.bam" in alert.inner_text()
        assert "Traceback" not in watched.page.content()
        assert_clean(watched)


def test_searching_a_gene_finds_the_exact_symbol_and_opens_its_panel(browser: Browser, demo_address: str) -> None:
    with tab(browser, demo_address) as watched:
        watched.page.goto(f"{demo_address}/genes")
        watched.settle()
        box = watched.page.get_by_role("searchbox", name="Gene").or_(watched.page.get_by_label("Gene", exact=True))
        box.first.fill("demo-ank3")
        box.first.press("Enter")
        watched.page.get_by_role("heading", name="DEMO-ANK3").wait_for(timeout=30_000)
        watched.settle()
        assert "gene=demo-ank3" in watched.page.url
        assert watched.page.get_by_text("P(introgressed)").count() > 0
        assert_clean(watched)


def _grow(watched: Watched) -> None:
    """Make the window as high as the page, which scrolls inside, so that the picture shows all of it."""
    height = watched.page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    watched.page.set_viewport_size({"width": watched.page.viewport_size["width"], "height": min(4000, height + 40)})
    watched.page.wait_for_timeout(400)


def test_home_leads_on_after_the_demo_project_is_loaded(browser: Browser, demo_address: str) -> None:
    with tab(browser, demo_address) as watched:
        watched.page.goto(demo_address)
        watched.settle()
        assert watched.page.locator(".stMarkdownBadge", has_text="Simulated").filter(visible=True).count() == 1
        assert watched.page.get_by_role("button", name="Load the demo project").count() == 0
        assert watched.page.evaluate("document.fonts.check('16px Inter')")


def test_the_tour_leads_through_the_demo_in_five_steps(browser: Browser, demo_address: str) -> None:
    shown = ("C>T at the 5\u2032 end", "Modern reads", "Is it real?", "DEMO-ANK3", "Add to slides")
    with tab(browser, demo_address, width=1024) as watched:
        page = watched.page
        page.goto(demo_address)
        watched.settle()
        page.get_by_role("button", name="Take the tour").click()
        for number, text in enumerate(shown, start=1):
            page.get_by_text(f"step {number} of 5").wait_for(timeout=30_000)
            watched.settle()
            assert f"tour={number}" in page.url
            assert page.get_by_test_id("stMain").get_by_text(text).filter(visible=True).count() > 0
            assert page.locator('[data-testid="stException"]').count() == 0
            page.screenshot(path=ARTEFACTS / f"tour-{number}.png")
            if number < len(shown):
                page.get_by_role("button", name="Next").click()
        page.reload()
        page.get_by_text("step 5 of 5").wait_for(timeout=30_000)
        page.get_by_role("button", name="Done").click()
        page.get_by_text("step 5 of 5").wait_for(state="detached", timeout=30_000)
        page.goto(demo_address)
        watched.settle()
        assert page.get_by_text("New here?").count() == 0
        page.get_by_role("button", name="Take the tour").wait_for()
        assert_clean(watched)


def test_a_run_goes_on_when_the_tab_is_closed(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as address:
        with tab(browser, address) as watched:
            watched.page.goto(address)
            watched.settle()
            watched.page.get_by_role("button", name="Load the demo project").click()
            watched.page.get_by_role("button", name="Cancel").wait_for()
        with tab(browser, address) as again:
            again.page.goto(address)
            again.page.get_by_role("button", name="Cancel").click(timeout=30_000)
            again.page.get_by_role("button", name="Load the demo project").wait_for(timeout=60_000)
            again.settle()
            assert "cancelled" in (next((tmp_path / "runs").glob("*/state.json"))).read_text()
            assert_clean(again)


@pytest.mark.parametrize(("form", "start"), [("PNG", b"\x89PNG"), ("SVG", b"<?xml"), ("PDF", b"%PDF"), ("XLSX", b"PK")])
def test_a_figure_is_given_away_in_every_form(browser: Browser, demo_address: str, form: str, start: bytes) -> None:
    with tab(browser, demo_address) as watched:
        watched.page.goto(f"{demo_address}/reads")
        watched.settle()
        watched.page.get_by_role("button", name="Download").first.click()
        with watched.page.expect_download(timeout=60_000) as waiting:
            watched.page.get_by_role("button", name=form, exact=True).first.click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)
        assert waiting.value.suggested_filename.endswith(f".{form.lower()}")
        assert_clean(watched)


@pytest.mark.parametrize(("host", "status"), [("evil.example", b"403"), ("localhost", b"101")])
def test_a_foreign_name_pointed_at_this_machine_is_refused(demo_address: str, host: str, status: bytes) -> None:
    port = urlsplit(demo_address).port
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamlit\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.encode())
        assert connection.recv(64).split()[1] == status


def test_what_is_folded_away_is_drawn_when_it_is_opened_and_keeps_what_was_typed(
    browser: Browser, demo_address: str
) -> None:
    with tab(browser, demo_address, height=1800) as watched:
        page = watched.page
        page.goto(f"{demo_address}/training")
        watched.settle()
        figures = page.locator(FIGURE)
        count = figures.count()
        assert page.get_by_label("Epochs", exact=True).count() == 0
        page.get_by_text("Where it errs").click()
        figures.nth(count).wait_for(timeout=30_000)
        watched.settle()
        assert figures.count() >= count + 3
        page.get_by_text("Train a model").first.click()
        epochs = page.get_by_label("Epochs", exact=True)
        epochs.fill("7")
        epochs.press("Enter")
        watched.settle()
        for visible in (False, True):
            page.get_by_text("Train a model").first.click()
            epochs.wait_for(state="visible" if visible else "hidden", timeout=10_000)
        assert epochs.input_value() == "7"
        assert_clean(watched)
