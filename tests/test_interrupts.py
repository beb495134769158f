"""Signals at any moment of a run: it is interrupted or done, never something between."""

from __future__ import annotations

import os
import signal
import time

import pytest

from neandl_core import recording
from neandl_core.config import DemoSettings
from neandl_core.errors import CancelledError
from neandl_core.recording import Run
from neandl_core.runs import read_state


@pytest.fixture(autouse=True)
def handlers():
    """Nobody else's answer to a signal is changed for good."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def opened(tmp_path, name="run"):
    """A run whose folder stays after a cancel, as one that a page started."""
    folder = tmp_path / name
    folder.mkdir()
    recording.write_state(folder, recording.RunState("queued", "demo", title=name, queued=time.time()))
    (folder / "worker.json").write_text("{}")
    return Run(folder, "demo", DemoSettings()), folder


def work_in(run, seconds=10):
    with run:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_run_begins_interrupts_its_work(tmp_path, monkeypatch, number):
    run, folder = opened(tmp_path)
    write, sent = recording.write_state, []

    def write_and_signal(*arguments):
        write(*arguments)
        if not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(recording, "write_state", write_and_signal)
    began = time.monotonic()
    with pytest.raises(CancelledError):
        work_in(run)
    assert time.monotonic() - began < 5
    assert sent
    state = read_state(folder)
    assert state.state == ("interrupted" if number == signal.SIGTERM else "cancelled")
    assert ("told to end" in state.message) == (number == signal.SIGTERM)
    assert not run.results.exists()


def test_a_signal_while_a_run_ends_leaves_it_done(tmp_path, monkeypatch):
    run, folder = opened(tmp_path)
    publish = Run._publish

    def publish_and_signal(self):
        os.kill(os.getpid(), signal.SIGTERM)
        publish(self)

    monkeypatch.setattr(Run, "_publish", publish_and_signal)
    with run:
        run.summarise({"n": 1})
    assert read_state(folder).state == "done"
    assert (folder / "summary.json").exists()


def test_a_run_within_a_run_tells_it_what_came(tmp_path):
    outer, outer_folder = opened(tmp_path, "outer")
    inner, inner_folder = opened(tmp_path, "inner")

    def both():
        with outer, inner:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(CancelledError):
        both()
    for folder in (outer_folder, inner_folder):
        assert read_state(folder).state == "interrupted"


def test_after_an_inner_run_a_signal_is_the_outer_ones(tmp_path, monkeypatch):
    outer, outer_folder = opened(tmp_path, "outer")
    inner, inner_folder = opened(tmp_path, "inner")
    publish = Run._publish

    def publish_and_signal(self):
        if self is inner:
            os.kill(os.getpid(), signal.SIGTERM)
        publish(self)

    monkeypatch.setattr(Run, "_publish", publish_and_signal)

    def one_after_the_other():
        with outer:
            with inner:
                inner.summarise({"n": 1})
            time.sleep(10)

    with pytest.raises(CancelledError):
        one_after_the_other()
    assert read_state(inner_folder).state == "done"
    assert read_state(outer_folder).state == "interrupted"


def test_a_folder_that_cannot_be_had_gives_the_signals_back(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(recording.OutputError):
        work_in(Run(tmp_path / "run", "demo", DemoSettings()))
