"""Keys and contrast on an empty dashboard; pages with results are checked in both themes by `test_browser`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.accessibility import ALLOWED, AXE, violations
from tests.browser import chromium, find_browser, served, tab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        find_browser() is None, reason="there is no Chromium; apt-get install chromium, or name it in NEANDL_BROWSER"
    ),
    pytest.mark.skipif(not AXE.exists(), reason="axe-core is not here; make setup fetches it where there is a network"),
]
FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    text: (one.innerText || one.getAttribute("aria-label") || "").trim().split("\\n").pop(),
    seen: box.width > 0 && box.height > 0,
    ring: style.outlineStyle !== "none" || style.boxShadow !== "none",
  };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("workspace")) as found:
        yield found


@pytest.mark.parametrize(("body", "rule"), [
    ('<main><p style="color:#999;background:#fff">pale</p></main>', "color-contrast"),
    ("<main><button></button></main>", "button-name"),
    ('<main><a href="/x"></a></main>', "link-name"),
    ('<main><input type="text"></main>', "label"),
    ('<main><iframe src="about:blank"></iframe></main>', "frame-title"),
])
def test_what_is_wrong_is_found(browser: Browser, address: str, body: str, rule: str) -> None:
    with tab(browser, address) as watched:
        watched.page.set_content(f'<html lang="en"><head><title>t</title></head><body>{body}</body></html>')
        assert [line.split(":")[0] for line in violations(watched.page)] == [rule]


def test_few_rules_are_waived_and_each_has_its_reason() -> None:
    assert len(ALLOWED) <= 3
    assert all(one.within.startswith('[data-testid="st') and len(one.reason) > 20 for one in ALLOWED)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_first_visit_has_contrast_and_names(browser: Browser, address: str, dark: bool) -> None:
    with tab(browser, address, dark=dark) as watched:
        for place in ("", "data?view=add", "genes?tour=4"):
            watched.page.goto(f"{address}/{place}")
            watched.settle()
            assert violations(watched.page) == []


def test_the_glossary_is_opened_and_searched_by_keys_alone(browser: Browser, address: str) -> None:
    with tab(browser, address, dark=True) as watched:
        watched.page.goto(address)
        watched.settle()
        watched.page.get_by_role("button", name="Glossary").focus()
        watched.page.keyboard.press("Enter")
        dialog = watched.page.get_by_role("dialog")
        dialog.get_by_label("Search the glossary").focus()
        watched.page.keyboard.type("deam")
        dialog.get_by_text("UMAP", exact=True).wait_for(state="detached")
        dialog.get_by_text("Deamination", exact=True).wait_for()
        watched.settle()
        assert violations(watched.page) == []
        watched.page.keyboard.press("Escape")
        dialog.wait_for(state="detached")


def test_the_keyboard_reaches_the_menu_and_the_main_button_and_shows_where_it_is(
    browser: Browser, address: str
) -> None:
    with tab(browser, address) as watched:
        watched.page.goto(address)
        watched.settle()
        reached = []
        for _ in range(40):
            watched.page.keyboard.press("Tab")
            one = watched.page.evaluate(FOCUSED)
            reached.append(one["text"])
            if one["text"] == "Load the demo project":
                break
        assert reached[-1] == "Load the demo project"
        assert one["seen"]
        assert one["ring"], "the focused button looks like the others"
        assert reached.index("Data") < reached.index("Reads & damage") < reached.index("Figures & slides")
        for _ in range(len(reached) - 1 - reached.index("Runs")):
            watched.page.keyboard.press("Shift+Tab")
        watched.page.keyboard.press("Enter")
        watched.page.wait_for_url(re.compile("/runs$"))
