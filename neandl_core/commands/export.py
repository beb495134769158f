"""`export`: figures, their data, a deck and a report from finished runs, or from a presentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neandl_core.commands.options import Out, Quiet, Threads, Title, progress_bar, say
from neandl_core.config import ExportSettings
from neandl_core.errors import InputError, SettingsError
from neandl_core.recording import Run


def export(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of finished runs.")] = None,
    out: Out = ...,
    presentation: Annotated[
        Path | None, typer.Option("--presentation", help="Folder of a presentation made on the page, instead of runs.")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Any of pptx,pdf,svg,png,html,xlsx,tsv, separated by commas.")
    ] = "pptx,pdf,png,html,xlsx",
    width: Annotated[
        str | None, typer.Option("--width", help="Of single figures: 89 or 183 (mm) or slide (16:9); 183 if not given.")
    ] = None,
    font: Annotated[str | None, typer.Option("--font", help="Font of all letters.")] = None,
    palette: Annotated[str | None, typer.Option("--palette", help="Set of colours, for example 'Tol bright'.")] = None,
    dpi: Annotated[int, typer.Option("--dpi", help="Dots per inch of PNG: 150, 300 or 600.")] = 300,
    editable: Annotated[
        bool, typer.Option("--editable", help="Charts that PowerPoint can edit instead of pictures, where one can be.")
    ] = False,
    heading: Annotated[str, typer.Option("--heading", help="Title of the deck and the report.")] = "",
    subtitle: Annotated[str, typer.Option("--subtitle", help="Below it: who, where, when.")] = "",
    threads: Threads = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Write figures, their data, a slide deck and a report of finished runs.

    Everything is drawn for light paper and without a browser. What rests on simulated data says so.

    Example: python -m neandl_core export runs/reads-ancient runs/genes --out talk --format pptx,pdf,html
    """
    chosen = list(runs or [])
    if bool(chosen) == (presentation is not None):
        raise SettingsError("export needs the folders of runs, or --presentation with the folder of one.")
    settings = ExportSettings.make(
        formats=tuple(dict.fromkeys(part.strip().lower() for part in formats.split(",") if part.strip())), width=width,
        dots_per_inch=dpi, editable=editable, heading=heading, subtitle=subtitle, threads=threads,
        **{name: value for name, value in (("font", font), ("palette", palette)) if value is not None},
    )
    folders = [presentation] if presentation is not None else chosen
    for folder in folders:
        if not folder.is_dir():
            raise InputError("there is no such folder", path=folder)
    with progress_bar(quiet) as bar, Run(out, "export", settings, folders, title=title, on_progress=bar) as run:
        from neandl_core.export.bundle import write_export

        summary: dict[str, Any] = write_export(
            run.results, settings, chosen, presentation, {"font": font, "palette": palette}, run.progress
        )
        run.summarise({"command": "export", **summary})
    say(f"{summary['figures']} figures in {len(summary['files'])} files in {out}.", quiet)
