"""Run folders, with real child processes."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import psutil
import pytest

from neandl_core.config import DemoSettings
from neandl_core.errors import CancelledError, InputError, OutputError
from neandl_core.files import write_tsv
from neandl_core.launch import launch
from neandl_core.recording import Run, require_run
from neandl_core.runs import (
    delete_run,
    list_runs,
    read_metrics,
    read_state,
    read_summary,
    request_cancel,
    write_state,
)


def wait_for(folder, *states, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = read_state(folder)
        if state.state in states:
            return state
        time.sleep(0.1)
    raise AssertionError(f"still {read_state(folder)} after {seconds} s")


def long_run(runs):
    """Start a simulation that takes minutes if nobody stops it."""
    return launch(runs, "simulate", ["--reads", "3000000", "--chromosomes", "10"], "long one")


def test_a_finished_run_has_its_result_settings_and_inputs(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("abc")
    with Run(tmp_path / "run", "demo", DemoSettings(seed=7), [source], title="mine") as run:
        (run.results / "table.tsv").write_text("x")
        run.metric(loss=0.5)
        run.progress(1, 2, "half")
        assert not (run.folder / "table.tsv").exists()
        run.summarise({"n": 1})
    folder = tmp_path / "run"
    state = read_state(folder)
    assert (state.state, state.title, state.message) == ("done", "mine", "Done")
    assert read_summary(folder) == {"command": "demo", "n": 1}
    assert read_metrics(folder) == [{"loss": 0.5}]
    config = json.loads((folder / "config.json").read_text())
    assert config["seed"] == 7
    assert config["inputs"][0]["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert {"neandl", "python", "numpy"} <= config["software"].keys()
    assert not (folder / ".results").exists()
    assert require_run(folder, "demo") == folder
    with pytest.raises(InputError, match="expected the --out folder of `train`"):
        require_run(folder, "train")


def test_an_input_that_breaks_while_its_checksum_is_taken_fails_the_run(tmp_path, monkeypatch):
    source = tmp_path / "in.bam"
    source.write_text("abc")

    def broken(path, given_up):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("neandl_core.recording.describe_file", broken)

    def work():
        with Run(tmp_path / "run", "demo", DemoSettings(), [source]) as run:
            run.summarise({"n": 1})

    with pytest.raises(InputError, match=r"in\.bam: this input cannot be read any more \(Input/output error\)"):
        work()
    assert not (tmp_path / "run").exists()


def test_a_table_is_written_as_pandas_would(tmp_path):
    columns = {"name": ["a", "b"], "n": np.array([1, 10**12]), "rate": np.array([0.1 + 0.2, np.nan])}
    write_tsv(tmp_path / "ours.tsv", columns)
    assert (tmp_path / "ours.tsv").read_text() == pd.DataFrame(columns).to_csv(sep="\t", index=False)


def test_a_failure_started_by_hand_leaves_no_folder(tmp_path):
    def fail():
        with Run(tmp_path / "run", "demo", DemoSettings()) as run:
            (run.results / "half.tsv").write_text("x")
            raise InputError("bad")

    with pytest.raises(InputError, match="bad"):
        fail()
    assert not (tmp_path / "run").exists()


def test_a_folder_that_was_there_is_emptied_not_removed(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError), Run(tmp_path / "run", "demo", DemoSettings()):
        raise InputError("bad")
    assert list((tmp_path / "run").iterdir()) == []


def test_an_output_folder_with_something_in_it_is_never_touched(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match="not empty"), Run(tmp_path / "run", "demo", DemoSettings()):
        pass
    assert (tmp_path / "run" / "thesis.docx").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"), Run(tmp_path / "file", "demo", DemoSettings()):
        pass
    with pytest.raises(OutputError, match="cannot be made"), Run(tmp_path / "file" / "run", "demo", DemoSettings()):
        pass


def test_a_finished_run_is_not_overwritten(tmp_path):
    with Run(tmp_path / "run", "demo", DemoSettings()) as run:
        run.summarise({})
    with pytest.raises(OutputError, match="holds another run"), Run(tmp_path / "run", "demo", DemoSettings()):
        pass


def test_a_launched_run_outlives_its_launcher_and_finishes(tmp_path):
    folder = launch(tmp_path, "simulate", ["--reads", "1000", "--chromosomes", "2", "--chromosome-length", "200000"],
                    "small")
    state = wait_for(folder, "done", "failed")
    assert state.state == "done", state.message
    assert os.getsid(os.getpid()) != state.pid
    assert (folder / "ancient.bam").exists()
    assert [path for path, _ in list_runs(tmp_path, "simulate", "done")] == [folder]
    delete_run(folder)
    assert list_runs(tmp_path) == []


def test_a_launched_failure_keeps_the_sentence_for_the_page(tmp_path):
    folder = launch(tmp_path, "reads", ["/no/such.bam"], "missing")
    state = wait_for(folder, "failed")
    assert "no such BAM" in state.message or "there is no such" in state.message
    assert "Traceback" not in (folder / "log.txt").read_text()
    assert read_summary(folder) is None


def test_cancel_stops_the_worker_within_seconds_and_leaves_no_result(tmp_path):
    folder = long_run(tmp_path)
    state = wait_for(folder, "running")
    began = time.monotonic()
    request_cancel(folder)
    ended = wait_for(folder, "cancelled", seconds=15)
    assert time.monotonic() - began < 10
    psutil.wait_procs([psutil.Process(state.pid)] if psutil.pid_exists(state.pid) else [], timeout=5)
    assert not psutil.pid_exists(ended.pid) or psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE
    assert not (folder / ".results").exists()
    assert not (folder / "summary.json").exists()


def test_a_killed_worker_is_seen_as_interrupted(tmp_path):
    folder = long_run(tmp_path)
    state = wait_for(folder, "running")
    os.kill(state.pid, signal.SIGKILL)
    assert "signal 9" in wait_for(folder, "interrupted", seconds=10).message
    end = time.monotonic() + 5
    while (folder / ".results").exists():
        assert time.monotonic() < end, "what the worker left is removed"
        time.sleep(0.1)
    assert json.loads((folder / "state.json").read_text())["state"] == "interrupted"


def test_a_silent_worker_is_not_running_for_ever(tmp_path):
    with Run(tmp_path / "run", "demo", DemoSettings()) as run:
        state = read_state(run.folder)
        assert state.state == "running"
        (tmp_path / "copy").mkdir()
        write_state(tmp_path / "copy", replace(state, heartbeat=time.time() - 31))
        assert read_state(tmp_path / "copy").state == "interrupted"
        # A later process with the same number is not the worker.
        write_state(tmp_path / "copy", replace(state, process_created=state.process_created - 100))
        assert read_state(tmp_path / "copy").state == "interrupted"


def test_cancel_in_this_process_is_reported_as_such(tmp_path):
    with pytest.raises(CancelledError, match="was cancelled"), Run(tmp_path / "run", "demo", DemoSettings()):
        raise KeyboardInterrupt
