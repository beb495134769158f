"""The real dashboard and a headless Chromium, for the browser tests and for the README's screenshot.

``python -m tests.browser FILE.png`` draws the screenshot: it starts the dashboard on an empty workspace, loads the
demo project through its button, runs every step on it and takes the picture of the damage page.
"""

from __future__ import annotations

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

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 90
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)


def find_browser() -> str | None:
    """Path of a Chromium: the one that NEANDL_BROWSER names, else the first on PATH."""
    named = os.environ.get("NEANDL_BROWSER")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
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
            "() => !document.querySelector('[data-testid=\"stSkeleton\"], [data-stale=\"true\"]')",
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


def main(target: str) -> int:
    """Write the README's screenshot."""
    if find_browser() is None:
        sys.stderr.write("There is no Chromium: install it, or name it with NEANDL_BROWSER.\n")
        return 1
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address, chromium() as browser, \
            tab(browser, address, width=1440, height=1000) as watched:
        load_demo(watched, address)
        watched.page.goto(f"{address}/reads")
        watched.settle()
        watched.page.screenshot(path=target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
