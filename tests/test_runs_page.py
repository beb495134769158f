"""The Runs page in a real browser: two tabs, cancel, resume, methods, delete."""

from __future__ import annotations

import re
import time

import pytest

from neandl_core.__main__ import main
from neandl_core.launch import launch
from neandl_core.run_notes import read_notes
from neandl_core.runs import list_runs, read_state
from tests.browser import chromium, find_browser, served, tab
from tests.engine_helpers import LONG, SHORT, end_all, wait_for, wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="there is no Chromium"),
]
ROW, HEADER = 35, 35


def choose(watched, row: int) -> None:
    """Tick a row of the table, on a fresh page as nothing moves there; it is drawn on a canvas, so by place."""
    watched.page.reload()
    watched.page.get_by_text("Not finished").wait_for(timeout=60_000)
    watched.settle()
    box = watched.page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    watched.page.mouse.click(box["x"] + 15, box["y"] + HEADER + ROW * row + ROW / 2)
    watched.settle()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace on a machine with one slot, in which nothing is left at work."""
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "1")
    yield tmp_path / "workspace"
    end_all(tmp_path / "workspace" / "runs")


def test_runs_are_watched_ended_taken_up_and_deleted(workspace):
    runs, queue = workspace / "runs", workspace / "queue"
    assert main(["simulate", *SHORT, "--out", str(runs / "first"), "--title", "Finished one", "--quiet"]) == 0
    folder = launch(runs, "simulate", LONG, "Long one", queue=queue)
    wait_for(folder, "running")
    waiting = launch(runs, "simulate", SHORT, "Patient one", queue=queue)
    with served(workspace) as address, chromium() as browser, tab(browser, address) as one, \
            tab(browser, address) as two:
        for watched in (one, two):
            watched.page.goto(f"{address}/runs", timeout=90_000)
            watched.page.get_by_text("Long one").first.wait_for(timeout=60_000)
            watched.page.get_by_text("number 1 in the queue").wait_for(timeout=30_000)
        began = time.monotonic()
        one.page.get_by_role("button", name="Cancel").first.click()
        wait_for(folder, "cancelled", seconds=10)
        assert time.monotonic() - began < 8
        wait_for(waiting, "done")
        for watched in (one, two):
            button = watched.page.get_by_role("button", name=re.compile("Cancel")).first
            button.wait_for(state="detached", timeout=30_000)
        # After a reload both tabs say the same.
        for watched in (one, two):
            watched.page.reload()
            watched.page.get_by_text("Not finished").wait_for(timeout=30_000)
            watched.settle()
            assert watched.page.locator('[data-testid="stMetricValue"]').all_inner_texts()[:4] == ["0", "0", "2", "1"]
        # Newest first: the patient one, the long one, the first.
        choose(one, 1)
        one.page.get_by_role("button", name="Start again").click()
        assert wait_for(folder, "running").resumed == 1
        one.page.get_by_role("button", name="Cancel").first.click()
        wait_for(folder, "cancelled", seconds=10)
        choose(one, 1)
        one.page.get_by_role("button", name="Delete").click()
        one.page.get_by_role("button", name="Delete for good").click()
        wait_until(lambda: not folder.exists())
        choose(one, 1)
        one.page.get_by_text('The step "simulate" was made with NeanDL').wait_for(timeout=20_000)
        one.page.get_by_role("tab", name="Notes").click()
        one.page.get_by_placeholder("paper, figure 2").fill("paper, figure 2")
        one.page.get_by_role("button", name="Save").click()
        wait_until(lambda: read_notes(runs / "first").tags == ("paper", "figure 2"))
        one.settle()
        one.page.get_by_role("button", name="Run again").click()
        wait_until(lambda: len(list_runs(runs)) == 3)
        again = list_runs(runs)[0][0]
        assert wait_for(again, "done").title == "Finished one (again)"
        assert (again / "truth.tsv").read_bytes() == (runs / "first" / "truth.tsv").read_bytes()
        assert one.foreign == two.foreign == []
    assert read_state(waiting).state == "done"
