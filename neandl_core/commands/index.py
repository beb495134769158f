"""`index`: what a browser needs to show a genome or the reads of a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Title, progress_bar, say
from neandl_core.config import IndexSettings
from neandl_core.files import require_file
from neandl_core.recording import Run


def index(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="FASTA (plain or bgzip), 2bit, or sorted BAM.")],
    out: Out,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Index a genome or a sorted BAM file for the gene browser. Nothing is written beside the file.

    Example: python -m neandl_core index reads.bam --out reads-index
    """
    require_file(path, "genome or BAM file")
    with progress_bar(quiet) as bar, Run(out, "index", IndexSettings(), [path], title=title, on_progress=bar) as run:
        from neandl_core.io.indexes import make_index

        run.progress(0, 0, "Indexing")
        found = make_index(path, run.results)
        run.summarise(found)
    say(f"{path.name} is indexed in {out}.", quiet)
