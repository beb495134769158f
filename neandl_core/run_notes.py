"""What people add to a run: a note, tags, put away or not; and what hangs on a run when it is to be deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError
from neandl_core.files import read_json, write_json
from neandl_core.runs import NOTES, RunState, list_runs

MOST_TAGS = 20
LONGEST_TAG = 30


@dataclass(frozen=True)
class RunNotes:
    """A note, tags in the order given, and whether the run is put away."""

    note: str = ""
    tags: tuple[str, ...] = ()
    archived: bool = False


def read_notes(folder: Path) -> RunNotes:
    """Return what was added to a run; nothing if there is no such file, or it is of another version."""
    path = folder / NOTES
    if not path.exists():
        return RunNotes()
    try:
        values = read_json(path)
        return RunNotes(str(values["note"]), tuple(map(str, values["tags"])), bool(values["archived"]))
    except (InputError, KeyError, TypeError):
        return RunNotes()


def write_notes(folder: Path, notes: RunNotes) -> None:
    """Keep a note and tags; tags are trimmed, and each is kept once.

    Raises
    ------
    OutputError
        If the run folder cannot be written.
    """
    tags = tuple(dict.fromkeys(tag.strip()[:LONGEST_TAG] for tag in notes.tags if tag.strip()))[:MOST_TAGS]
    write_json(folder / NOTES, asdict(RunNotes(notes.note.strip(), tags, notes.archived)))


def disk_use(folder: Path) -> int:
    """Return the bytes that a run's files take; links are not followed."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += disk_use(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        # Files come and go while a run works.
        return total
    return total


def dependents(folder: Path, runs: Path) -> list[tuple[Path, RunState]]:
    """List the runs that were made from files of a run: they keep their results, but cannot be made again without it.

    Parameters
    ----------
    folder
        The run in question.
    runs
        The workspace's folder of runs.
    """
    own = str(folder.resolve())
    found = []
    for other, state in list_runs(runs):
        if other == folder or folder in other.parents or other in folder.parents:
            continue
        if any(path == own or path.startswith(f"{own}/") for path in _paths_in(other)):
            found.append((other, state))
    return found


def _paths_in(folder: Path) -> Iterable[str]:
    config_file = folder / "config.json"
    if not config_file.exists():
        return []
    try:
        config = read_json(config_file)
    except InputError:
        return []
    return [*(entry["path"] for entry in config.get("inputs", ())), *map(str, config.get("arguments", ()))]


def settings_side_by_side(configs: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Return the settings, inputs and versions in which runs differ, one row each.

    Parameters
    ----------
    configs
        `config.json` by the name of the run.

    Returns
    -------
    list of dict
        ``setting`` and one cell for each run; a dash where a run has no such setting.
    """
    flat = {
        name: {
            "command": config.get("command"),
            **config.get("settings", {}),
            "inputs": ", ".join(
                f"{Path(entry['path']).name} {(entry.get('sha256') or '')[:8]}".strip()
                for entry in config.get("inputs", ())
            ),
            **{f"version of {package}": version for package, version in config.get("software", {}).items()},
        }
        for name, config in configs.items()
    }
    names = dict.fromkeys(setting for values in flat.values() for setting in values)
    rows = []
    for setting in names:
        cells = {name: _text(values.get(setting)) for name, values in flat.items()}
        if len(set(cells.values())) > 1:
            rows.append({"setting": setting.replace("_", " "), **cells})
    return rows


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
