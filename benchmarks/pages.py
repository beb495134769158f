"""Time the dashboard as users meet it: first paint, page switches, reruns at one user and at ten, and memory.

    python benchmarks/pages.py [--workspace FOLDER] [--users 10] [--reruns 1000] [--only paint,switch,rerun]

The dashboard is started as users start it, on a workspace with the finished demo project (made first if none is
given; one that is given is copied), and held to two processors.

- **First paint**: a browser opens a page of a warm server: until something is painted, until the page's title is
  there, until all that the window shows is there. Once in a new browser profile, which fetches and compiles 6 MB of
  programs, and once more in the same.
- **Switch**: a click in the menu, until the other page's title and all it shows are there.
- **Rerun**: a widget is changed in the browser: from the moment it asks the server until the server's answer is there,
  and until the last change within the window is drawn; figures below it are drawn when there is nothing else to do.
- **Users**: as many connections as users speak the browser's own protocol; each waits a moment as people do (2 to 4
  seconds), then has a page run anew from its first line. At one user and at all of them.
- **Memory**: resident memory of the server after 100 reruns of all pages in turn, and after `--reruns`.

Times depend on what else the machine does, so the load is printed, and beside each server time stands the processor
time that the server's process used for it, which other work changes little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

from tests.browser import WEBGL, chromium, copy_workspace, make_demo, served, tab  # noqa: E402

PAGES = {
    "home": ("Home", "NeanDL"), "runs": ("Runs", "Runs"), "data": ("Data", "Data"),
    "reads": ("Reads & damage", "Reads & damage"), "decontaminate": ("Decontaminate", "Decontaminate"),
    "windows": ("Windows & audit", "Windows & audit"), "training": ("Training", "Training"),
    "results": ("Results", "Results"), "interpretation": ("Interpretation", "Interpretation"),
    "embeddings": ("Embeddings", "Embeddings"), "genes": ("Genes", "Genes"),
    "overlap": ("Gene avoidance", "Gene avoidance"), "presentation": ("Figures & slides", "Figures & slides"),
}
"""Pages by address: what the menu calls them, and their title."""
TARGETS = {"paint": 2.0, "switch": 1.0, "rerun": 0.3, "users": 1.0, "memory": 5.0}
SEED = 1
THINKING = (2.0, 4.0)
READY = """title => {
    const app = document.querySelector('[data-testid="stApp"]');
    const late = '.figure-box[data-waiting="true"], [class*="-drawn"]:not(:has(.figure-box))';
    const waiting = [...document.querySelectorAll(late)]
        .some((one) => one.getBoundingClientRect().top < window.innerHeight);
    const heading = [...document.querySelectorAll('h1')].some((one) => one.innerText.trim() === title);
    return heading && !waiting && app?.dataset.testScriptState === "notRunning"
        && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]');
}"""
TITLED = "title => [...document.querySelectorAll('h1')].some((one) => one.innerText.trim() === title)"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
WATCH = """() => {
    window.begin = () => { window.asked = 0; window.answered = 0; window.painted = 0; window.changes = new Map(); };
    window.begin();
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) { window.asked ||= performance.now(); return send.call(this, data); };
    const Plain = WebSocket;
    window.WebSocket = class extends Plain {
        constructor(...words) {
            super(...words);
            this.addEventListener("message", () => {
                const now = window.answered = performance.now();
                requestAnimationFrame(() => requestAnimationFrame(() => {
                    if (window.answered === now) window.painted = performance.now();
                }));
            });
        }
    };
    new MutationObserver((changes) => {
        const now = performance.now();
        let last = null;
        for (const { target } of changes) {
            if (target === last) continue;
            last = target;
            const element = target.closest ? target : target.parentElement;
            if (!element?.closest('[data-testid="stMain"]') || element.closest("canvas")) continue;
            window.changes.set(
                element.closest('.figure-box, .gbrowser, [data-testid="stElementContainer"]') ?? document.body, now
            );
        }
    }).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
}"""
SETTLED = """() => {
    const within = (part) => part.isConnected && part.getBoundingClientRect().top < window.innerHeight;
    const drawn = Math.max(window.painted, ...[...window.changes].map(([part, time]) => within(part) ? time : 0));
    const quiet = performance.now() - Math.max(window.answered, ...window.changes.values());
    const still = window.painted && quiet > 1000 &&
        document.querySelector('[data-testid="stApp"]').dataset.testScriptState === "notRunning" &&
        !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]');
    return still ? [(window.answered - window.asked) / 1000, (drawn - window.asked) / 1000] : null;
}"""
"""Seconds until the answer was there and until all of it in the window was drawn; null while something still moves.

