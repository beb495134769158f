"""Figures as a browser draws them: late where nobody looks, in place where numbers change, as wide as the page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pages.shared.browser_parts import PLOTLY, has
from tests.browser import chromium, find_browser, served, tab
from tests.test_browser import assert_clean
from tests.test_reads_page import analysed  # noqa: F401

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium; name one in NEANDL_BROWSER"),
    pytest.mark.skipif(not has(PLOTLY), reason="Plotly's bundle is not there; `make setup` fetches it"),
]
FIGURES = ".figure-box"
SIZE = "document.querySelector('.figure-box .main-svg').getBoundingClientRect()"
HOLD = "window.requestIdleCallback = (work) => { (window.held ??= []).push(work); return 0; };"
"""A browser that is never idle."""


def drawn(page: Page) -> list[bool]:
    return page.locator(FIGURES).evaluate_all("boxes => boxes.map((box) => box.querySelector('.main-svg') !== null)")


@pytest.fixture
def address(tmp_path: Path, analysed: Path):  # noqa: F811
    for name in ("reads-1", "reads-2"):
        shutil.copytree(analysed, tmp_path / "runs" / name)
    with served(tmp_path) as address:
        yield address


def test_figures_out_of_view_wait_until_they_are_seen_or_nothing_else_is_to_do(address: str) -> None:
    with chromium() as browser, tab(browser, address, height=700) as watched:
        page = watched.page
        page.add_init_script(HOLD)
        page.goto(f"{address}/reads")
        page.locator(f"{FIGURES} .main-svg").first.wait_for(timeout=60_000)
        page.wait_for_function("(window.held ?? []).length > 0", timeout=30_000)
        first, *_, last = drawn(page)
        assert first
        assert not last
        page.locator(FIGURES).last.scroll_into_view_if_needed()
        expect(page.locator(f"{FIGURES}").last.locator(".main-svg").first).to_be_visible(timeout=30_000)
        page.evaluate("window.requestIdleCallback = (work) => setTimeout(work, 1); held.forEach((work) => work())")
        page.wait_for_function(f"!document.querySelector('{FIGURES}[data-waiting=true]')", timeout=30_000)
        assert all(drawn(page))
        assert_clean(watched)


def test_a_figure_changes_in_place_and_follows_the_page(address: str) -> None:
    with chromium() as browser, tab(browser, address, height=1400) as watched:
        page = watched.page
        page.goto(f"{address}/reads")
        watched.settle()
        page.evaluate("document.querySelectorAll('.figure-box').forEach((box) => { box.mark = 1; })")
        count = page.locator(FIGURES).count()
        page.get_by_role("combobox", name="Sample", exact=True).click()
        page.get_by_role("option").nth(1).click()
        watched.settle()
        marks = page.locator(FIGURES).evaluate_all("boxes => boxes.filter((box) => box.mark === 1).length")
        assert marks == count
        wide = page.locator(f"{FIGURES} .main-svg").first.bounding_box()["width"]
        page.set_viewport_size({"width": 1100, "height": 1400})
        page.wait_for_function(f"wide => {SIZE}.width < wide - 100", arg=wide)
        box, plot = (page.locator(name).first.bounding_box()["width"] for name in (FIGURES, f"{FIGURES} .main-svg"))
        assert abs(box - plot) < 2
        page.locator(FIGURES).first.hover()
        page.locator(".modebar-btn[data-title='Full screen']").first.click()
        page.wait_for_function("document.fullscreenElement?.classList.contains('figure-box')")
        page.wait_for_function(f"{SIZE}.height > window.innerHeight - 60")
        page.evaluate("document.exitFullscreen()")
        page.wait_for_function(f"{SIZE}.height < 400")
        assert_clean(watched)


def test_a_figure_has_a_name_for_those_who_do_not_see_it(address: str) -> None:
    with chromium() as browser, tab(browser, address) as watched:
        watched.page.goto(f"{address}/reads")
        watched.settle()
        expect(watched.page.get_by_role("figure", name="damage").first).to_be_visible()
