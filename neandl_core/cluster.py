"""Runs on other machines: the same command in the same folder on shared storage, handed out by a Dask scheduler.

Three processes look after such a run. The *client*, its supervisor on the machine where it was started, submits it and
waits. The *Dask worker* that gets it starts a supervisor of its own (`supervisor --task`) and holds a pipe to it; when
the pipe breaks, the Dask worker has died, and that supervisor ends the command and puts the run back to queued. The
scheduler gives it to the next Dask worker, which goes on from the checkpoint. Cancel, heartbeat and log are in the
folder, as everywhere. A queued run is one that waits in the scheduler.

distributed is imported when a scheduler is used, and not before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neandl_core.devices import GPU_COMMANDS, wanted_device, wanted_processes
from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.files import read_json, write_json, write_text
from neandl_core.runs import SILENT_SECONDS, RunState, is_here, raw_state, read_state, write_state
from neandl_core.stopping import kill, requeue, settle

if TYPE_CHECKING:
    from distributed import Client

VARIABLE = "NEANDL_SCHEDULER"
FILE = "scheduler.txt"
"""Beside the queue: the address that was set on the Runs page."""
CONNECT_SECONDS = 10
LOOK_SECONDS = 0.3
GPU_RESOURCE = "GPU"
ROOT = str(Path(__file__).resolve().parents[1])
_ADDRESS = re.compile(r"(tcp|tls)://[A-Za-z0-9._\[\]:-]+:\d{1,5}")


@dataclass(frozen=True)
class ClusterFacts:
    """What a scheduler says of itself: its workers, the runs they can hold at a time, and their GPUs."""

    workers: int
    threads: int
    gpus: int

    @property
    def sentence(self) -> str:
        """The same in words."""
        if not self.workers:
            return "The scheduler answers; it has no workers yet, so runs will wait."
        gpus = f", {self.gpus} of them with a GPU" if self.gpus else ""
        return f"{self.workers} workers, {self.threads} runs at a time{gpus}"


def check_address(address: str) -> str:
    """Return a scheduler's address, or the path of its scheduler file, without spaces around it.

    Raises
    ------
    SettingsError
        If it is neither.
    """
    address = address.strip()
    if address and not _ADDRESS.fullmatch(address) and not address.endswith(".json"):
        raise SettingsError(
            f"The scheduler address {address!r} is refused: expected one such as tcp://node1:8786, or the path of a "
            "scheduler file that ends in .json."
        )
    return address


def scheduler_address(queue: Path) -> str:
    """Return the scheduler that runs are handed to; empty if they run on this machine.

    NEANDL_SCHEDULER counts before what was set with `set_scheduler`.

    Raises
    ------
    SettingsError
        If it is no address.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        with suppress(OSError):
            chosen = (queue / FILE).read_text(encoding="utf-8")
    return check_address(chosen or "")


def set_scheduler(queue: Path, address: str) -> None:
    """Keep a scheduler's address for all later runs of a workspace; an empty one means this machine.

    Raises
    ------
    SettingsError
        If it is no address.
    """
    address = check_address(address)
    if not address:
        (queue / FILE).unlink(missing_ok=True)
        return
    try:
        queue.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{FILE} cannot be made in {queue} ({error.strerror}).") from None
    write_text(queue / FILE, address)


