"""Settings from a JSON file, read strictly: one that is misspelt, given twice or no number is refused, never guessed.

A run's own `config.json` is such a file too: its ``settings`` are taken, so that one run can be made like another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError, shorten
from neandl_core.files import require_file

_LARGEST = 1 << 20
_BOM = b"\xef\xbb\xbf"


class _RefusedError(ValueError):
    """Something JSON readers usually let pass."""


def read_settings(path: str | Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read the settings in a JSON file.

    Parameters
    ----------
    path
        A JSON object of setting names (with ``_`` or ``-``) and values, or a run's `config.json`.

    Returns
    -------
    settings
        Name -> value, as they stand; whether they are possible is for the command's settings class to say.
    notes
        What was odd and harmless, in sentences.

    Raises
    ------
    InputError
        If it is no JSON object, names a setting twice, or holds NaN, an infinity, an enormous number or deep nesting.
    """
    path = require_file(path, "settings file (JSON)")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"a settings file has a few lines, and this one has {path.stat().st_size:,} bytes", path=path)
    raw = path.read_bytes()
    notes = ()
    if raw.startswith(_BOM):
        notes = (f"The byte order mark at the beginning of {path.name} was skipped.",)
    try:
        values = json.loads(
            raw.removeprefix(_BOM).decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except _RefusedError as error:
        raise InputError(str(error), path=path) from None
    except RecursionError:
        raise InputError("this is no settings file: its lists are nested too deeply", path=path) from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"this is not JSON ({error.msg})", path=path, place=f"line {error.lineno}",
            advice='A settings file looks like {"epochs": 3, "batch_size": 256}.',
        ) from None
    except ValueError:
        # Text that is not UTF-8, or a number with thousands of digits.
        raise InputError("this is not JSON: not UTF-8 text, or a number with thousands of digits", path=path) from None
    if isinstance(values, dict) and {"format", "command", "settings"} <= values.keys():
        values = values["settings"]
    if not isinstance(values, dict):
        raise InputError(f"expected names and values in braces, got a {type(values).__name__}", path=path)
    return {name.replace("-", "_"): _tuples(value) for name, value in values.items()}, notes


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _RefusedError(f'"{shorten(name)}" is given twice')
        found[name] = value
    return found


def _no_constant(text: str) -> None:
    raise _RefusedError(f"{text} is no number")


def _tuples(value: Any) -> Any:
    """Return a list as the tuple that settings hold, all else as it is."""
    return tuple(value) if isinstance(value, list) else value
