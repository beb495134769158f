"""The run folder, seen from outside: what a page, the command line and a cluster read.

A run is one folder with `config.json` (frozen settings, seed, inputs with size and SHA-256, software versions),
`state.json` (replaced atomically), `metrics.jsonl`, `log.txt`, `summary.json` and the command's results. `CANCEL`
asks the worker to stop. The worker's side is `recording.py`; starting one is `launch.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from neandl_core.errors import InputError, OutputError
from neandl_core.files import read_json, write_json

FORMAT = 2
"""Version of the run folder's layout; `upgrades.py` brings older ones up to it."""
SILENT_SECONDS = 30.0
"""A worker whose heartbeat is older has gone silent, even if its process is still there."""
ENDED = ("done", "failed", "cancelled", "interrupted")
RESUMABLE = ("interrupted", "failed", "cancelled")
START_GRACE_SECONDS = 20.0
"""A queued run without a worker is lost after so long: the process that should have started one is gone."""
RESULTS = ".results"
"""Hidden folder inside a run's own, where results are written until all are there."""
RESERVE = ".reserve"
"""A file of zeros that a run gives up at its end, so that on a full disk there is room to say what happened."""
CHECKPOINTS = ("checkpoint.pt", "checkpoint-control.pt")
NOTES = "notes.json"
HOLDERS = ("demo", "cohort", "data")
"""Commands whose run folders hold runs: steps of a demo, samples of a cohort, the dataset of a set-up."""
KEPT = ".kept"
"""Hidden folder inside a run's own, of what it need not do again when it is taken up."""
LIVE_FILES = ("state.json", "config.json", "metrics.jsonl", "log.txt", "worker.json", "CANCEL", NOTES, KEPT)
"""Files of a run that are not its result."""


@dataclass(frozen=True)
class RunState:
    """What `state.json` says of a run.

    Attributes
    ----------
    state
        queued, running, done, failed, cancelled or interrupted.
    command
        The command's name, for example ``reads``.
    pid, process_created
        The worker and when the operating system started it, which tells it from a later process of the same number.
    heartbeat, queued, started, finished
        Unix times in seconds.
    step, total
        Progress; `total` is 0 while unknown.
    eta_seconds
        Time left by the pace so far, None while unknown.
    message
        What is being done, or why it failed.
    title
        What the user calls the run.
    resumed
        How often it was taken up again.
    host
        The machine on which the worker is; empty in older runs, which means this one.
    """

    state: str
    command: str
    title: str = ""
    pid: int | None = None
    process_created: float | None = None
    queued: float = 0.0
    started: float | None = None
    finished: float | None = None
    heartbeat: float | None = None
    step: int = 0
    total: int = 0
    eta_seconds: float | None = None
    message: str = ""
    resumed: int = 0
    host: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    @property
    def share(self) -> float:
        """Progress between 0 and 1."""
        return min(1.0, self.step / self.total) if self.total > 0 else 0.0

    @property
    def seconds(self) -> float | None:
        """Seconds of work so far, or in all."""
        if self.started is None:
            return None
        return (self.finished or time.time()) - self.started


def this_host() -> str:
    """Return the name of this machine, which tells its processes from those of others of the same number."""
    return platform.node()


def is_here(host: str) -> bool:
    """Return whether a worker's machine is this one, so that its process can be looked at."""
    return host in ("", this_host())


