"""Work in parts: each is a run of its own in a hidden folder, through the slots of this machine or on a scheduler.

Whoever divides the work says which parts there are and what is done already; here they are started, watched, tried
again when their worker dies, and cancelled with the whole. What a part has finished stays, so work that is taken up
again does the rest.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neandl_core import launch
from neandl_core.cluster import describe_cluster, scheduler_address
from neandl_core.errors import InputError, OutputError
from neandl_core.files import read_json, write_json
from neandl_core.runs import raw_state, read_state, request_cancel
from neandl_core.slots import cpu_slots

PARTS = ".parts"
PLAN = "plan.json"
PARTS_EACH = 3
"""Parts for each slot, so that one that is slow does not hold up the end."""
AT_ONCE = 16
"""Parts given to the queue at a time; each has a small process that looks after it."""
TRIES = 3
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Crew:
    """Who does the parts: a queue on this machine or a scheduler, and how many parts are done side by side."""

    queue: Path
    scheduler: str
    slots: int


def crew_of(folder: Path) -> Crew:
    """Return who does the parts of the run of a folder: where the run itself was sent, else this machine's slots.

    Raises
    ------
    SettingsError
        If the scheduler does not answer.
    """
    job = read_json(folder / "worker.json") if (folder / "worker.json").exists() else {}
    queue = Path(job["queue"]) if "queue" in job else folder / PARTS / launch.QUEUE
    scheduler = job.get("scheduler", scheduler_address(queue))
    return Crew(queue, scheduler, describe_cluster(scheduler).threads if scheduler else cpu_slots())


def run_parts(
    folder: Path, crew: Crew, command: str, parts: Sequence[dict[str, Any]], sizes: Sequence[int],
    options: Sequence[str], tell: Callable[[int], None],
) -> None:
    """Do all parts of a run, and return when they are done.

    Parameters
    ----------
    folder
        The run's folder; the parts' folders are in it until they are done, and are removed then.
    crew
        As from `crew_of`.
    command
        Of a part; it is given the folder, the part's number and the options, and asks `planned` what to do.
    parts
        What each part is to do, as JSON knows it.
    sizes
        Of each part, in the steps in which it counts its progress.
    options
        Further words of each part's command line.
    tell
        Told of the steps done in all parts together.

    Raises
    ------
    OutputError
        If a part fails again and again.
    """
    parts_folder = folder / PARTS
    shutil.rmtree(parts_folder, ignore_errors=True)
    parts_folder.mkdir()
    write_json(parts_folder / PLAN, list(parts))
    waiting = list(range(len(parts)))
    at_work: dict[int, Path] = {}
    tries = [0] * len(parts)
    finished = 0
    try:
        while waiting or at_work:
            while waiting and len(at_work) < AT_ONCE:
                number = waiting.pop(0)
                at_work[number] = launch.launch(
                    parts_folder, command, [str(folder.resolve()), str(number), *options], f"Part {number + 1}",
                    queue=crew.queue, scheduler=crew.scheduler,
                )
            for number, part in list(at_work.items()):
                state = read_state(part)
                if state.state == "done":
                    finished += sizes[number]
                    del at_work[number]
                elif state.ended:
                    tries[number] += 1
                    if tries[number] == TRIES:
                        raise OutputError(f"Part {number + 1} of the work failed {TRIES} times: {state.message}")
                    launch.resume(part, crew.queue, scheduler=crew.scheduler)
            tell(finished + sum(raw_state(part).step for part in at_work.values()))
            time.sleep(LOOK_SECONDS)
    finally:
        # Nothing of a run that has ended, however it did, is still to be done.
        for part in at_work.values():
            request_cancel(part)
    shutil.rmtree(parts_folder)


def planned(folder: Path, number: int) -> dict[str, Any]:
    """Return what a part is to do.

    Raises
    ------
    InputError
        If the folder holds no such part.
    """
    plan = read_json(folder / PARTS / PLAN)
    if not 0 <= number < len(plan):
        raise InputError(f"this run has no part {number}", path=folder)
    return plan[number]
