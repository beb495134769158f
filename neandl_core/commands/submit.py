"""`submit`: start any command as a run of the workspace, here or on a cluster, and come back at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import say
from neandl_core.errors import SettingsError

_STARTED = (
    "train", "reads", "cohort", "read-set", "windows", "controls", "classify", "interpret", "embed", "genes", "overlap",
    "export", "simulate", "demo",
)


def submit(
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="The command, for example train.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENTS...", help="Its arguments and options, without --out.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler such as tcp://node1:8786, or its "
                                                     "scheduler file; '' for this machine. Default: NEANDL_SCHEDULER, "
                                                     "or what the Runs page says.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="Folder that the workers see under the same path.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="What to call the result in lists.")] = "",
) -> None:
    """Start a command in the background, in the queue of this machine or on a cluster, and print its run folder.

    Options of `submit` itself come before the command.

    Example: python -m neandl_core submit --scheduler tcp://node1:8786 train dataset --preset bilstm
    """
    from neandl_core.cluster import check_address
    from neandl_core.launch import launch
    from neandl_core.workspace import Workspace

    if command not in _STARTED:
        raise SettingsError(f"submit: there is no command {command!r} to start; choose one of {', '.join(_STARTED)}.")
    if "--out" in (arguments or ()):
        raise SettingsError("submit: leave out --out; the run gets a folder in the workspace.")
    place = Workspace.from_environment() if workspace is None else Workspace((), workspace.resolve())
    place.prepare()
    address = None if scheduler is None else check_address(scheduler)
    say(str(launch(
        place.runs.resolve(), command, arguments or (), title or command, queue=place.queue.resolve(),
        scheduler=address,
    )), quiet=False)
