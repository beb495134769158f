"""One small process beside each run: waits for a slot, starts the worker, sees that it ends as it should.

``python -m neandl_core.supervisor FOLDER`` is started by `launch.py`, in a session of its own, so neither a browser
nor the app can take it down. ``--end FOLDER`` ends a run that has no supervisor any more. It imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from neandl_core.devices import GPU_COMMANDS, list_gpus, wanted_device
from neandl_core.files import read_json
from neandl_core.runs import SILENT_SECONDS, process_created, raw_state, write_state
from neandl_core.slots import CPU, GPU, Lock, Ticket, cpu_slots, slot_names
from neandl_core.stopping import ASK_SECONDS, TELL_SECONDS, end_worker, kill, send, settle

LOOK_SECONDS = 0.2
END_SILENT_SECONDS = SILENT_SECONDS - 10.0
"""A worker that has said nothing for so long is ended, before anybody calls it lost."""
START_SECONDS = 120.0
"""A worker that has not taken its run by then never will."""


def supervise(folder: Path) -> int:
    """Take a run from the queue to its end, and return 0 if it is done."""
    job = read_json(folder / "worker.json")
    slot = _wait_for_slot(folder, Path(job["queue"]), job["command"], job["arguments"])
    if slot is None:
        settle(folder, None)
        return 1
    environment = dict(os.environ)
    if slot.path.name.startswith(GPU):
        environment["CUDA_VISIBLE_DEVICES"] = slot.path.stem.removeprefix(f"{GPU}-")
    with slot, (folder / "log.txt").open("ab") as log:
        # The worker inherits the locked slot: if this process is killed, the slot stays taken while the worker works.
        worker = subprocess.Popen(
            job["arguments"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=environment, cwd=job.get("folder"), pass_fds=(slot.descriptor,),
        )
        created = process_created(worker.pid)
        silent = _watch(folder, worker, created)
        # Whatever the worker started ends with it.
        kill(worker.pid, created)
        status = worker.wait()
    if not (folder / "state.json").exists():
        return 1  # Somebody has removed the run.
    if silent and not raw_state(folder).ended and not (folder / "CANCEL").exists():
        write_state(folder, replace(
            raw_state(folder), state="interrupted", finished=time.time(), eta_seconds=None,
            message=f"Lost contact: the worker said nothing for {END_SILENT_SECONDS:.0f} s and was ended.",
        ))
    settle(folder, status)
    return 0 if raw_state(folder).state == "done" else 1


def _wait_for_slot(folder: Path, queue: Path, command: str, arguments: list[str]) -> Lock | None:
    """Wait in the queue; None if the run was cancelled there."""
    gpus = list_gpus() if command in GPU_COMMANDS and wanted_device(arguments) in ("auto", "cuda") else []
    kind = GPU if gpus else CPU
    names = [f"{GPU}-{gpu.index}" for gpu in gpus] or slot_names(CPU, cpu_slots())
    ticket = Ticket(queue, kind, folder, raw_state(folder).queued)
    try:
        while not (folder / "CANCEL").exists():
            slot = ticket.try_slot(names)
            if slot is not None:
                return slot
            time.sleep(LOOK_SECONDS)
    finally:
        ticket.close()
    return None


def _watch(folder: Path, worker: subprocess.Popen[bytes], created: float | None) -> bool:
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
        if not (folder / "state.json").exists():
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
    return supervise(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
