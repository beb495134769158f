"""The error family. Every message is one plain sentence that a user can act on.

A message names the file, the place in it, what was expected, what came and what to do. The command line prints it
and exits with 1, a page shows it as it stands; neither shows a traceback.
"""

from __future__ import annotations

from pathlib import Path


class NeanDLError(Exception):
    """Anything a user can cause or mend. `str(error)` is the whole message."""


_LONGEST_NAME = 120


class InputError(NeanDLError):
    """An input file or folder cannot be used.

    Parameters
    ----------
    problem
        What was expected and what came, without the file's name and without a final full stop.
    path
        The file or folder; only its name is shown, as the full path is in the run's config.json.
    place
        Where in the file, for example ``"line 12"`` or ``"record 1,204 (read M_0042)"``.
    advice
        What to do, a sentence of its own.
    """

    def __init__(
        self, problem: str, *, path: str | Path | None = None, place: str | None = None, advice: str | None = None
    ) -> None:
        name = None if path is None else shorten(Path(path).name, _LONGEST_NAME)
        where = ", ".join(part for part in (name, place) if part)
        text = f"{where}: {problem}" if where else problem
        text = text.rstrip(". ") + "."
        if advice:
            text += f" {advice}"
        super().__init__(text)
        self.path = None if path is None else Path(path)
        self.place = place


class SettingsError(NeanDLError):
    """A setting is impossible, alone or together with another."""


class OutputError(NeanDLError):
    """The results cannot be written where they were asked for."""


class CancelledError(NeanDLError):
    """The user asked a run to stop."""


def shorten(text: str, limit: int = 60) -> str:
    """Return `text` on one line, cut to `limit` characters, for quoting a bad line in a message."""
    flat = "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text.rstrip("\r\n"))
    return flat if len(flat) <= limit else flat[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
