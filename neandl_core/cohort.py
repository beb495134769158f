"""Many samples in one run: a folder for each, and a table of all.

The samples are divided among parts, see `parts.py`. What is finished stays, so a cohort that is taken up again does
the rest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError
from neandl_core.files import require_file
from neandl_core.parts import PARTS_EACH, crew_of, run_parts
from neandl_core.recording import Progress
from neandl_core.runs import RunState, raw_state, read_summary
from neandl_core.uploads import shown_name

LARGEST_PART = 25
"""Samples in a part at most: what one process does, and what is lost at most when its machine is."""
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
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(shown_name(path)).stem).strip("-.") or "sample"
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
    crew = crew_of(folder)
    pieces = [[todo[place] for place in part] for part in divide(len(todo), crew.slots)]
    before = len(samples) - len(todo)

    def tell(steps: int) -> None:
        progress(before + steps, len(samples), f"{before + steps:,} of {len(samples):,} samples")

    run_parts(
        folder, crew, "cohort-part",
        [
            {"options": options, "samples": [{"name": sample.name, "bam": sample.bam} for sample in piece]}
            for piece in pieces
        ],
        [len(piece) for piece in pieces], ["--threads", str(threads)], tell,
    )
    return [row(folder, sample) for sample in samples]


def samples_of(part: dict[str, Any]) -> list[Sample]:
    """Return the samples of a part, from what `parts.planned` says of it."""
    return [Sample(one["name"], Path(one["bam"])) for one in part["samples"]]


def row(folder: Path, sample: Sample) -> dict[str, Any]:
    """Return a sample's row of the table; what is not known is None."""
    state = raw_state(folder / sample.name)
    summary = read_summary(folder / sample.name) or {}
    length = summary.get("length") or {}
    return {
        "sample": sample.name, "file": shown_name(sample.bam), "state": state.state,
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
