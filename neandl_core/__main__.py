"""The command line: ``python -m neandl_core COMMAND``.

Exit status: 0 when the command did its work, 1 when an input or setting was at fault (one plain sentence on standard
error), 2 when the command line itself was wrong.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

# Read when pydantic makes its first class: else it looks through all that is installed for plugins, for 0.04 s.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import typer

from neandl_core.errors import NeanDLError
from neandl_core.recording import set_command_line, uncollected

COMMANDS = {
    "check": "check.check",
    "simulate": "simulate.simulate",
    "reads": "reads.reads",
    "cohort": "cohort.cohort",
    "cohort-part": "cohort.cohort_part",
    "read-set": "read_set.read_set",
    "windows": "windows.windows",
    "train": "train.train",
    "controls": "controls.controls",
    "classify": "classify.classify",
    "interpret": "interpret.interpret",
    "embed": "embed.embed",
    "genes": "genes.genes",
    "genes-part": "genes.genes_part",
    "overlap": "overlap.overlap",
    "export": "export.export",
    "index": "index.index",
    "demo": "demo.demo",
    "submit": "submit.submit",
    "resume": "repeat.resume",
    "rerun": "repeat.rerun",
    "doctor": "doctor.doctor",
    "serve": "serve.serve",
}
"""Name -> module of `commands` and function in it. A module is imported when its command is asked for: importing all
takes longer than counting the reads of a small file."""
GROUPS = {"data": "data.data"}
"""Commands that have commands of their own."""


def build(only: str | None = None) -> typer.Typer:
    """Put the commands together: all of them, or only the one that was asked for."""
    app = typer.Typer(
        add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
        help="NeanDL: damage, contamination and Neanderthal sequence, with scores that say whether they are real.",
    )
    app.callback()(_nothing)
    for name, place in COMMANDS.items():
        if only in (None, name):
            extra = {"ignore_unknown_options": True, "allow_interspersed_args": False} if name == "submit" else {}
            app.command(name, context_settings=extra)(_imported(place))
    for name, place in GROUPS.items():
        if only in (None, name):
            app.add_typer(_imported(place), name=name)
    return app


def _nothing() -> None:
    # Without a callback of its own, an app of one command would not take that command's name.
    return


def _imported(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(import_module(f"neandl_core.commands.{module}"), name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Parameters
    ----------
    arguments
        The words after ``python -m neandl_core``; those of this process if None.
    """
    # Read when torch loads its OpenMP library, whose threads by default spin for milliseconds while they wait for each
    # other. The compiled BiLSTM uses no such threads and is as fast either way (9,300 to 10,000 windows/s on two cores
    # of which another process had one). It matters to the CNN and to torch's own LSTM. Examples/s on two cores, with a
    # busy process beside them / with little else: CNN at batch 32 asleep at once (PASSIVE) 2,500 / 3,000, 1,000 spins
    # 3,000 / 3,300, always spinning 560 / 6,800; LSTM at batch 256 1,200 / 1,000, 2,200 / 2,400, 520 / 290.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    gc.set_threshold(50_000)
    words = sys.argv[1:] if arguments is None else list(arguments)
    set_command_line(words)
    first = words[0] if words else ""
    try:
        with uncollected():
            app = build(first if first in COMMANDS or first in GROUPS else None)
        app(args=words, prog_name="python -m neandl_core")
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
    status = main()
    gc.freeze()  # else the interpreter looks through all that the imports made once more, for 0.15 s, before it ends
    sys.exit(status)
