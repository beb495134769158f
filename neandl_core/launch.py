"""Start a command as a child process in its own session, so that neither a browser nor the app can take it down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from neandl_core.errors import OutputError
from neandl_core.files import write_json
from neandl_core.runs import RunState, process_created, write_state


def run_name(command: str, title: str) -> str:
    """Return a folder name for a new run: time, command and title, in letters that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", title).strip("-.")[:40]
    return "-".join(part for part in (time.strftime("%Y%m%d-%H%M%S"), command, plain) if part)


def launch(runs: Path, command: str, arguments: Sequence[str], title: str) -> Path:
    """Start ``python -m neandl_core COMMAND ARGUMENTS --out FOLDER`` and return the new run folder.

    Parameters
    ----------
    runs
        The workspace's folder of runs.
    command, arguments
        As on the command line, without ``--out``.
    title
        What the user calls the run.

    Raises
    ------
    OutputError
        If the folder cannot be made. Making it is also the lock: one folder is one run.
    """
    name = run_name(command, title)
    folder = runs / name
    for attempt in range(2, 100):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = runs / f"{name}-{attempt}"
        except OSError as error:
            raise OutputError(f"The run folder {folder} cannot be made ({error.strerror}).") from None
    write_state(folder, RunState("queued", command, title=title, queued=time.time(), message="Waiting for a worker"))
    arguments = [sys.executable, "-m", "neandl_core", command, *arguments, "--out", str(folder), "--quiet"]
    root = str(Path(__file__).resolve().parents[1])
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (root, environment.get("PYTHONPATH")) if part)
    # A worker never follows addresses in a CRAM header.
    environment["REF_PATH"] = "/nonexistent"
    write_json(folder / "worker.json", {"arguments": arguments})
    with (folder / "log.txt").open("ab") as log:
        worker = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
        )
    write_json(
        folder / "worker.json",
        {"arguments": arguments, "pid": worker.pid, "process_created": process_created(worker.pid)},
    )
    # Waiting collects the exit status, so that a worker that ended is not left as a zombie.
    threading.Thread(target=worker.wait, daemon=True).start()
    return folder
