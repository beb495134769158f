"""Taking a run up again, and making it once more: from its own folder, with nothing remembered elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError, OutputError
from neandl_core.files import read_json, sha256, write_json
from neandl_core.recording import software_versions
from neandl_core.runs import (
    RESUMABLE,
    check_format,
    is_here,
    process_created,
    raw_state,
    read_state,
    supervisor_alive,
    this_host,
)
from neandl_core.stopping import kill, requeue

_NOT_REPEATED = {"--out": 1, "--title": 1, "--quiet": 0}
"""Options of a command line that belong to one run alone, and how many words follow them."""


@dataclass(frozen=True)
class Repeat:
    """How to make a run again.

    Attributes
    ----------
    command, arguments
        As on the command line, without ``--out``, ``--title`` and ``--quiet``.
    folder
        Where relative paths of the arguments start.
    title
        What the run is called.
    changed
        Inputs that are not what they were, each with the reason in words.
    versions
        Software of another version than then, in words; numbers may differ by it.
    """

    command: str
    arguments: tuple[str, ...]
    folder: Path
    title: str
    changed: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


def plain_arguments(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command's words without those that belong to one run alone."""
    kept, skip = [], 0
    for word in words:
        if skip:
            skip -= 1
        elif word.partition("=")[0] in _NOT_REPEATED:
            # `--out=FOLDER` is one word.
            skip = _NOT_REPEATED.get(word, 0)
        else:
            kept.append(word)
    return tuple(kept)


def how_to_repeat(folder: str | Path, *, check_inputs: bool = True) -> Repeat:
    """Return how the run of a folder was started, and which of its input files have changed since.

    Parameters
    ----------
    folder
        A run folder.
    check_inputs
        Whether to compare the inputs' SHA-256, which reads them once.

    Raises
    ------
    InputError
        If the folder does not say, or is of a newer NeanDL.
    """
    folder = Path(folder)
    if not (folder / "state.json").exists():
        raise InputError("this is not a run folder", path=folder)
    state = raw_state(folder)
    config_file, job_file = folder / "config.json", folder / "worker.json"
    changed: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    if config_file.exists():
        config = read_json(config_file)
        check_format(config.get("format", 0), folder)
        words, start = list(config["arguments"]), Path(config.get("folder") or ".")
        changed = changed_inputs(config) if check_inputs else ()
        versions = changed_software(config)
    elif job_file.exists():
        job = read_json(job_file)
        words, start = job["arguments"][3:], Path(job.get("folder") or ".")
    else:
        raise InputError(
            "this run ended before it had saved its settings", path=folder, advice="Start it again as it was started."
        )
    if state.command not in words:
        raise InputError(f"config.json does not hold the command line of `{state.command}`", path=folder)
    place = words.index(state.command)
    return Repeat(state.command, plain_arguments(words[place + 1 :]), start, state.title, changed, versions)


def changed_inputs(config: dict[str, Any]) -> tuple[str, ...]:
    """Name the input files that are gone or no longer have the size and SHA-256 in `config.json`."""
    found = []
    for entry in config.get("inputs", ()):
        path = Path(entry["path"])
        if not path.exists():
            found.append(f"{path.name} is gone (it was {path})")
        elif "size" in entry and path.stat().st_size != entry["size"]:
            found.append(f"{path.name} has {path.stat().st_size:,} bytes, it had {entry['size']:,}")
        elif entry.get("sha256") and sha256(path) != entry["sha256"]:
            found.append(f"{path.name} has other contents of the same size (SHA-256 differs)")
    return tuple(found)


def changed_software(config: dict[str, Any]) -> tuple[str, ...]:
    """Name the packages that have another version than in `config.json`."""
    now = software_versions()
    return tuple(
        f"{name} is {now.get(name, 'not installed')}, it was {version}"
        for name, version in config.get("software", {}).items() if now.get(name) != version
    )


def prepare_resume(folder: str | Path) -> Repeat:
    """Make a run that was interrupted, failed or cancelled ready to go on in its own folder.

    What is left of its worker is ended; half-written files and partial results are removed; of the records those up to
    the last checkpoint stay. The state turns to queued.

    Raises
    ------
    InputError
        If it is done or still at work, an input has changed, or its folder does not say how it was started.
    OutputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    repeat = how_to_repeat(folder)
    state = read_state(folder)
    if state.state == "done":
        raise InputError("this run is done; there is nothing to go on with", path=folder,
                         advice="Use rerun to make it again.")
    if state.state not in RESUMABLE:
        raise InputError(f"this run is {state.state}; it can be resumed once it has ended", path=folder)
    if repeat.changed:
        raise InputError(
            f"inputs of this run have changed since it began: {'; '.join(repeat.changed)}", path=folder,
            advice="Half a run on each would be neither; use rerun to start afresh.",
        )
    if not os.access(folder, os.W_OK):
        raise OutputError(f"The run folder {folder} is read-only, so the run cannot go on in it.")
    if supervisor_alive(folder):
        job = read_json(folder / "worker.json")
        kill(job["pid"], job["process_created"])
    if state.pid is not None and is_here(state.host):
        kill(state.pid, state.process_created)
    (folder / "CANCEL").unlink(missing_ok=True)
    # Its former supervisor is gone; whoever starts the worker enters itself.
    (folder / "worker.json").unlink(missing_ok=True)
    requeue(folder, "Waiting to go on", "Taken up again")
    return replace(repeat, title=state.title)


def become(repeat: Repeat, out: Path, further: Sequence[str] = ()) -> None:
    """Turn this process into the command of a run, with results in `out`; it does not return.

    Raises
    ------
    InputError
        If the folder from which the command was started is gone.
    """
    out = out.resolve()
    enter_folder(repeat)
    root = str(Path(__file__).resolve().parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    words = [sys.executable, "-m", "neandl_core", repeat.command, *repeat.arguments, "--out", str(out), *further]
    os.execv(sys.executable, words)


def enter_by_hand(repeat: Repeat, folder: Path) -> None:
    """Enter this process as the one that looks after a run taken up again on a terminal."""
    write_json(folder / "worker.json", {
        "arguments": [sys.executable, "-m", "neandl_core", repeat.command, *repeat.arguments],
        "command": repeat.command, "folder": str(repeat.folder), "pid": os.getpid(),
        "process_created": process_created(os.getpid()), "host": this_host(),
    })


def enter_folder(repeat: Repeat) -> None:
    """Go to the folder from which a run was started, as its arguments may be relative to it.

    Raises
    ------
    InputError
        If it is gone.
    """
    try:
        os.chdir(repeat.folder)
    except OSError as error:
        raise InputError(
            f"the folder from which this run was started cannot be entered ({error.strerror})", path=repeat.folder
        ) from None
