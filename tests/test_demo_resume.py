"""A demo that is killed in the middle goes on where it was, and ends with every step done."""

from __future__ import annotations

import os
import signal

import pytest

from neandl_core.demo import steps
from neandl_core.launch import launch, resume
from neandl_core.runs import raw_state, read_state, read_summary
from tests.engine_helpers import command, end_all, group_of, wait_for, wait_until

LAST = "reads-modern"


@pytest.mark.slow
def test_a_demo_killed_in_its_second_step_is_taken_up_there(tmp_path):
    runs = tmp_path / "runs"
    folder = launch(runs, "demo", ["--until", LAST, "--threads", "1"], "demo")
    try:
        second = folder / "reads-mixed"
        wait_until(lambda: (second / "state.json").exists(), 90)
        state = raw_state(folder)
        worker, step = state.pid, wait_for(second, "running", "done").pid
        os.kill(worker, signal.SIGKILL)
        wait_for(folder, "interrupted", seconds=30)
        wait_until(lambda: not group_of(worker), 10)
        assert not any(process.pid == step for process in group_of(step)), "the step ends with the demo"
        first = folder / "simulated"
        kept = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}
        assert read_state(first).state == "done"
        resume(folder)
        state = wait_for(folder, "done", "failed", seconds=200)
    finally:
        end_all(runs)
    assert (state.state, state.resumed) == ("done", 1), state.message
    names = [step.folder for step in steps(1)]
    names = names[: names.index(LAST) + 1]
    summary = read_summary(folder)
    assert [step["step"] for step in summary["steps"]] == names
    assert all(read_state(folder / name).state == "done" for name in names)
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == kept, "the first step is not done again"
    assert summary["figures"]
    assert all(step["headline"] for step in summary["steps"])


def test_a_last_step_that_there_is_not_is_refused(tmp_path):
    said = command("demo", "--until", "dinner", "--out", tmp_path / "demo")
    assert said.returncode == 1
    assert "there is no step 'dinner'; choose one of simulated" in said.stderr
