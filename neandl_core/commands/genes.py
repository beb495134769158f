"""`genes`: a trained model over every gene of a list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import GeneSettings
from neandl_core.files import require_file
from neandl_core.recording import Run, require_run


def genes(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished `train` run on windows.")],
    gene_list: Annotated[Path, typer.Option("--genes", help='Gene list, rows of "chr:start-end SYMBOL".')],
    reference: Annotated[Path, typer.Option("--reference", help="Genome of the genes' positions, FASTA or 2bit.")],
    out: Out,
    maps: Annotated[Path | None, typer.Option("--maps", help="Folder of published maps, BED files.")] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Call a gene introgressed from here on.")] = 0.5,
    max_windows_per_gene: Annotated[
        int | None, typer.Option("--max-windows-per-gene", help="Spread so many windows over a long gene; all if none.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Score every gene of a list with a trained model, and set published maps beside the scores.

    Example: python -m neandl_core genes run --genes gene_ids.txt --reference hg19.fa --maps maps --out genes
    """
    settings = GeneSettings.make(
        threshold=threshold, max_windows_per_gene=max_windows_per_gene, device=device, threads=threads, seed=seed
    )
    require_run(run_folder, "train")
    inputs = [run_folder, require_file(gene_list, "gene list"), require_file(reference, "genome")]
    with progress_bar(quiet) as bar, Run(out, "genes", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.genes import score_genes

        result = score_genes(run_folder, gene_list, reference, maps, settings, run.progress)
        result.genes.to_csv(run.results / "genes.tsv", sep="\t", index=False)
        result.track.to_parquet(run.results / "track.parquet", index=False)
        result.evidence.to_csv(run.results / "evidence.tsv", sep="\t", index=False)
        run.summarise(result.summary)
    summary = result.summary
    skipped = sum(summary["skipped"].values())
    say(
        f"{summary['scored']:,} of {summary['genes']:,} genes scored, {summary['predicted']:,} called introgressed, "
        f"{skipped:,} not scored; in {out}.", quiet,
    )
