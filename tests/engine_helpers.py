"""Real runs for the tests of the engine: small inputs, waiting, looking at processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from neandl_core.files import read_json
from neandl_core.runs import RunState, list_runs, raw_state, read_state

ROOT = Path(__file__).resolve().parents[1]
LONG = ("--reads", "3000000", "--chromosomes", "10")
"""A simulation that takes minutes if nobody stops it."""
SHORT = ("--reads", "1000", "--chromosomes", "2", "--chromosome-length", "200000")


def wait_for(folder: Path, *states: str, seconds: float = 60) -> RunState:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = read_state(folder)
        if state.state in states:
            return state
        time.sleep(0.05)
    raise AssertionError(f"still {read_state(folder)} after {seconds} s")


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def command(*words: object, cwd: Path | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does and return what it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "neandl_core", *map(str, words)], capture_output=True, text=True, env=environment,
        cwd=cwd, check=False, timeout=240, **options,
    )


def group_of(pid: int) -> list[psutil.Process]:
    """Processes of a group that still live."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def end_all(runs: Path) -> None:
    """Kill what a test has left at work."""
    for run, state in list_runs(runs):
        if not state.ended:
            job = read_json(run / "worker.json")
            for pid in filter(None, (job.get("pid"), raw_state(run).pid)):
                for process in group_of(pid):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
