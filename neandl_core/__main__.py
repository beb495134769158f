"""The command line: ``python -m neandl_core COMMAND``.

Exit status: 0 when the command did its work, 1 when an input or setting was at fault (one plain sentence on standard
error), 2 when the command line itself was wrong or the command is not there yet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from neandl_core.commands import classify, demo, genes, read_set, reads, serve, simulate, train, windows
from neandl_core.commands.planned import PLANNED, planned_command
from neandl_core.errors import NeanDLError, NotThereYetError

COMMANDS = {
    "simulate": simulate.simulate,
    "reads": reads.reads,
    "read-set": read_set.read_set,
    "windows": windows.windows,
    "train": train.train,
    "classify": classify.classify,
    "genes": genes.genes,
    "demo": demo.demo,
    "serve": serve.serve,
}


def build() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
        help="NeanDL: damage, contamination and Neanderthal sequence, with scores that say whether they are real.",
    )
    for name, function in COMMANDS.items():
        app.command(name)(function)
    for name in PLANNED:
        app.command(
            name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=True
        )(planned_command(name))
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Parameters
    ----------
    arguments
        The words after ``python -m neandl_core``; those of this process if None.
    """
    # Read when torch loads its OpenMP library. By default its threads spin while they wait for each other; if anything
    # else uses a core, a BiLSTM step then takes 0.9 to 2.5 s, and 0.16 s with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        build()(args=None if arguments is None else list(arguments), prog_name="python -m neandl_core")
    except NotThereYetError as error:
        print(error, file=sys.stderr)
        return 2
    except NeanDLError as error:
        print(error, file=sys.stderr)
        return 1
    except MemoryError:
        print("There is not enough memory for this. Use fewer or smaller inputs.", file=sys.stderr)
        return 1
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