A canvas changes without a trace: what was to be drawn when the answer came is drawn two frames later. What lies
inside one is for screen readers; tables fill it in 0.3 s later."""


def say(text: str = "") -> None:
    print(text, flush=True)


def p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(0.95 * len(times)) - 1)]


def verdict(value: float, target: float) -> str:
    return "within" if value <= target else "MISSES"


class Server:
    """The dashboard's process: its processor time and memory."""

    def __init__(self, address: str) -> None:
        port = int(address.rpartition(":")[2])
        self.process = next(
            one for one in psutil.process_iter(["cmdline"]) if f"--server.port={port}" in (one.info["cmdline"] or [])
        )
        self.process.cpu_affinity(sorted(os.sched_getaffinity(0))[:2])

    def seconds(self) -> float:
        """Return the processor time used so far."""
        used = self.process.cpu_times()
        return used.user + used.system

    def megabytes(self) -> float:
        """Return the resident memory."""
        return self.process.memory_info().rss / 2**20


def open_page(page: Page, address: str, name: str) -> tuple[float, float, float]:
    """Open a page; return the seconds to the first paint, to the page's title, and until all it shows is there."""
    began = time.perf_counter()
    page.goto(f"{address}/{'' if name == 'home' else name}", wait_until="commit")
    page.wait_for_function(TITLED, arg=PAGES[name][1], timeout=120_000)
    titled = time.perf_counter() - began
    page.wait_for_function(READY, arg=PAGES[name][1], timeout=120_000)
    whole = time.perf_counter() - began
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    return page.evaluate(FIRST_PAINT) / 1000, titled, whole


def paints(browser: Browser, address: str, server: Server, rounds: int) -> None:
    for name in PAGES:
        # Once, so that the caches are those of a server at work.
        with tab(browser, address) as watched:
            open_page(watched.page, address, name)
    slowest = dict.fromkeys(("new", "known"), (0.0, 0.0, 0.0))
    say(f"  {'':15} new browser: first paint, title, all   one that was here before   server's processor")
    for name in PAGES:
        times: dict[str, list[tuple[float, float, float]]] = {"new": [], "known": []}
        before = server.seconds()
        for _ in range(rounds):
            with tab(browser, address) as watched:
                for kind in times:
                    times[kind].append(open_page(watched.page, address, name))
        used = (server.seconds() - before) / rounds / 2
        medians = {kind: tuple(map(statistics.median, zip(*own, strict=True))) for kind, own in times.items()}
        slowest = {kind: tuple(map(max, own, medians[kind])) for kind, own in slowest.items()}
        say(f"  {name:15}" + "".join(
            f" {'  '.join(f'{seconds:5.2f} s' for seconds in medians[kind])}      " for kind in medians
        ) + f"{used:5.2f} s")
    for kind, (paint, title, whole) in slowest.items():
        say(f"slowest page, {kind} browser: first paint {paint:.2f} s, title {title:.2f} s, all {whole:.2f} s; "
            f"target for the first paint {TARGETS['paint']:g} s, {verdict(paint, TARGETS['paint'])}")


