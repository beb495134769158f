"""Commands that are planned and not built yet: each says so and ends with 2; none pretends."""

from __future__ import annotations

from collections.abc import Callable

import typer

from neandl_core.errors import NotThereYetError

PLANNED: dict[str, str] = {
    "export": "Figures and a slide deck from finished runs.",
    "resume": "Go on with an interrupted run.",
    "rerun": "Make the same run again.",
    "doctor": "Check the installation and say how to mend it.",
}


def planned_command(name: str) -> Callable[[typer.Context], None]:
    """Return the function that answers for a planned command, whatever arguments came with it."""

    def answer(context: typer.Context) -> None:
        raise NotThereYetError(f"{name} is not there yet. {PLANNED[name]} It is planned; nothing was done.")

    answer.__doc__ = f"{PLANNED[name]} (not there yet)"
    return answer
