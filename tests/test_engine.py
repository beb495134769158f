"""The engine: queue, slots, one click one run, cancel, silence; with real processes and real kills."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from neandl_core.errors import OutputError, SettingsError
from neandl_core.files import read_json
from neandl_core.launch import cancel, launch
from neandl_core.runs import list_runs, raw_state, read_state, supervisor_alive
from neandl_core.slots import Lock, Ticket, cpu_slots, positions
from tests.engine_helpers import LONG, ROOT, SHORT, end_all, group_of, wait_for, wait_until


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of runs on a machine with one slot, all of whose workers are ended with the test."""
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "1")
    folder = tmp_path / "runs"
    yield folder
    end_all(folder)


def test_slots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "3")
    assert cpu_slots() == 3
    monkeypatch.setenv("NEANDL_CPU_SLOTS", "none")
    with pytest.raises(SettingsError, match="whole number"):
        cpu_slots()
    monkeypatch.delenv("NEANDL_CPU_SLOTS")
    assert cpu_slots() == max(1, os.cpu_count() - 1)


def test_runs_wait_their_turn_in_the_order_they_came(runs):
    first = launch(runs, "simulate", LONG, "first")
    wait_for(first, "running")
    second = launch(runs, "simulate", SHORT, "second")
    wait_until(lambda: positions(runs / ".queue") == {second.resolve(): 1})
    third = launch(runs, "simulate", SHORT, "third")
    wait_until(lambda: len(positions(runs / ".queue")) == 2)
    assert positions(runs / ".queue") == {second.resolve(): 1, third.resolve(): 2}
    assert [read_state(run).state for run in (first, second, third)] == ["running", "queued", "queued"]
    cancel(third)
    assert wait_for(third, "cancelled", seconds=5).message == "Cancelled"
    cancel(first)
    wait_for(first, "cancelled", seconds=8)
    done = wait_for(second, "done", "failed")
    assert done.state == "done", done.message
    assert done.started >= read_state(first).finished - 1.5
    assert positions(runs / ".queue") == {}


