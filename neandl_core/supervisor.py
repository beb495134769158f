"""One small process beside each run: waits for a slot, starts the worker, sees that it ends as it should.

``python -m neandl_core.supervisor FOLDER`` is started by `launch.py`, in a session of its own, so neither a browser
nor the app can take it down. ``--end FOLDER`` ends a run that has no supervisor any more. ``--task FOLDER TOKEN`` is
the supervisor on a machine of a cluster, see `cluster.py`. It imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from neandl_core.cluster import back_to_queue, needed_gpus, submit_and_wait, take_over
from neandl_core.devices import GPU_COMMANDS, Gpu, list_gpus, wanted_device, wanted_processes
from neandl_core.files import read_json
from neandl_core.runs import SILENT_SECONDS, process_created, raw_state, write_state
from neandl_core.slots import CPU, GPU, Lock, Ticket, cpu_slots, slot_names
from neandl_core.stopping import ASK_SECONDS, TELL_SECONDS, end_worker, kill, send, settle

LOOK_SECONDS = 0.2
END_SILENT_SECONDS = SILENT_SECONDS - 10.0
"""A worker that has said nothing for so long is ended, before anybody calls it lost."""
START_SECONDS = 120.0
"""A worker that has not taken its run by then never will."""
COORDINATORS = ("cohort",)
"""Commands that only start runs and wait for them."""
DIVIDES = "--by-chromosome"
"""An option with which other commands do the same."""


def supervise(folder: Path) -> int:
    """Take a run from the queue to its end, and return 0 if it is done."""
    job = read_json(folder / "worker.json")
    if job["command"] in COORDINATORS or DIVIDES in job["arguments"]:
        # It computes nothing: the runs that it starts wait for slots, and would wait for its own for ever.
        return _work(folder, job, [])
    if job.get("scheduler"):
        return submit_and_wait(folder)
    slots = _wait_for_slots(folder, Path(job["queue"]), job["command"], job["arguments"], _gpus_for(job))
    if slots is None:
        settle(folder, None)
        return 1
    return _work(folder, job, slots)


def supervise_task(folder: Path, token: str) -> int:
    """Do a run that a scheduler has given to this machine, until it ends or the Dask worker does."""
    orphaned = threading.Event()
    threading.Thread(target=_wait_for_orphanage, args=(orphaned,), daemon=True).start()
    if not take_over(folder, token):
        return 0
    job = read_json(folder / "worker.json")
    job["arguments"][0] = sys.executable
    # The scheduler has counted slots of the processor. Which of several GPUs is free is known here.
    gpus = _gpus_for(job) if needed_gpus(job["command"], job["arguments"], len(list_gpus())) else []
    slots: list[Lock] | None = []
    if gpus:
        queue = Path(tempfile.gettempdir()) / f"neandl-slots-{os.getuid()}"
        slots = _wait_for_slots(folder, queue, job["command"], job["arguments"], gpus)
    if slots is None:
        settle(folder, None)
        return 1
    return _work(folder, job, slots, orphaned)


def _wait_for_orphanage(orphaned: threading.Event) -> None:
    sys.stdin.buffer.read()
    orphaned.set()


def _work(folder: Path, job: dict[str, Any], slots: list[Lock], orphaned: threading.Event | None = None) -> int:
    """Start the worker of a run whose turn it is, and see it end."""
    environment = dict(os.environ)
    gpus = [slot.path.stem.removeprefix(f"{GPU}-") for slot in slots if slot.path.name.startswith(GPU)]
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    with ExitStack() as held, (folder / "log.txt").open("ab") as log:
        for slot in slots:
            held.enter_context(slot)
        # The worker inherits the locked slots: if this process is killed, they stay taken while the worker works.
        worker = subprocess.Popen(
            job["arguments"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=environment, cwd=job.get("folder"), pass_fds=[slot.descriptor for slot in slots],
        )
        created = process_created(worker.pid)
        silent = _watch(folder, worker, created, orphaned)
        # Whatever the worker started ends with it.
        kill(worker.pid, created)
        status = worker.wait()
    if not (folder / "state.json").exists():
        return 1  # Somebody has removed the run.
    ended = raw_state(folder).ended or (folder / "CANCEL").exists() or (folder / "summary.json").exists()
    if orphaned is not None and orphaned.is_set() and not ended:
        back_to_queue(folder)
        return 1
    if silent and not ended:
        write_state(folder, replace(
            raw_state(folder), state="interrupted", finished=time.time(), eta_seconds=None,
            message=f"Lost contact: the worker said nothing for {END_SILENT_SECONDS:.0f} s and was ended.",
        ))
    settle(folder, status)
    return 0 if raw_state(folder).state == "done" else 1


def _gpus_for(job: dict[str, Any]) -> list[Gpu]:
    """Return the GPUs of which a run takes one or more; none if it works on the processor."""
    wants = job["command"] in GPU_COMMANDS and wanted_device(job["arguments"]) in ("auto", "cuda")
    return list_gpus() if wants else []


def _wait_for_slots(
    folder: Path, queue: Path, command: str, arguments: list[str], gpus: list[Gpu]
) -> list[Lock] | None:
    """Wait in the queue; None if the run was cancelled there."""
    kind = GPU if gpus else CPU
    names = [f"{GPU}-{gpu.index}" for gpu in gpus] or slot_names(CPU, cpu_slots())
    wanted = min(wanted_processes(arguments), len(gpus)) if gpus else 1
    ticket = Ticket(queue, kind, folder, raw_state(folder).queued)
    taken: list[Lock] = []
    try:
        while not (folder / "CANCEL").exists():
            slot = ticket.try_slot(names)
            if slot is not None:
                # Only who is first in the queue gets one, so two that want several never wait for each other.
                taken.append(slot)
                if len(taken) == wanted:
                    return taken
            else:
                time.sleep(LOOK_SECONDS)
    finally:
        ticket.close()
    for slot in taken:
        slot.release()
    return None


def _watch(
    folder: Path, worker: subprocess.Popen[bytes], created: float | None, orphaned: threading.Event | None
) -> bool:
    """Wait for the worker's end, and bring it about after a cancel or a silence; return whether it was silent.

    Silence is measured on the clock of this process, which stands still while the machine sleeps.
    """
    last_beat, heard = None, time.monotonic()
    asked: float | None = None
    told = False
    while True:
        try:
            worker.wait(LOOK_SECONDS)
            return False
        except subprocess.TimeoutExpired:
            pass
        if not (folder / "state.json").exists() or (orphaned is not None and orphaned.is_set()):
            return False
        now = time.monotonic()
        if asked is None and (folder / "CANCEL").exists():
            asked = now
        if asked is not None and now - asked >= ASK_SECONDS + TELL_SECONDS:
            return False
        if asked is not None and not told and now - asked >= ASK_SECONDS:
            told = True
            send(worker.pid, created, signal.SIGTERM)
        state = raw_state(folder)
        if state.heartbeat != last_beat:
            last_beat, heard = state.heartbeat, now
        elif now - heard >= (START_SECONDS if state.state == "queued" else END_SILENT_SECONDS):
            return True


def main(arguments: list[str]) -> int:
    """Supervise, or end, the run of a folder."""
    if arguments[0] == "--end":
        end_worker(Path(arguments[1]))
        return 0
    if arguments[0] == "--task":
        return supervise_task(Path(arguments[1]), arguments[2])
    return supervise(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