def switches(browser: Browser, address: str, server: Server, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    used: dict[str, list[float]] = {name: [] for name in PAGES}
    with tab(browser, address) as watched:
        open_page(watched.page, address, "home")
        menu = watched.page.locator('[data-testid="stSidebarNav"]')
        for turn in range(rounds + 1):
            for name in [*list(PAGES)[1:], "home"]:
                before, began = server.seconds(), time.perf_counter()
                menu.get_by_role("link", name=PAGES[name][0], exact=True).click()
                watched.page.wait_for_function(READY, arg=PAGES[name][1], timeout=120_000)
                if turn:
                    times[name].append(time.perf_counter() - began)
                    used[name].append(server.seconds() - before)
                watched.page.wait_for_timeout(300)
    for name, own in times.items():
        say(f"  {name:15} {statistics.median(own):5.2f} s  worst {max(own):5.2f} s  "
            f"server's processor {statistics.median(used[name]):5.2f} s")
    worst = max(statistics.median(own) for own in times.values())
    say(f"page switch: slowest page {worst:.2f} s; target {TARGETS['switch']:g} s, "
        f"{verdict(worst, TARGETS['switch'])}")


def one_of(page: Page, label: str, turn: int) -> None:
    """Choose the first or the second option of a list."""
    page.get_by_role("combobox", name=label, exact=True).filter(visible=True).first.click()
    options = page.get_by_role("option")
    options.first.wait_for()
    options.nth(turn % min(2, options.count())).click()


def segment(page: Page, names: tuple[str, ...], turn: int) -> None:
    name = re.compile(f"^{names[turn % len(names)]}$")
    page.get_by_role("radio", name=name).or_(page.get_by_role("button", name=name)).first.click()


def typed(page: Page, label: str, texts: tuple[str, ...], turn: int) -> None:
    field = page.get_by_label(label, exact=True).filter(visible=True).first
    field.fill(texts[turn % len(texts)])
    field.press("Enter")


INTERACTIONS: dict[str, tuple[str, Callable[[Page, int], None]]] = {
    "reads: another sample": ("reads", lambda page, turn: one_of(page, "Sample", turn)),
    "decontaminate: another step": (
        "decontaminate", lambda page, turn: segment(page, (".*4 Apply", ".*3 Evaluate"), turn)
    ),
    "training: another model": ("training", lambda page, turn: one_of(page, "Model", turn)),
    "results: another measure": ("results", lambda page, turn: segment(page, ("AUC", "accuracy"), turn)),
    "results: search": ("results", lambda page, turn: typed(page, "Search", ("simulated", "bilstm"), turn)),
    "embeddings: colour": ("embeddings", lambda page, turn: one_of(page, "Colour", turn)),
    "embeddings: search": ("embeddings", lambda page, turn: typed(page, "Search", ("CG", "TA"), turn)),
    "genes: another gene": (
        "genes", lambda page, turn: typed(page, "Gene", ("DEMO-ANK3", "SIM"), turn)
    ),
    "runs: search": ("runs", lambda page, turn: typed(page, "Search", ("windows", "genes"), turn)),
}


def reruns(browser: Browser, address: str, server: Server, rounds: int) -> None:
    everything: list[float] = []
    for label, (name, change) in INTERACTIONS.items():
        times, answers, used = [], [], []
        with tab(browser, address) as watched:
            page = watched.page
            page.set_default_timeout(30_000)
            page.add_init_script(f"({WATCH})()")
            open_page(page, address, name)
            page.wait_for_timeout(1500)
            for turn in range(2 * rounds + 2):
                page.evaluate("window.begin()")
                before, began, found = server.seconds(), time.perf_counter(), None
                change(page, turn + 1)
                # What watches the page lies in it and nothing asks it meanwhile, or that would be timed too.
                while found is None:
                    if time.perf_counter() - began > 60:
                        raise SystemExit(f"{label}: nothing was run within a minute")
                    time.sleep(1.5)
                    found = page.evaluate(SETTLED)
                # The first two fill the caches.
                if turn > 1:
                    answers.append(found[0])
                    times.append(found[1])
                    used.append(server.seconds() - before)
        everything += times
        say(f"  {label:28} drawn {statistics.median(times):5.2f} s  worst {max(times):5.2f} s  "
            f"answer {statistics.median(answers):5.2f} s  server's processor {statistics.median(used):5.2f} s")
    say(f"rerun at one user, until all is drawn: median {statistics.median(everything):.2f} s, "
        f"p95 {p95(everything):.2f} s; target {TARGETS['rerun']:g} s, "
        f"{verdict(statistics.median(everything), TARGETS['rerun'])}")


class User:
    """A connection that speaks the browser's protocol: it has pages run, and waits until they have."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.hashes: dict[str, str] = {}

    async def rerun(self, name: str = "home") -> float:
        """Have a page run from its first line; return the seconds until it has."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        message.rerun_script.context_info.timezone = "UTC"
        if name in self.hashes:
            message.rerun_script.page_script_hash = self.hashes[name]
        began = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self.connection.recv(), 120))
            kind = answer.WhichOneof("type")
            if kind == "navigation":
                self.hashes = {
                    page.url_pathname or "home": page.page_script_hash for page in answer.navigation.app_pages
                }
            if kind == "script_finished":
                return time.perf_counter() - began


