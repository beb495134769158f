"""Start a command as a child process in its own session, so that neither a browser nor the app can take it down."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from neandl_core.cluster import scheduler_address
from neandl_core.errors import InputError, OutputError
from neandl_core.files import read_json, write_json
from neandl_core.repeating import how_to_repeat, prepare_resume
from neandl_core.runs import (
    RunState,
    process_created,
    read_state,
    request_cancel,
    supervisor_alive,
    this_host,
    write_state,
)
from neandl_core.slots import Lock

ONCE_SECONDS = 3.0
"""The same click within so many seconds is the same click, even if its run has ended since."""
QUEUE = ".queue"
ROOT = str(Path(__file__).resolve().parents[1])


def run_name(command: str, title: str) -> str:
    """Return a folder name for a new run: time, command and title, in letters that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", title).strip("-.")[:40]
    return "-".join(part for part in (time.strftime("%Y%m%d-%H%M%S"), command, plain) if part)


def launch(
    runs: Path,
    command: str,
    arguments: Sequence[str],
    title: str,
    *,
    once: bool = False,
    queue: Path | None = None,
    folder: Path | None = None,
    scheduler: str | None = None,
) -> Path:
    """Start ``python -m neandl_core COMMAND ARGUMENTS --out FOLDER`` and return the new run folder.

    Parameters
    ----------
    runs
        The workspace's folder of runs.
    command, arguments
        As on the command line, without ``--out``.
    title
        What the user calls the run.
    once
        Return the run that is already there if the same command with the same arguments and title is queued or at
        work, or was started a moment ago: two clicks, or clicks in two tabs, start one run.
    queue
        Folder of the slots and the queue, shared by all users of a machine; inside `runs` if None.
    folder
        Where relative paths of the arguments start; here if None.
    scheduler
        Dask scheduler that gives the run to one of its machines, to which the folder must be there too; this machine
        if empty, what is set for the queue (`cluster.scheduler_address`) if None.

    Raises
    ------
    SettingsError
        If the scheduler's address is none.
    OutputError
        If the folder cannot be made. Making it is also the lock: one folder is one run.
    """
    queue = queue or runs / QUEUE
    scheduler = scheduler_address(queue) if scheduler is None else scheduler
    ticket = hashlib.sha256(json.dumps([str(runs), command, list(arguments), title]).encode()).hexdigest()[:24]
    clicked = queue / "clicks" / ticket
    with _writable(runs), Lock.take(queue / "clicks.lock", wait=True) if once else nullcontext():
        if once and (there := _still_fresh(clicked)) is not None:
            return there
        made = _make_folder(runs, run_name(command, title))
        write_state(made, RunState("queued", command, title=title, queued=time.time(), message="Waiting for its turn"))
        if once:
            clicked.parent.mkdir(exist_ok=True)
            write_json(clicked, str(made))
    start(made, command, arguments, queue, folder, scheduler)
    return made


def start(
    made: Path, command: str, arguments: Sequence[str], queue: Path, folder: Path | None = None,
    scheduler: str | None = None,
) -> None:
    """Start the supervisor of a queued run folder, which takes it through the queue to its end; see `launch`."""
    scheduler = scheduler_address(queue) if scheduler is None else scheduler
    words = [sys.executable, "-m", "neandl_core", command, *arguments, "--out", str(made), "--quiet"]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (ROOT, environment.get("PYTHONPATH")) if part)
    # A worker never follows addresses in a CRAM header.
    environment["REF_PATH"] = "/nonexistent"
    job = {
        "arguments": words, "command": command, "queue": str(queue), "folder": str(folder or Path.cwd()),
        "host": this_host(), "scheduler": scheduler, "token": secrets.token_hex(8),
    }
    write_json(made / "worker.json", job)
    supervisor = _detached(["-m", "neandl_core.supervisor", str(made)], made / "log.txt", environment)
    write_json(made / "worker.json", {
        **job, "pid": supervisor.pid, "process_created": process_created(supervisor.pid),
    })


def cancel(folder: str | Path) -> None:
    """Ask a run to stop, and see to it that it does: the worker's whole process group is gone within 5 seconds.

    Its supervisor enforces that. Where there is none, as of a run started by hand, a process is started that does.
    """
    folder = Path(folder)
    request_cancel(folder)
    if not supervisor_alive(folder):
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(part for part in (ROOT, environment.get("PYTHONPATH")) if part)
        _detached(["-m", "neandl_core.supervisor", "--end", str(folder)], folder / "log.txt", environment)


def resume(folder: str | Path, queue: Path | None = None, scheduler: str | None = None) -> Path:
    """Take a run up again in its own folder, in the background, and return the folder; `scheduler` is as of `launch`.

    Raises
    ------
    InputError
        As `repeating.prepare_resume`.
    """
    folder = Path(folder)
    queue = queue or folder.parent / QUEUE
    with Lock.take(queue / "clicks.lock", wait=True) or nullcontext():
        repeat = prepare_resume(folder)
        start(folder, repeat.command, repeat.arguments, queue, repeat.folder, scheduler)
    return folder


def rerun(folder: str | Path, runs: Path, queue: Path | None = None) -> tuple[Path, tuple[str, ...]]:
    """Make a run again as a new one; return its folder and which inputs have changed since, in words.

    Raises
    ------
    InputError
        If the folder does not say how it was started.
    """
    repeat = how_to_repeat(folder)
    title = repeat.title if repeat.title.endswith("(again)") else f"{repeat.title} (again)"
    made = launch(
        runs, repeat.command, repeat.arguments, title, once=True, queue=queue, folder=repeat.folder
    )
    return made, repeat.changed


def _writable(runs: Path) -> nullcontext[None]:
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The run folder cannot be made in {runs} ({error.strerror}).") from None
    if not os.access(runs, os.W_OK):
        raise OutputError(
            f"The workspace {runs} is read-only, so nothing can be started; finished runs can be looked at. "
            "Set NEANDL_WORKSPACE to a folder of yours."
        )
    return nullcontext()


def _make_folder(runs: Path, name: str) -> Path:
    folder = runs / name
    for attempt in range(2, 1000):
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            folder = runs / f"{name}-{attempt}"
        except OSError as error:
            raise OutputError(f"The run folder {folder} cannot be made ({error.strerror}).") from None
    raise OutputError(f"There are too many runs of the name {name}; give another title.")


def _still_fresh(clicked: Path) -> Path | None:
    """Return the run that a click has started, if the same click would only double it."""
    if not clicked.exists():
        return None
    folder = Path(read_json(clicked))
    try:
        state = read_state(folder)
    except InputError:
        return None
    return folder if not state.ended or time.time() - state.queued < ONCE_SECONDS else None


def _detached(words: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as handle:
        process = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True,
            env=environment,
        )
    # Waiting collects the exit status, so that a process that ended is not left as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
