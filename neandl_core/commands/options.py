"""Options that several commands share, in one wording, and the terminal's progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from neandl_core.recording import Progress, no_progress

Out = Annotated[
    Path, typer.Option("--out", help="Folder for the results; it is made, and must not hold anything yet.")
]
Seed = Annotated[int, typer.Option("--seed", help="Every random choice follows from this number.")]
Threads = Annotated[int, typer.Option("--threads", help="Processor threads to use.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar and no closing line.")]
SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="JSON file of settings, or the config.json of a run to make one like it."),
]
Title = Annotated[str, typer.Option("--title", help="What to call the result in lists.")]


def with_settings_file(
    context: typer.Context, path: Path | None, values: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings of a command line and a settings file, and notes; what was typed wins over the file.

    Raises
    ------
    InputError
        If the file is unusable.
    """
    if path is None:
        return values, ()
    from neandl_core.settings_file import read_settings

    read, notes = read_settings(path)
    typed = {
        name: value for name, value in values.items()
        # By its name: typer brings a click of its own, whose members equal none of the installed click's.
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }
    return values | read | typed, notes


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """Show progress with the time left on a terminal; elsewhere, and with --quiet, show nothing."""
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=None)

        def show(done: int, total: int, message: str) -> None:
            bar.update(task, completed=done, total=total or None, description=message)

        yield show


def say(text: str, quiet: bool) -> None:
    """Print a command's closing line on standard output."""
    if not quiet:
        print(text)
