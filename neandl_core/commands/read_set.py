"""`read-set`: from ancient and modern alignment files to a dataset of reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import ReadSetSettings
from neandl_core.files import require_file


def read_set(
    ancient: Annotated[list[Path], typer.Option("--ancient", help="BAM of ancient reads; may be given several times.")],
    modern: Annotated[list[Path], typer.Option("--modern", help="BAM of modern reads; may be given several times.")],
    out: Out,
    length: Annotated[int, typer.Option("--length", help="Bases kept of each read, from its 5' end.")] = 76,
    min_length: Annotated[int, typer.Option("--min-length", help="Leave out reads with fewer bases.")] = 30,
    min_mapping_quality: Annotated[int, typer.Option("--min-mapping-quality", help="Leave out reads below it.")] = 0,
    max_reads: Annotated[int, typer.Option("--max-reads", help="Reads of each class at most, drawn at random.")]
    = 100_000,
    test_share: Annotated[float, typer.Option("--test-share", help="Share of the reads to test on.")] = 0.2,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="FASTA the reads were aligned to; needed for CRAM, and for the "
                                                     "reference bases of reads without MD tags.")
    ] = None,
    seed: Seed = 1,
    threads: Threads = 2,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Make a dataset of ancient and modern reads of equal lengths, split by place in the genome.

    Example: python -m neandl_core read-set --ancient ancient.bam --modern modern.bam --out dataset
    """
    from neandl_core.read_set import make_read_set
    from neandl_core.recording import Run

    settings = ReadSetSettings.make(
        length=length, min_length=min_length, min_mapping_quality=min_mapping_quality, max_reads=max_reads,
        test_share=test_share, seed=seed,
    )
    inputs = [require_file(path, "BAM, SAM or CRAM file") for path in (*ancient, *modern)]
    if reference is not None:
        inputs.append(require_file(reference, "FASTA file"))
    with progress_bar(quiet) as bar, Run(out, "read-set", settings, inputs, title=title, on_progress=bar) as run:
        summary = make_read_set(
            run.results, ancient, modern, settings, reference=reference, threads=threads, progress=run.progress
        )
        for note in summary["notes"]:
            run.log(note)
        run.summarise(summary)
    each = summary["examples"] // 2
    say(f"{each:,} ancient and {each:,} modern reads of equal lengths in {summary['loci']:,} loci; in {out}", quiet)
