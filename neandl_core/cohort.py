"""Many samples in one run: a folder for each, and a table of all.

The samples are divided into parts. Each part is a run of its own in a hidden folder, started as every run is: through
the slots of this machine, or on a scheduler. What is finished stays, so a cohort that is taken up again does the rest.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neandl_core import launch
from neandl_core.cluster import describe_cluster, scheduler_address
from neandl_core.errors import InputError, OutputError
from neandl_core.files import read_json, require_file, write_json
from neandl_core.recording import Progress
from neandl_core.runs import RunState, raw_state, read_state, read_summary, request_cancel
from neandl_core.slots import cpu_slots

PARTS = ".parts"
PLAN = "plan.json"
LARGEST_PART = 25
"""Samples in a part at most: what one process does, and what is lost at most when its machine is."""
PARTS_EACH = 3
"""Parts for each slot, so that one that is slow does not hold up the end."""
AT_ONCE = 16
"""Parts given to the queue at a time; each has a small process that looks after it."""
TRIES = 3
LOOK_SECONDS = 0.5
TABLE = "samples.tsv"
COLUMNS = (
    "sample", "file", "state", "reads_total", "reads_used", "c_to_t_5p", "g_to_a_3p", "c_to_t_3p", "length_mean",
    "length_median", "library", "damaged", "udg", "message",
)
"""Columns of the table. Rates are those at the terminal base, between 0 and 1; lengths are in bases."""


@dataclass(frozen=True)
class Sample:
    """A sample's name, which is that of its folder, and its alignment file."""

    name: str
    bam: Path


def name_samples(files: Sequence[Path]) -> list[Sample]:
    """Name samples by their files, with a number where a name comes again.

    Raises
    ------
    InputError
        If a file is missing or empty, or given twice.
    """
    taken: set[str] = {TABLE}
    seen: set[Path] = set()
    samples = []
    for path in files:
        require_file(path, "BAM, SAM or CRAM file")
        if path.resolve() in seen:
            raise InputError("this file is given twice", path=path)
        seen.add(path.resolve())
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.") or "sample"
        name, number = plain, 1
        while name.lower() in taken or (number == 1 and name.endswith((".json", ".txt", ".jsonl"))):
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.lower())
        samples.append(Sample(name, path.resolve()))
    return samples


def sample_ended(folder: Path) -> RunState | None:
    """Return the state of a sample that is done or was refused; None if it is still to be done."""
    if not (folder / "state.json").exists():
        return None
    state = raw_state(folder)
    return state if state.state in ("done", "failed") else None


def divide(count: int, slots: int) -> list[range]:
    """Divide samples into parts of nearly equal size, for so many slots."""
    size = max(1, min(LARGEST_PART, -(-count // (PARTS_EACH * max(1, slots)))))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def run_cohort(
    folder: Path, samples: Sequence[Sample], options: dict[str, Any], threads: int, progress: Progress
) -> list[dict[str, Any]]:
    """Do all samples that are not done yet, and return the table's rows in the order of the samples.

    Parameters
    ----------
    folder
        The cohort's run folder; each sample's folder is made in it.
    samples
        As from `name_samples`.
    options
        Of the `reads` command, by parameter.
    threads
        Of each part.
    progress
        Told of finished samples.

    Raises
    ------
    OutputError
        If a part fails again and again.
    """
    todo = [sample for sample in samples if sample_ended(folder / sample.name) is None]
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    parts_folder = folder / PARTS
    parts_folder.mkdir()
    job = read_json(folder / "worker.json") if (folder / "worker.json").exists() else {}
    queue = Path(job["queue"]) if "queue" in job else parts_folder / launch.QUEUE
    scheduler = job.get("scheduler", scheduler_address(queue))
    slots = describe_cluster(scheduler).threads if scheduler else cpu_slots()
    pieces = [[todo[place] for place in part] for part in divide(len(todo), slots)]
    write_json(parts_folder / PLAN, {
        "options": options,
        "parts": [[{"name": sample.name, "bam": sample.bam} for sample in piece] for piece in pieces],
    })
    before = len(samples) - len(todo)
    waiting = list(range(len(pieces)))
    at_work: dict[int, Path] = {}
    tries = [0] * len(pieces)
    finished = 0
    try:
        while waiting or at_work:
            while waiting and len(at_work) < AT_ONCE:
                number = waiting.pop(0)
                at_work[number] = launch.launch(
                    parts_folder, "cohort-part",
                    [str(folder.resolve()), str(number), "--threads", str(threads)], f"Part {number + 1}", queue=queue,
                    scheduler=scheduler,
                )
            for number, part in list(at_work.items()):
                state = read_state(part)
                if state.state == "done":
                    finished += len(pieces[number])
                    del at_work[number]
                elif state.ended:
                    tries[number] += 1
                    if tries[number] == TRIES:
                        raise OutputError(f"Part {number + 1} of the cohort failed {TRIES} times: {state.message}")
                    launch.resume(part, queue, scheduler=scheduler)
            done = before + finished + sum(raw_state(part).step for part in at_work.values())
            progress(done, len(samples), f"{done:,} of {len(samples):,} samples")
            time.sleep(LOOK_SECONDS)
    finally:
        # Nothing of a cohort that has ended, however it did, is still to be done.
        for part in at_work.values():
            request_cancel(part)
    rows = [row(folder, sample) for sample in samples]
    shutil.rmtree(parts_folder)
    return rows


def planned(folder: Path, number: int) -> tuple[dict[str, Any], list[Sample]]:
    """Return the options and the samples of a part.

    Raises
    ------
    InputError
        If the folder holds no such part.
    """
    plan = read_json(folder / PARTS / PLAN)
    if not 0 <= number < len(plan["parts"]):
        raise InputError(f"this cohort has no part {number}", path=folder)
    return plan["options"], [Sample(one["name"], Path(one["bam"])) for one in plan["parts"][number]]


def row(folder: Path, sample: Sample) -> dict[str, Any]:
    """Return a sample's row of the table; what is not known is None."""
    state = raw_state(folder / sample.name)
    summary = read_summary(folder / sample.name) or {}
    length = summary.get("length") or {}
    return {
        "sample": sample.name, "file": sample.bam.name, "state": state.state,
        "reads_total": summary.get("reads_total"), "reads_used": summary.get("reads_used"),
        **{name: (summary.get(name) or [None])[0] for name in ("c_to_t_5p", "g_to_a_3p", "c_to_t_3p")},
        "length_mean": length.get("mean"), "length_median": length.get("median"), "library": summary.get("library"),
        "damaged": summary.get("damaged"), "udg": (summary.get("udg") or {}).get("treatment"),
        "message": "" if state.state == "done" else state.message,
    }


def columns_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into columns for `files.write_tsv`; what is not known is an empty cell."""
    return {name: ["" if one[name] is None else one[name] for one in rows] for name in COLUMNS}


def each_to_do(folder: Path, samples: Sequence[Sample], tell: Callable[[int, str], None]) -> Iterator[Sample]:
    """Yield the samples of a part that are not done, in cleared folders, and tell of every one that is."""
    for place, sample in enumerate(samples):
        tell(place, sample.name)
        if sample_ended(folder / sample.name) is None:
            # A former worker of this part, which is gone, may have begun it.
            shutil.rmtree(folder / sample.name, ignore_errors=True)
            yield sample
    tell(len(samples), "")
