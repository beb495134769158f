"""Bringing run folders of older versions up to the present layout, in place.

Format 0 and 1 had no format in `state.json`, and did not say how often a run was resumed, from which folder it was
started and where its results went. Each step takes one version to the next; all are safe to run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from neandl_core.errors import InputError
from neandl_core.files import read_json, write_json
from neandl_core.runs import FORMAT, check_format, run_folders

_CONFIG, _STATE = "config.json", "state.json"


def folder_format(folder: Path) -> int:
    """Return the version of a run folder's layout.

    Raises
    ------
    InputError
        If it is newer than this NeanDL, or not a run folder.
    """
    state = read_json(folder / _STATE)
    config = read_json(folder / _CONFIG) if (folder / _CONFIG).exists() else {}
    found = state.get("format", config.get("format", 0)) if isinstance(state, dict) else 0
    check_format(found, folder)
    return min(found, FORMAT)


def upgrade(folder: Path) -> int:
    """Bring a run folder up to the present layout and return how many steps that took.

    Raises
    ------
    InputError
        If it is newer than this NeanDL.
    """
    first = folder_format(folder)
    for version in range(first, FORMAT):
        _STEPS[version](folder)
        _set(folder, _STATE, format=version + 1)
    return FORMAT - first


def outdated(runs: Path) -> Iterator[Path]:
    """Yield the run folders below `runs` whose layout is older; those of a newer NeanDL are left out."""
    for folder in run_folders(runs):
        with suppress(InputError):
            if folder_format(folder) < FORMAT:
                yield folder


def _set(run: Path, name: str, /, **values: object) -> None:
    """Set fields of a JSON file, where it exists."""
    if (run / name).exists():
        write_json(run / name, {**read_json(run / name), **values})


def _from_0(folder: Path) -> None:
    """Format 0 named no title; lists call such a run by its folder."""
    if not read_json(folder / _STATE).get("title"):
        _set(folder, _STATE, title=folder.name)
    _set(folder, _CONFIG, format=1)


def _from_1(folder: Path) -> None:
    _set(folder, _STATE, resumed=0)
    config = read_json(folder / _CONFIG) if (folder / _CONFIG).exists() else {}
    # Paths of older runs are absolute, or relative to a folder that nobody wrote down.
    _set(folder, _CONFIG, format=2, folder=config.get("folder"), out=config.get("out", str(folder.resolve())))


_STEPS: dict[int, Callable[[Path], None]] = {0: _from_0, 1: _from_1}