@contextmanager
def quiet_loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def stream(address: str) -> connect:
    return connect(
        f"{address.replace('http', 'ws', 1)}/_stcore/stream", subprotocols=["streamlit"], origin=address,
        max_size=None, ping_interval=None,
    )


async def at_once(address: str, users: int, seconds: float) -> list[float]:
    """Let so many users look at pages at random for a while, and return how long each rerun took."""
    times: list[float] = []
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        draw = random.Random(SEED * 1000 + number)
        async with stream(address) as connection:
            user = User(connection)
            await user.rerun()
            await asyncio.sleep(draw.uniform(0, THINKING[1]))
            while time.monotonic() < end:
                page = draw.choice(list(PAGES))
                # The first look at a page is a switch; what is timed is its rerun.
                await user.rerun(page)
                for _ in range(4):
                    await asyncio.sleep(draw.uniform(*THINKING))
                    times.append(await user.rerun(page))

    await asyncio.gather(*(one(number) for number in range(users)))
    return times


async def once(address: str) -> None:
    """Look at every page, so that the caches are those of a server at work."""
    async with stream(address) as connection:
        user = User(connection)
        for name in ["home", *PAGES]:
            await user.rerun(name)


def crowd(address: str, server: Server, users: int, seconds: float) -> None:
    with quiet_loop() as runner:
        runner.run(once(address))
    for count in (1, users):
        before = server.seconds()
        with quiet_loop() as runner:
            times = runner.run(at_once(address, count, seconds))
        used = (server.seconds() - before) / max(1, len(times))
        say(f"  {count:2} users: {len(times)} reruns, median {statistics.median(times):.3f} s, p95 {p95(times):.3f} s, "
            f"server's processor {used:.3f} s each (switches between them included)")
        target = TARGETS["rerun"] if count == 1 else TARGETS["users"]
        value = statistics.median(times) if count == 1 else p95(times)
        say(f"rerun at {count} users: target {target:g} s, {verdict(value, target)}")


async def pages_in_turn(address: str, server: Server, reruns: int) -> tuple[dict[str, float], list[tuple[int, float]]]:
    """Rerun all pages in turn; return each page's processor time, and the server's memory now and then."""
    used: dict[str, list[float]] = {name: [] for name in PAGES}
    memory = []
    async with stream(address) as connection:
        user = User(connection)
        await user.rerun()
        for number in range(1, reruns + 1):
            name = list(PAGES)[number % len(PAGES)]
            before = server.seconds()
            await user.rerun(name)
            used[name].append(server.seconds() - before)
            if number % 100 == 0:
                memory.append((number, server.megabytes()))
    return {name: statistics.median(own) for name, own in used.items() if own}, memory


def memory(address: str, server: Server, reruns: int) -> None:
    with quiet_loop() as runner:
        used, held = runner.run(pages_in_turn(address, server, reruns))
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        say(f"  {name:15} server's processor {seconds:5.3f} s a rerun")
    say("  " + ", ".join(f"{number}: {size:.0f} MB" for number, size in held))
    growth = 100 * (held[-1][1] / held[0][1] - 1)
    say(f"memory after {held[-1][0]:,} reruns against {held[0][0]}: {growth:+.1f}%; target {TARGETS['memory']:g}%, "
        f"{verdict(growth, TARGETS['memory'])}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workspace", type=Path, help="a workspace with the finished demo project")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60, help="how long the users look at pages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reruns", type=int, default=1000)
    parser.add_argument("--only", default="paint,switch,rerun,users,memory")
    given = parser.parse_args()
    wanted = given.only.split(",")
    with tempfile.TemporaryDirectory() as place:
        workspace = Path(place) / "workspace"
        if given.workspace is None:
            workspace.mkdir()
            if make_demo(workspace):
                return 1
        else:
            copy_workspace(given.workspace, workspace)
        with served(workspace) as address:
            server = Server(address)
            say(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
            if {"paint", "switch", "rerun"} & set(wanted):
                with chromium(WEBGL) as browser:
                    for name, part in (("paint", paints), ("switch", switches), ("rerun", reruns)):
                        if name in wanted:
                            part(browser, address, server, given.rounds)
            if "users" in wanted:
                crowd(address, server, given.users, given.seconds)
            if "memory" in wanted:
                memory(address, server, given.reruns)
            say(f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