def test_a_dead_waiter_does_not_hold_up_the_queue(tmp_path):
    queue = tmp_path / "queue"
    code = (
        "import sys, time; from pathlib import Path; from neandl_core.slots import Ticket\n"
        "t = Ticket(Path(sys.argv[1]), 'cpu', Path('dead')); print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(queue)], stdout=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.readline()
        mine = Ticket(queue, "cpu", tmp_path / "mine")
        assert len(positions(queue)) == 2
        assert mine.try_slot(["cpu-0"]) is None, "somebody is ahead"
        process.kill()
        process.wait()
    slot = mine.try_slot(["cpu-0"])
    assert slot is not None
    assert Lock.take(queue / "cpu-0.slot") is None, "the slot is taken"
    mine.close()
    slot.release()


def test_clicks_that_race_start_one_run(runs):
    """Six processes press the same button at once, as tabs of one page or of two do."""
    code = (
        "import sys, time; from pathlib import Path; from neandl_core.launch import launch\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        f"print(launch(Path(sys.argv[1]), 'simulate', {list(SHORT)!r}, 'clicked', once=True))"
    )
    at = str(time.time() + 1.5)
    clicks = [
        subprocess.Popen([sys.executable, "-c", code, str(runs), at], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(6)
    ]
    folders = {click.communicate()[0].strip() for click in clicks}
    assert len(folders) == 1
    assert [str(folder) for folder, _ in list_runs(runs)] == list(folders)
    wait_for(runs / folders.pop(), "done")
    # The same again later is a new run, and so is another name.
    time.sleep(max(0.0, 3.2 - (time.time() - list_runs(runs)[0][1].queued)))
    other = launch(runs, "simulate", SHORT, "another name", once=True)
    again = launch(runs, "simulate", SHORT, "clicked", once=True)
    assert len(list_runs(runs)) == 3
    for run in (other, again):
        cancel(run)
        wait_for(run, "cancelled", "done", seconds=8)


def test_the_death_of_the_app_and_of_the_supervisor_leaves_the_work_going(runs):
    code = (
        "import sys, time; from pathlib import Path; from neandl_core.launch import launch\n"
        f"print(launch(Path(sys.argv[1]), 'simulate', {list(LONG)!r}, 'mine'), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(runs)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as app:
        folder = runs / app.stdout.readline().strip()
        state = wait_for(folder, "running")
        app.kill()
        app.wait()
    os.kill(read_json(folder / "worker.json")["pid"], signal.SIGKILL)
    wait_until(lambda: not supervisor_alive(folder))
    beat = raw_state(folder).heartbeat
    wait_until(lambda: raw_state(folder).heartbeat > beat)
    assert read_state(folder).state == "running"
    # The slot stays taken as long as the worker works.
    waiting = launch(runs, "simulate", SHORT, "waiting")
    wait_until(lambda: positions(runs / ".queue"))
    assert read_state(waiting).state == "queued"
    # No supervisor is left to enforce the cancel, so who asks for it sees to it.
    began = time.monotonic()
    cancel(folder)
    wait_until(lambda: not group_of(state.pid), seconds=5)
    wait_for(folder, "cancelled", seconds=5 - (time.monotonic() - began))
    assert not (folder / ".results").exists()
    assert wait_for(waiting, "done").state == "done"


@pytest.mark.parametrize("silenced", [False, True], ids=["at work", "stopped"])
def test_cancel_ends_the_process_group_within_five_seconds(runs, silenced):
    folder = launch(runs, "simulate", LONG, "long")
    state = wait_for(folder, "running")
    wait_until(lambda: (folder / ".results").exists())
    if silenced:
        os.kill(state.pid, signal.SIGSTOP)
    began = time.monotonic()
    cancel(folder)
    wait_until(lambda: not group_of(state.pid), seconds=5)
    ended = wait_for(folder, "cancelled", seconds=5 - (time.monotonic() - began))
    assert ended.finished is not None
    kept = {"state.json", "config.json", "log.txt", "worker.json", "CANCEL", "metrics.jsonl"}
    # Its supervisor writes the state once more.
    wait_until(lambda: {path.name for path in folder.iterdir()} <= kept, seconds=5)


def test_a_cancel_ends_what_the_worker_started_too(runs):
    folder = launch(runs, "demo", ["--seed", "1"], "demo")
    state = wait_for(folder, "running")
    wait_until(lambda: len(group_of(state.pid)) > 1)
    cancel(folder)
    wait_until(lambda: not group_of(state.pid), seconds=5)
    wait_for(folder, "cancelled", seconds=5)
    assert not any(path.is_dir() for path in folder.iterdir())


@pytest.mark.slow
def test_a_stopped_worker_is_never_running_for_more_than_thirty_seconds(runs):
    folder = launch(runs, "simulate", LONG, "silent")
    state = wait_for(folder, "running")
    os.kill(state.pid, signal.SIGSTOP)
    ended = wait_for(folder, "interrupted", seconds=30)
    assert "Lost contact" in ended.message
    wait_until(lambda: not group_of(state.pid), seconds=8)
    wait_until(lambda: raw_state(folder).state == "interrupted", seconds=5)


def test_nobody_works_on_for_a_run_that_was_removed(runs):
    folder = launch(runs, "simulate", LONG, "removed")
    state = wait_for(folder, "running")
    supervisor = read_json(folder / "worker.json")["pid"]
    # Out of the way first: its worker goes on making files in it while it is emptied.
    shutil.rmtree(folder.rename(runs / "removed"))
    wait_until(lambda: not group_of(state.pid) and not group_of(supervisor), seconds=8)


def test_a_worker_that_ends_without_a_word_is_not_running(runs):
    folder = launch(runs, "simulate", LONG, "gone")
    state = wait_for(folder, "running")
    os.kill(state.pid, signal.SIGTERM)
    ended = wait_for(folder, "interrupted", seconds=10)
    assert "told to end" in ended.message
    wait_until(lambda: not supervisor_alive(folder))
    assert not (folder / ".results").exists()


def test_a_read_only_workspace_is_said_and_can_be_read(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting needs administrator's rights")
    try:
        folder = launch(place / "runs", "simulate", ["--contamination", "2"], "refused")
        assert wait_for(folder, "failed").message
        wait_until(lambda: not supervisor_alive(folder))
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with pytest.raises(OutputError, match="read-only"):
            launch(place / "runs", "simulate", SHORT, "not here")
        assert len(list_runs(place / "runs")) == 1
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        again = launch(place / "runs", "simulate", ["--contamination", "2"], "here")
        assert wait_for(again, "failed").state == "failed"
        wait_until(lambda: not supervisor_alive(again))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
