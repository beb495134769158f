"""Ending a run from outside: its processes gone, nothing half-made left, the state true.

The worker is asked first (`CANCEL`), then told (SIGTERM), then killed with all it started. Its supervisor does so;
where that is gone, or a run was started by hand, whoever asked for the cancel starts a process that does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil

from neandl_core.errors import OutputError
from neandl_core.files import read_json, write_text
from neandl_core.runs import (
    CHECKPOINTS,
    LIVE_FILES,
    RESULTS,
    RunState,
    is_here,
    process_created,
    raw_state,
    read_log,
    read_state,
    supervisor_alive,
    write_state,
)

ASK_SECONDS = 2.0
"""What a worker has for stopping by itself."""
TELL_SECONDS = 1.0
"""What it has after SIGTERM."""
_WRITE_TRIES = 20


def processes_of(pid: int, created: float | None) -> list[psutil.Process]:
    """List a worker with all that it started and, if it leads a process group, all of that group.

    Parameters
    ----------
    pid, created
        The worker, and when it was started; a later process of the same number is not taken for it.
    """
    now = process_created(pid)
    if now is not None and created is not None and abs(now - created) >= 1.0:
        return []
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        found = {process.pid: process for process in (leader, *leader.children(recursive=True))}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process
    found.pop(os.getpid(), None)
    return list(found.values())


def send(pid: int, created: float | None, which: signal.Signals) -> None:
    """Send a signal to a worker and all that belongs to it."""
    for process in processes_of(pid, created):
        with contextlib.suppress(psutil.Error):
            process.send_signal(which)


def kill(pid: int, created: float | None) -> None:
    """Kill a worker and all that belongs to it, stopped or hung ones too, and wait until they are gone."""
    for _ in range(3):
        members = processes_of(pid, created)
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not psutil.wait_procs(members, timeout=2)[1]:
            return


def end_worker(folder: Path) -> None:
    """End the run of a folder in which `CANCEL` lies, from any process: wait, tell, kill, tidy, write the state."""
    if not (folder / "state.json").exists():
        return
    state = raw_state(folder)
    waited = 0.0
    while not is_here(state.host) and not read_state(folder).ended:
        # Whoever looks after the worker on its own machine sees the request too, and ends it.
        time.sleep(0.5)
    while is_here(state.host) and state.pid is not None and processes_of(state.pid, state.process_created):
        if waited >= ASK_SECONDS + TELL_SECONDS:
            kill(state.pid, state.process_created)
            break
        if ASK_SECONDS <= waited < ASK_SECONDS + 0.2:
            send(state.pid, state.process_created, signal.SIGTERM)
        time.sleep(0.2)
        waited += 0.2
    settle(folder, None)


def settle(folder: Path, status: int | None) -> None:
    """Make a run's folder true after its worker has ended, however it ended.

    Parameters
    ----------
    folder
        The run folder.
    status
        The worker's exit status; negative if a signal killed it, None if unknown.
    """
    if not (folder / "state.json").exists():
        return  # A run started by hand removes its folder when it is stopped.
    state = raw_state(folder)
    if state.state == "done":
        return
    if not state.ended:
        name, message = _how_it_ended(folder, state.state == "queued", status)
        state = replace(state, state=name, message=message, finished=time.time(), eta_seconds=None)
    if state.state != "done":
        clear_partial(folder)
    for _ in range(_WRITE_TRIES):
        with contextlib.suppress(OutputError):
            write_state(folder, state)
            return
        time.sleep(0.5)


def _how_it_ended(folder: Path, queued: bool, status: int | None) -> tuple[str, str]:
    if (folder / "summary.json").exists():
        return "done", "Done"
    if (folder / "CANCEL").exists():
        return "cancelled", "Cancelled"
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        hint = " The machine may have run out of memory." if status == -signal.SIGKILL else ""
        return "interrupted", f"The worker was ended from outside (signal {-status}, {name}).{hint}"
    if status == 0 or status is None:
        return "interrupted", "The worker ended without a word; see the log."
    last = read_log(folder, 1).strip()
    return "failed", last or ("The worker ended before it began." if queued else "The worker ended without a word.")


def requeue(folder: Path, message: str, log: str) -> RunState:
    """Make the folder of a run whose worker is gone ready for the next worker, and return its state.

    Half-written files and partial results are removed; of the records those up to the last checkpoint stay.
    """
    state = raw_state(folder)
    clear_partial(folder)
    if not any((folder / name).exists() for name in CHECKPOINTS):
        write_text(folder / "metrics.jsonl", "")
    with (folder / "log.txt").open("a", encoding="utf-8") as handle:
        handle.write(f"{time.strftime('%H:%M:%S')} {log}\n")
    state = RunState(
        "queued", state.command, title=state.title, queued=state.queued, message=message, resumed=state.resumed + 1
    )
    write_state(folder, state)
    return state


def end_parts(folder: Path) -> None:
    """Kill the parts of a divided run: where it was killed itself they go on, and the next worker would meet them.

    Parts on another machine end when they find that their folder is gone.
    """
    for part in [found.parent for found in folder.glob(".*/*/state.json")]:
        if supervisor_alive(part):
            job = read_json(part / "worker.json")
            kill(job["pid"], job["process_created"])
        state = raw_state(part)
        if state.pid is not None and is_here(state.host) and not state.ended:
            kill(state.pid, state.process_created)


def clear_partial(folder: Path) -> None:
    """Remove what an unfinished run left: half-written files, and results of which some may be missing.

    Checkpoints, records, log, settings and notes stay, and so do finished runs inside, as those of a demo. Parts of a
    divided run that are still at work are ended first.
    """
    end_parts(folder)
    for entry in list(folder.iterdir()):
        if entry.name in LIVE_FILES or entry.name in CHECKPOINTS:
            continue
        if entry.is_dir():
            # A finished step of a demo is a result of its own.
            if entry.name == RESULTS or not (entry / "state.json").exists() or raw_state(entry).state != "done":
                shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