def process_created(pid: int) -> float | None:
    """Return when a live process was started, None if there is none. A zombie counts as gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_alive(pid: int | None, created: float | None) -> bool:
    """Return whether a process is there and was started at that time."""
    if pid is None:
        return False
    now = process_created(pid)
    return now is not None and (created is None or abs(now - created) < 1.0)


def write_state(folder: Path, state: RunState) -> None:
    """Replace `state.json`."""
    write_json(folder / "state.json", {"format": FORMAT, **asdict(state)})


def raw_state(folder: str | Path) -> RunState:
    """Return what `state.json` says, whether or not its worker still lives; `read_state` judges that too.

    Raises
    ------
    InputError
        If the folder is not a run folder, or one of a newer NeanDL.
    """
    folder = Path(folder)
    values = read_json(folder / "state.json")
    if not isinstance(values, dict):
        raise InputError("this is not a run folder: state.json is no record", path=folder)
    check_format(values.pop("format", 0), folder)
    try:
        return RunState(**values)
    except TypeError:
        raise InputError("this is not a run folder: state.json has other fields", path=folder) from None


def check_format(found: Any, folder: Path) -> None:
    """Refuse a folder that a newer NeanDL wrote.

    Raises
    ------
    InputError
        If `found` is no version number that this NeanDL knows.
    """
    if not isinstance(found, int) or found > FORMAT:
        raise InputError(
            f"this folder is of a newer NeanDL (format {found}; this one reads up to {FORMAT})", path=folder,
            advice="Install the newer NeanDL to open it.",
        )


def read_state(folder: str | Path) -> RunState:
    """Return the true state of a run.

    A run that says "running" while its worker is dead or silent is returned as interrupted; one that waits for a
    worker that never began, too. Of a worker on another machine only its heartbeat is known, by whose age the run is
    judged: the machines' clocks must agree within a few seconds. The folder itself is not changed.

    Raises
    ------
    InputError
        If the folder is not a run folder.
    """
    folder = Path(folder)
    state = raw_state(folder)
    if state.ended:
        return state
    if state.state == "queued":
        return _state_of_queued(folder, state)
    if not is_here(state.host):
        return _state_elsewhere(folder, state)
    if not is_alive(state.pid, state.process_created):
        # The worker may have ended between our two looks: its last word counts.
        again = raw_state(folder)
        if again.ended:
            return again
        if supervisor_alive(folder) and time.time() - (state.heartbeat or 0) < SILENT_SECONDS:
            # Its supervisor is about to write how it ended.
            return replace(state, message="Ending")
        if (folder / "summary.json").exists():
            # It was killed after the last of its results was in place.
            return replace(state, state="done", message="Done", finished=state.heartbeat, eta_seconds=None)
        return replace(
            state, state="interrupted", message="The worker ended without a word; see the log.",
            finished=state.heartbeat, eta_seconds=None,
        )
    if state.heartbeat is not None and time.time() - state.heartbeat > SILENT_SECONDS:
        return replace(state, state="interrupted", message="Lost contact with the worker.", finished=state.heartbeat)
    return state


def _state_of_queued(folder: Path, state: RunState) -> RunState:
    job = _job(folder)
    if supervisor_alive(folder) or job.get("submitted") or not is_here(job.get("host", "")):
        # What waits at a scheduler is started by it, whether or not the process that asked for it still lives.
        return state
    if not job.get("pid") and time.time() - state.queued < START_GRACE_SECONDS:
        return state
    again = raw_state(folder)
    if again.state != "queued":
        return again if again.ended else read_state(folder)
    return replace(state, state="interrupted", message="It was lost before it began; the log may say more.")


def _state_elsewhere(folder: Path, state: RunState) -> RunState:
    if time.time() - (state.heartbeat or 0) <= SILENT_SECONDS:
        return state
    if (folder / "summary.json").exists():
        return replace(state, state="done", message="Done", finished=state.heartbeat, eta_seconds=None)
    return replace(
        state, state="interrupted", message=f"Lost contact with the worker on {state.host}.",
        finished=state.heartbeat, eta_seconds=None,
    )


def _job(folder: Path) -> dict[str, Any]:
    worker = folder / "worker.json"
    return read_json(worker) if worker.exists() else {}


def supervisor_alive(folder: Path) -> bool:
    """Return whether the process that looks after a run's worker is here; runs started by hand have none."""
    job = _job(folder)
    return is_here(job.get("host", "")) and is_alive(job.get("pid"), job.get("process_created"))


def read_summary(folder: str | Path) -> dict[str, Any] | None:
    """Return a run's `summary.json`, or None if it has none yet."""
    path = Path(folder) / "summary.json"
    return read_json(path) if path.exists() else None


def read_config(folder: str | Path) -> dict[str, Any]:
    """Return a run's `config.json`: settings, seed, inputs, software."""
    return read_json(Path(folder) / "config.json")


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the records of `metrics.jsonl`; a last line that is still being written is left out."""
    path = Path(folder) / "metrics.jsonl"
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            records.append(json.loads(line))
    return records


def read_log(folder: str | Path, lines: int = 40) -> str:
    """Return the last lines of a run's log."""
    path = Path(folder) / "log.txt"
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def list_runs(runs: Path, command: str | None = None, state: str | None = None) -> list[tuple[Path, RunState]]:
    """List the run folders below `runs`, newest first; steps of a `demo` and samples of a `cohort` are runs inside it.

    Parameters
    ----------
    runs
        The workspace's folder of runs; it may not exist yet.
    command, state
        Keep only runs of this command or in this state.
    """
    found = []
    for folder in run_folders(runs):
        try:
            run_state = _listed_state(folder)
        except (InputError, FileNotFoundError):
            continue
        if command in (None, run_state.command) and state in (None, run_state.state):
            found.append((folder, run_state))
    return sorted(found, key=lambda item: (item[1].queued, item[0].name), reverse=True)


def run_folders(runs: Path) -> Iterator[Path]:
    """Yield the run folders below `runs`, and those inside runs that hold others, in no order."""
    for folder in _folders(runs):
        if (folder / "state.json").exists():
            yield folder
            if _listed_command(folder) in HOLDERS:
                yield from (inner for inner in _folders(folder) if (inner / "state.json").exists())


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            return [parent / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []


_ended: dict[Path, tuple[tuple[int, int, int], RunState]] = {}
"""States of runs that have ended, by folder and the time, size and number of their `state.json`."""


def _listed_state(folder: Path) -> RunState:
    """Return a run's true state; one that has ended is read once, and again only if its file was replaced."""
    status = (folder / "state.json").stat()
    mark = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _ended.get(folder)
    if known is not None and known[0] == mark:
        return known[1]
    state = read_state(folder)
    if state.ended and state.finished is not None and raw_state(folder).ended:
        _ended[folder] = (mark, state)
    return state


def _listed_command(folder: Path) -> str:
    try:
        return _listed_state(folder).command
    except (InputError, FileNotFoundError):
        return ""


def request_cancel(folder: str | Path) -> None:
    """Ask a run's worker to stop; it notices within a second or two. `launch.cancel` also sees to it that it does."""
    Path(folder, "CANCEL").touch()


def delete_run(folder: str | Path) -> None:
    """Remove a run that has ended.

    Raises
    ------
    OutputError
        If it is still running.
    """
    folder = Path(folder)
    if not read_state(folder).ended:
        raise OutputError(f"{folder.name} is still running: cancel it first.")
    shutil.rmtree(folder)
