"""`data list`, `data get` and `data setup`: published data, fetched with their licences and checksums."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neandl_core.commands.options import Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import DataSettings
from neandl_core.launch import run_name

if TYPE_CHECKING:
    from neandl_core.fetching import Fetched

data = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    help="The public data catalogue: list it, fetch from it, set up the Neanderthal project.",
)

To = Annotated[
    Path | None, typer.Option("--to", help="Folder for the data; the workspace's data folder if not given.")
]
Mirror = Annotated[
    str | None,
    typer.Option(
        "--mirror", envvar="NEANDL_MIRROR",
        help="Folder or server that has the files under the same names, instead of their publishers.",
    ),
]
Accept = Annotated[
    bool, typer.Option("--accept-licence", help="I accept the licences and will cite the sources in `data list`.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network: only what is here or in the mirror.")]
RunFolder = Annotated[
    Path | None, typer.Option("--out", help="Folder for the record of the run; one beside the data if not given.")
]


@data.command("list")
def list_data(
    to: To = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Names alone.")] = False,
) -> None:
    """List what the catalogue has: names, sizes, licences, citations, and what is here already.

    Example: python -m neandl_core data list
    """
    from neandl_core.catalogue import catalogue, terms
    from neandl_core.fetching import here

    folder = _folder(to)
    for data_set in catalogue().values():
        if quiet:
            print(data_set.name)
            continue
        many = data_set.about_bytes
        size = f"{many / 1e6:,.1f} MB" if many >= 1e5 else f"{many / 1e3:,.1f} kB"
        size = size if data_set.exact else f"about {size}"
        checked = "checksums known" if data_set.verified else "checksum recorded at the first download"
        files = f"{len(data_set.files)} file{'s' if len(data_set.files) > 1 else ''}"
        print(f"{data_set.name:9} {files}, {size}, {checked}"
              f"{', here' if here(data_set, folder) else ''}\n          {terms(data_set)}")


@data.command("get")
def get_data(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of the catalogue; see `data list`.")],
    to: To = None,
    mirror: Mirror = None,
    accept_licence: Accept = False,
    offline: Offline = False,
    out: RunFolder = None,
    title: Title = "Public data",
    quiet: Quiet = False,
) -> None:
    """Fetch data sets: resumed where a transfer broke, checked against their SHA-256.

    Example: python -m neandl_core data get akey maps --to published --accept-licence
    """
    from neandl_core.catalogue import choose

    sets = choose(names)
    folder = _folder(to)
    settings = DataSettings.make(
        sets=tuple(names), to=str(folder), mirror=mirror, offline=offline, accept_licence=accept_licence
    )
    from neandl_core.recording import Run

    with progress_bar(quiet) as bar, Run(_record(out, folder), "data", settings, title=title, on_progress=bar) as run:
        from neandl_core.fetching import fetch

        fetched = fetch(
            sets, folder, accept_licence=accept_licence, mirror=mirror, offline=offline, progress=run.progress
        )
        for note in _notes(fetched):
            run.log(note)
        run.summarise(_summary(fetched, folder))
    _tell(fetched, folder, quiet)


@data.command("setup")
def setup(
    to: To = None,
    mirror: Mirror = None,
    accept_licence: Accept = False,
    offline: Offline = False,
    genome: Annotated[
        Path | None, typer.Option("--genome", help="hg19 or GRCh37 that you have already, FASTA or 2bit; fetched if "
                                                   "not given.")
    ] = None,
    piece: Annotated[
        int | None, typer.Option("--piece", help="Windows lie over the middle so many bases of each locus; 0 for whole "
                                                 "loci, tens of millions of windows.")
    ] = 2_000,
    test_chromosomes: Annotated[
        str, typer.Option("--test-chromosomes", help="Chromosomes to hold out, such as 21,22; by size if none.")
    ] = "",
    out: RunFolder = None,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "Neanderthal project",
    quiet: Quiet = False,
) -> None:
    """Set up the Neanderthal project: fetch what the introgression side needs and build the dataset.

    Example: python -m neandl_core data setup --to published --accept-licence
    """
    from neandl_core.recording import Run

    folder = _folder(to)
    settings = DataSettings.make(
        sets=(), to=str(folder), mirror=mirror, offline=offline, accept_licence=accept_licence, piece=piece or None,
        genome=None if genome is None else str(genome), threads=threads, seed=seed,
        test_chromosomes=tuple(name.strip() for name in test_chromosomes.split(",") if name.strip()),
    )
    inputs = [] if genome is None else [genome]
    with progress_bar(quiet) as bar, Run(
        _record(out, folder), "data", settings, inputs, title=title, on_progress=bar
    ) as run:
        from neandl_core.project_setup import set_up

        fetched, made = set_up(run.folder, settings, run.progress)
        for note in _notes(fetched):
            run.log(note)
        run.summarise(_summary(fetched, folder) | made)
    _tell(fetched, folder, quiet)
    say(made["sentence"], quiet)


def _folder(to: Path | None) -> Path:
    from neandl_core.workspace import Workspace

    return Workspace.from_environment().downloads if to is None else to.expanduser().resolve()


def _record(out: Path | None, folder: Path) -> Path:
    return out or folder / ".runs" / f"{run_name('data', '')}-{os.getpid()}"


def _summary(fetched: list[Fetched], folder: Path) -> dict[str, Any]:
    from neandl_core.fetching import as_rows

    return {
        "folder": str(folder), "files": as_rows(fetched), "bytes": sum(one.size for one in fetched),
        "notes": _notes(fetched),
    }


def _notes(fetched: list[Fetched]) -> list[str]:
    return [f"{one.name}: {one.note} (SHA-256 {one.sha256})" for one in fetched if one.note]


def _tell(fetched: list[Fetched], folder: Path, quiet: bool) -> None:
    for note in [] if quiet else _notes(fetched):
        print(note, file=sys.stderr)
    new = sum(one.source != "already here" for one in fetched)
    say(f"{len(fetched)} files in {folder}, {new} of them fetched now, {sum(one.size for one in fetched):,} bytes.",
        quiet)
