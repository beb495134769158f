"""`check`: files read through once, by content, to the last byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import CheckSettings
from neandl_core.files import require_file
from neandl_core.recording import Run


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of any kind that NeanDL reads.")],
    out: Out,
    reference: Annotated[Path | None, typer.Option("--reference", help="Genome for CRAM files.")] = None,
    index: Annotated[
        Path | None, typer.Option("--index", help="Folder in which the verdicts are kept for the Data page.")
    ] = None,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Say what files are, by their content, and whether they can be read to the last byte.

    Example: python -m neandl_core check sample.bam genome.fa --out checked
    """
    settings = CheckSettings.make(threads=threads)
    for path in files:
        require_file(path, "file")
    with progress_bar(quiet) as bar, Run(out, "check", settings, [], title=title, on_progress=bar) as run:
        from dataclasses import asdict

        from neandl_core.checking import check_file, save_verdict
        from neandl_core.files import write_tsv

        verdicts = []
        for number, path in enumerate(files):
            def told(done: int, total: int, message: str, before: int = number) -> None:
                run.progress(round(1000 * (before + (done / total if total else 0))), 1000 * len(files), message)

            told(0, 0, f"Reading {path.name}")
            verdicts.append(check_file(path, reference, threads, told))
            if index is not None:
                save_verdict(index, verdicts[-1])
        rows = [asdict(verdict) for verdict in verdicts]
        columns = ("path", "kind", "format", "state", "text", "size", "sha256")
        write_tsv(run.results / "files.tsv", {name: [row[name] for row in rows] for name in columns})
        run.summarise({"files": rows})
    for verdict in verdicts:
        say(f"{Path(verdict.path).name}: {verdict.format}, {verdict.state}. {verdict.text}", quiet)
