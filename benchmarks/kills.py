"""Kill -9 at random moments: whether every training recovers with the numbers of one that was never interrupted.

``python -m benchmarks.kills [KILLS]`` trains a tiny network under a supervisor, kills its worker KILLS times (50 if
not said) at random moments, a third of them while a checkpoint is being written, resumes it each time, and begins
another training whenever one is done. Every finished training must equal the uninterrupted one.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from neandl_core.files import read_json
from neandl_core.launch import launch, resume
from neandl_core.runs import raw_state, read_metrics, read_state, supervisor_alive
from tests.test_resume import epochs_of, timeless
from tests.test_training import make_dataset

WORDS = ("--preset", "bilstm", "--epochs", "6", "--batch-size", "32", "--threads", "1")


def wait(condition: Callable[[], bool], pause: float = 0.02, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("nothing happens any more")
        time.sleep(pause)


def numbers(folder: Path) -> tuple:
    return epochs_of(folder), timeless(read_json(folder / "evaluation.json"))


def kill_once(folder: Path, rng: np.random.Generator, length: float) -> str | None:
    """Kill a worker at a random moment and return what it was at; None if the run ended before."""
    wait(lambda: raw_state(folder).state != "queued")
    moment = time.monotonic() + 0.7 * rng.random() * length
    if rng.random() < 1 / 3:
        # The file is there for milliseconds, so it is looked for as often as can be.
        temporary, what = folder / "checkpoint.tmp", "checkpoint"
        while not temporary.exists() and not read_state(folder).ended:
            for _ in range(2000):
                if temporary.exists():
                    break
    else:
        wait(lambda: read_state(folder).ended or time.monotonic() > moment)
        what = "training" if read_metrics(folder) else "start"
    state = raw_state(folder)
    if state.state != "running":
        return None
    os.kill(state.pid, signal.SIGKILL)
    wait(lambda: not supervisor_alive(folder))
    return what


def main(kills: int = 50) -> int:
    rng = np.random.default_rng(1)
    began, done, equal = time.perf_counter(), 0, 0
    at = {"start": 0, "training": 0, "checkpoint": 0}
    with tempfile.TemporaryDirectory() as place:
        dataset = str(make_dataset(Path(place, "data"), k=8, n=800).folder)
        whole = launch(Path(place, "whole"), "train", [dataset, *WORDS], "whole")
        wait(lambda: read_state(whole).ended)
        expected = numbers(whole)
        length = (raw_state(whole).finished or 0) - (raw_state(whole).started or 0)
        while sum(at.values()) < kills:
            folder = launch(Path(place, "runs"), "train", [dataset, *WORDS], f"killed {done}")
            while sum(at.values()) < kills and (what := kill_once(folder, rng, length)):
                at[what] += 1
                resume(folder)
            wait(lambda folder=folder: read_state(folder).ended and not supervisor_alive(folder))
            if read_state(folder).state != "done":
                print(f"not recovered: {read_state(folder)}")
                return 1
            done += 1
            equal += numbers(folder) == expected
            print(f"{sum(at.values())} kills, {done} trainings, {equal} equal", flush=True)
    print(
        f"{sum(at.values())} of {sum(at.values())} kills recovered ({at['checkpoint']} while a checkpoint was written, "
        f"{at['training']} else in training, {at['start']} before its first record); {equal} of {done} finished "
        f"trainings have the numbers of the uninterrupted one; {time.perf_counter() - began:.0f} s, load "
        f"{os.getloadavg()[0]:.1f}"
    )
    return 0 if equal == done else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
