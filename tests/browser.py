"""The real dashboard and a headless Chromium, for the browser tests, the benchmark of pages and the README's picture.

``python -m tests.browser FILE.png`` draws the picture: it starts the dashboard on an empty workspace, loads the
demo project through its button, runs every step on it and takes the picture of the damage page.
``python -m tests.browser FOLDER`` leaves the workspace with the finished demo project in a folder.
"""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 90
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)
WEBGL = (
    *(flag for flag in FLAGS if flag != "--disable-gpu"), "--use-angle=swiftshader", "--enable-unsafe-swiftshader"
)
"""Single points drawn by WebGL, in software."""
NO_WEBGL = (*FLAGS, "--disable-3d-apis", "--disable-webgl")
_RELOCATED = (".json", ".jsonl")


def find_browser() -> str | None:
    """Path of a Chromium: the one that NEANDL_BROWSER names, else the first on PATH."""
    named = os.environ.get("NEANDL_BROWSER")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium(flags: tuple[str, ...] = FLAGS) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(flags))
        try:
            yield browser
        finally:
            browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(workspace: Path, data: Path | None = None) -> dict[str, str]:
    return os.environ | {"NEANDL_WORKSPACE": str(workspace), "NEANDL_DATA": "" if data is None else str(data)}


@contextmanager
def served(workspace: Path, data: Path | None = None) -> Iterator[str]:
    """Start the dashboard as users do, on a free port, and yield its address once it is healthy."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "neandl_core", "serve", "--port", str(port)],
            cwd=ROOT, env=environment(workspace, data), stdout=log, stderr=log,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_SECONDS
            while not _healthy(address):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"the dashboard did not start:\n{log.read().decode(errors='replace')}")
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


UNFINISHED = (
    '[data-testid="stSkeleton"], [data-stale="true"], [class*="-drawn"]:not(:has(.figure-box)), '
    '.figure-box[data-waiting="true"]'
)


@dataclass
class Watched:
    """A browser page and what went wrong on it: console errors, and requests that left this machine."""

    page: Page
    host: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._check(request.url))
        self.page.on("response", lambda answer: self._refused(answer.status, answer.url))

    def _note(self, kind: str, text: str) -> None:
        # What the server refused is noted with its address by `_refused`.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    def _refused(self, status: int, url: str) -> None:
        # On a deep link Streamlit's own page first looks for its server below the link, is refused, and looks above.
        if status >= 400 and "/_stcore/" not in url:
            self.errors.append(f"{status} {url}")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != self.host:
            self.foreign.append(url)

    def settle(self, *, seconds: float = 60) -> None:
        """Wait until the script has run and nothing is a placeholder any more."""
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=seconds * 1e3)
        self.page.wait_for_function(
            f"() => !document.querySelector(`{UNFINISHED}`)",
            timeout=seconds * 1e3,
        )
        self.page.wait_for_timeout(500)


@contextmanager
def tab(
    browser: Browser, address: str, *, width: int = 1440, height: int = 900, dark: bool = False
) -> Iterator[Watched]:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light",
    )
    try:
        yield Watched(context.new_page(), urlsplit(address).hostname or "")
    finally:
        context.close()


def load_demo(watched: Watched, address: str, *, seconds: float = 1300) -> None:
    """Press Home's button and wait until every step of the demo project is done."""
    watched.page.goto(address)
    watched.settle()
    watched.page.get_by_role("button", name="Load the demo project").click()
    watched.page.get_by_text("The demo project is ready").wait_for(timeout=seconds * 1e3)
    watched.settle()


def open_list(watched: Watched, box: Locator) -> None:
    """Open a list of choices; where a click closes it again, as the page still moves, the arrow key opens it."""
    box.scroll_into_view_if_needed()
    watched.page.wait_for_timeout(500)
    box.click()
    watched.page.wait_for_timeout(1000)
    if not watched.page.get_by_role("option").count():
        box.press("ArrowDown")


def drawn(watched: Watched, count: int, maps: int = 1) -> None:
    """Wait until so many maps of so many k-mers are on the page."""
    watched.page.wait_for_function(
        f"() => document.querySelectorAll('.kmap[data-drawn=\"{count}\"]').length === {maps}", timeout=120_000,
        polling=250,
    )


def lasso(watched: Watched) -> None:
    """Draw round the right-hand side of the first map."""
    watched.page.get_by_role("button", name="Lasso", exact=True).first.click()
    stage = watched.page.locator(".kmap-stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    # Two maps side by side are narrow: what leaves the first one would be a click into the second.
    middle = (box["x"] + box["width"] / 2 + min(150, 0.15 * box["width"]), box["y"] + box["height"] / 2)
    radius = min(120, 0.25 * box["width"])
    mouse = watched.page.mouse
    mouse.move(middle[0] + radius, middle[1])
    mouse.down()
    for step in range(1, 33):
        turn = 2 * math.pi * step / 32
        mouse.move(middle[0] + radius * math.cos(turn), middle[1] + radius * math.sin(turn))
    mouse.up()


def number_before(watched: Watched, words: str) -> int:
    """Wait for a text such as "1,024 k-mers chosen" and return its number."""
    heading = watched.page.get_by_text(words).first
    heading.wait_for(timeout=60_000)
    return int(heading.inner_text().split()[0].replace(",", ""))


def demo_workspace(shared: Path) -> Path:
    """Return a workspace with the finished demo project, made once for all test processes that share a folder.

    It is made through Home's button, in a process of its own, by whoever asks first; the others wait. Nobody may
    change it: `copy_workspace` gives a copy.
    """
    made, done = shared / "demo-workspace", shared / "demo-workspace.done"
    with (shared / "demo-workspace.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            subprocess.run([sys.executable, "-m", "tests.browser", str(made)], cwd=ROOT, check=True)
            done.touch()
    return made


def copy_workspace(source: Path, target: Path) -> None:
    """Copy a workspace; its runs then name each other at the new place."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    old, new = str(source.resolve()), str(target.resolve())
    for path in target.rglob("*"):
        if path.suffix in _RELOCATED and path.is_file():
            text = path.read_text()
            if old in text:
                path.write_text(text.replace(old, new))


def make_demo(folder: Path) -> int:
    """Load the demo project into a workspace; 1 if the browser complained meanwhile."""
    with served(folder) as address, chromium() as browser, tab(browser, address) as watched:
        load_demo(watched, address)
        # The fonts are bundled by `make setup`, which a machine without npm cannot do.
        wrong = [text for text in watched.errors if "/assets/vendor/" not in text] + watched.foreign
    sys.stderr.writelines(f"{text}\n" for text in wrong)
    return int(bool(wrong))


def main(target: str) -> int:
    """Write the README's picture, or a workspace with the demo project."""
    if find_browser() is None:
        sys.stderr.write("There is no Chromium: install it, or name it with NEANDL_BROWSER.\n")
        return 1
    if Path(target).is_dir():
        return make_demo(Path(target))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address, chromium() as browser, \
            tab(browser, address, width=1440, height=1000) as watched:
        load_demo(watched, address)
        watched.page.goto(f"{address}/reads")
        watched.settle()
        watched.page.screenshot(path=target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
