"""`resume` and `rerun`: go on with a run that was interrupted, and make a run again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]


def resume(run_folder: RunFolder, quiet: Quiet = False) -> None:
    """Go on with a run that was interrupted, cancelled or failed, in its own folder.

    A training goes on from its last checkpoint and ends with the same numbers as one that was never interrupted; other
    commands begin again.

    Example: python -m neandl_core resume runs/20260131-140501-train-bilstm
    """
    from neandl_core.repeating import become, enter_by_hand, enter_folder, prepare_resume

    folder = run_folder.resolve()
    repeat = prepare_resume(folder)
    enter_folder(repeat)
    enter_by_hand(repeat, folder)
    become(repeat, folder, ["--quiet"] if quiet else [])


def rerun(run_folder: RunFolder, out: Out, quiet: Quiet = False) -> None:
    """Make a run again from what its folder says. With the same versions and inputs the numbers are the same.

    Inputs whose SHA-256 has changed, and other versions of the software, are named.

    Example: python -m neandl_core rerun runs/20260131-140501-reads-sample --out again
    """
    from neandl_core.repeating import become, how_to_repeat

    repeat = how_to_repeat(run_folder)
    for found, what in ((repeat.changed, "An input has changed"), (repeat.versions, "Another version")):
        for line in found:
            print(f"{what}: {line}. Numbers may differ.", file=sys.stderr)
    sys.stderr.flush()
    become(repeat, out, ["--title", repeat.title, *(["--quiet"] if quiet else [])])
