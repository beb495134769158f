"""The Data page in a real browser: a file is sent, broken off, gone on with, and offered by its own name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from tests.browser import Watched, chromium, find_browser, served, tab
from tests.test_browser import ARTEFACTS, assert_clean

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium; name one in NEANDL_BROWSER"),
]
BED = b"chr1\t10\t200\nchr1\t300\t420\n"
VIEWS = ("files", "add", "public", "samples")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data-page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    data = folder / "bams"
    data.mkdir()
    (data / "regions.bed").write_bytes(BED)
    (data / "sample.sam").write_text("@SQ\tSN:1\tLN:900\nr\t0\t1\t9\t37\t4M\t*\t0\t0\tACGT\tIIII\tMD:Z:4\n")
    with served(folder / "workspace", data) as found:
        yield found


def opened(watched: Watched, address: str, view: str) -> None:
    watched.page.set_default_timeout(120_000)
    watched.page.goto(f"{address}/data?view={view}")
    watched.settle()


def test_a_file_is_sent_and_offered_under_its_own_name(browser: Browser, address: str, folder: Path) -> None:
    with tab(browser, address) as watched:
        opened(watched, address, "add")
        watched.page.locator('input[type="file"]').set_input_files(
            [{"name": "my loci.txt", "mimeType": "text/plain", "buffer": BED}]
        )
        watched.page.get_by_text("It is offered on every page that can use it").wait_for()
        watched.page.get_by_text(hashlib.sha256(BED).hexdigest()).wait_for()
        ARTEFACTS.mkdir(exist_ok=True)
        watched.page.screenshot(path=ARTEFACTS / "data-sent-light-1440.png")
        path, = (folder / "workspace" / "uploads").glob("*.bed")
        assert path.read_bytes() == BED
        opened(watched, address, "files")
        assert_clean(watched)


def test_an_upload_survives_a_loaded_page_and_goes_on(browser: Browser, address: str, folder: Path) -> None:
    content = os.urandom(1 << 20) * 40
    file = folder / "large.bin"
    file.write_bytes(content)
    sent: list[int] = []

    def cut(route: Route) -> None:
        sent.append(int(route.request.url.partition("offset=")[2]))
        if len(sent) == 3:
            route.abort()
        else:
            route.continue_()

    with tab(browser, address) as watched:
        opened(watched, address, "add")
        held = []
        watched.page.route("**/api/uploads/*offset=*", lambda route: (
            held.append(route) if "offset=16777216" in route.request.url else route.continue_()
        ))
        watched.page.locator('input[type="file"]').set_input_files(file)
        watched.page.get_by_text("16.8 MB of").wait_for()
        watched.page.screenshot(path=ARTEFACTS / "data-sending-light-1440.png")
        watched.page.reload()
        watched.settle()
        watched.page.get_by_text("Choose the same file again").wait_for()
        watched.page.screenshot(path=ARTEFACTS / "data-unfinished-light-1440.png")
        watched.page.route("**/api/uploads/*offset=*", cut)
        watched.page.locator('input[type="file"]').set_input_files(file)
        watched.page.get_by_text("This is no format that NeanDL knows").wait_for()
        assert sent[0] == 16_777_216, "it began where it had stopped"
        assert sent[2] == sent[3], "the piece whose connection broke was sent again"
        watched.page.get_by_text(hashlib.sha256(content).hexdigest()).wait_for()
        assert watched.foreign == []
    assert not list((folder / "workspace" / "uploads").glob("*.part"))


def test_an_upload_can_be_cancelled(browser: Browser, address: str, folder: Path) -> None:
    file = folder / "large2.bin"
    file.write_bytes(os.urandom(1 << 20) * 20)
    with tab(browser, address) as watched:
        opened(watched, address, "add")
        held = []
        watched.page.route("**/api/uploads/*offset=*", lambda route: (
            held.append(route) if "offset=8388608" in route.request.url else route.continue_()
        ))
        watched.page.locator('input[type="file"]').set_input_files(file)
        watched.page.get_by_text("8.4 MB of").wait_for()
        watched.page.get_by_role("button", name="Cancel large2.bin").click()
        watched.page.get_by_text("large2.bin").wait_for(state="detached")
        watched.page.unroute_all(behavior="ignoreErrors")
    assert not list((folder / "workspace" / "uploads").glob("*.part"))


def test_another_site_cannot_write(browser: Browser, address: str) -> None:
    with tab(browser, address) as watched:
        watched.page.goto(address.replace("127.0.0.1", "localhost") + "/_stcore/health")
        status = watched.page.evaluate(
            """async (url) => {
                try { return (await fetch(url, {method: "POST", body: '{"name":"a","size":3}'})).status }
                catch (error) { return 0 }
            }""", f"{address}/api/uploads",
        )
        assert status in (0, 403)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_view_opens_clean(browser: Browser, address: str, dark: bool) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    for width in (1440, 1024):
        with tab(browser, address, width=width, dark=dark) as watched:
            for view in VIEWS:
                opened(watched, address, view)
                assert watched.page.locator('[data-testid="stException"]').count() == 0
                assert watched.page.locator('[data-testid="stAlertContentError"]').count() == 0
                assert watched.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
                theme = "dark" if dark else "light"
                watched.page.screenshot(path=ARTEFACTS / f"data-{view}-{theme}-{width}.png")
            assert_clean(watched)