def connect(address: str) -> Client:
    """Return a client of a scheduler; close it after use.

    Raises
    ------
    SettingsError
        If nothing answers there.
    """
    from distributed import Client

    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    if "scheduler_file" in where and not Path(address).is_file():
        raise SettingsError(f"There is no scheduler file {address}. Is the scheduler running?")
    try:
        return Client(**where, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        # A timeout is an OSError.
        raise SettingsError(
            f"The scheduler at {address} does not answer ({type(error).__name__}). Is it running, and can this "
            "machine reach it?"
        ) from None


def describe_cluster(address: str) -> ClusterFacts:
    """Ask a scheduler what it has.

    Raises
    ------
    SettingsError
        If nothing answers there.
    """
    with connect(address) as client:
        return _facts(client)


def _facts(client: Client) -> ClusterFacts:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    gpus = sum(worker.get("resources", {}).get(GPU_RESOURCE, 0) > 0 for worker in workers)
    return ClusterFacts(len(workers), sum(worker["nthreads"] for worker in workers), gpus)


def needed_gpus(command: str, arguments: Sequence[str], gpus: int) -> int:
    """Return how many GPUs of a worker a run takes: with ``--device auto`` none where the cluster has none."""
    device = wanted_device(arguments)
    if command not in GPU_COMMANDS or device not in ("auto", "cuda") or (device == "auto" and not gpus):
        return 0
    return wanted_processes(arguments)


def submit_and_wait(folder: Path) -> int:
    """Hand a queued run to its scheduler, wait for its end and return 0 if it is done. Part of the supervisor.

    If this process dies, the scheduler goes on with the run.
    """
    from distributed import fire_and_forget

    job = read_json(folder / "worker.json")
    try:
        client = connect(job["scheduler"])
    except SettingsError as error:
        _end(folder, "failed", str(error))
        return 1
    with client:
        gpus = needed_gpus(job["command"], job["arguments"], _facts(client).gpus)
        future = client.submit(
            run_task, str(folder.resolve()), job["token"], key=f"{folder.name}-{job['token']}", pure=False,
            resources={GPU_RESOURCE: gpus} if gpus else None,
        )
        fire_and_forget(future)
        submitted = False
        while future.status == "pending":
            if not (folder / "state.json").exists():
                future.cancel(force=True)
                return 1  # Somebody has removed the run.
            if (folder / "CANCEL").exists() and read_state(folder).state not in ("running", "done"):
                future.cancel(force=True)
                settle(folder, None)
                return 1
            time.sleep(LOOK_SECONDS)
            if not submitted and (folder / "worker.json").exists():
                # From now on the scheduler starts the run, whether or not this process still lives.
                write_json(folder / "worker.json", {**read_json(folder / "worker.json"), "submitted": True})
                submitted = True
        status = future.status
        error = future.exception() if status == "error" else None
    if status == "error":
        while not _given_up(folder):
            time.sleep(LOOK_SECONDS)
        _end(folder, "failed", _why(error))
    elif status != "finished":
        # The scheduler is gone. A worker that has the run finishes or ends it by itself.
        while not _given_up(folder):
            time.sleep(LOOK_SECONDS)
        _end(folder, "interrupted", f"The scheduler at {job['scheduler']} is gone; resume the run when it is back.")
    return 0 if raw_state(folder).state == "done" else 1


def run_task(folder: str, token: str) -> str:
    """Do a run, on the Dask worker that got it, and return its state at the end."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (ROOT, environment.get("PYTHONPATH")) if part)
    environment["REF_PATH"] = "/nonexistent"
    words = [sys.executable, "-m", "neandl_core.supervisor", "--task", folder, token]
    with (Path(folder) / "log.txt").open("ab") as log:
        # The pipe is never written to. It breaks when this process dies, however it dies.
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=environment
        )
        process.wait()
        process.stdin.close()
    return read_state(folder).state


def take_over(folder: Path, token: str) -> bool:
    """Make sure that a task's run is queued and nobody else has it; return False if there is nothing to do.

    Where a former Dask worker died with its machine, the folder says "running" until its heartbeat has stood still
    for a while by this machine's clock.
    """
    last_beat, heard = None, time.monotonic()
    while True:
        try:
            if read_json(folder / "worker.json").get("token") != token:
                return False  # It has been resumed since, as another task.
            state = raw_state(folder)
        except (InputError, OSError):
            return False
        if state.ended and state.state != "interrupted":
            return False
        if (folder / "CANCEL").exists() and state.state != "running":
            settle(folder, None)
            return False
        if state.state == "queued":
            return True
        if state.heartbeat != last_beat:
            last_beat, heard = state.heartbeat, time.monotonic()
        elif state.state == "interrupted" or time.monotonic() - heard > SILENT_SECONDS - 10:
            if state.pid is not None and is_here(state.host):
                kill(state.pid, state.process_created)
            back_to_queue(folder)
            return True
        time.sleep(LOOK_SECONDS)


def back_to_queue(folder: Path) -> RunState:
    """Put a run whose Dask worker is gone back to queued."""
    return requeue(folder, "Waiting for another worker", "Its worker is gone")


def _given_up(folder: Path) -> bool:
    """Return whether nobody works on a run, which may still say queued."""
    if not (folder / "state.json").exists():
        return True
    state = read_state(folder)
    return state.ended or state.state == "queued"


def _end(folder: Path, name: str, message: str) -> None:
    with suppress(InputError, OutputError):
        state = raw_state(folder)
        if not state.ended:
            write_state(folder, replace(
                state, state=name, message=message, finished=time.time(), eta_seconds=None
            ))
        settle(folder, None)


def _why(error: Any) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"The cluster's workers lack {error.name}: start them with NeanDL's environment and PYTHONPATH."
    if type(error).__name__ == "KilledWorker":
        return "Given up, as one cluster worker after another died with it. They may have too little memory."
    return f"The cluster could not do it: {type(error).__name__}: {error}"
