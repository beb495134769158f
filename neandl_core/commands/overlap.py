"""`overlap`: whether introgressed segments avoid genes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import OverlapSettings
from neandl_core.files import require_file
from neandl_core.recording import Run
from neandl_core.workspace import is_simulated


def overlap(
    segments: Annotated[Path, typer.Option("--segments", help="Introgressed segments, BED.")],
    gene_table: Annotated[Path, typer.Option("--genes", help="Gene table: list, BED, GTF, GFF3, refGene, parquet.")],
    sizes: Annotated[Path, typer.Option("--sizes", help="Chromosome sizes: chrom.sizes, or the genome's .fai.")],
    out: Out,
    permutations: Annotated[int, typer.Option("--permutations", help="Random placements.")] = 1000,
    null: Annotated[
        str, typer.Option("--null", help="rotation (piles of segments stay together), mask, or uniform.")
    ] = "rotation",
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", help="BED of where a segment could have been seen; may be given several times."),
    ] = None,
    merged: Annotated[
        bool, typer.Option("--merged/--raw", help="Overlapping segments as one locus, or each by itself.")
    ] = False,
    merge_genes: Annotated[
        bool, typer.Option("--merge-genes", help="Isoforms of a gene as one; else each distinct row of the table.")
    ] = False,
    no_compare: Annotated[
        bool, typer.Option("--no-compare", help="Leave out the naive placement that is run for comparison.")
    ] = False,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Ask whether segments meet fewer genes than random placements of them do, and whether that can be believed.

    Example: python -m neandl_core overlap --segments introgressed.bed --genes genes.gtf --sizes chrom.sizes
    --mask introgressed.bed --mask depleted.bed --permutations 1000 --out overlap
    """
    settings = OverlapSettings.make(
        null=null, merged=merged, merge_genes=merge_genes, compare=not no_compare, permutations=permutations,
        threads=threads, seed=seed,
    )
    masks = tuple(require_file(path, "BED file") for path in mask or ())
    inputs = [
        require_file(segments, "BED file"), require_file(gene_table, "gene table"),
        require_file(sizes, "file of chromosome sizes"), *masks,
    ]
    with progress_bar(quiet) as bar, Run(out, "overlap", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.overlap import overlap_test

        result = overlap_test(segments, gene_table, sizes, settings, masks, run.progress)
        result.statistics.to_csv(run.results / "statistics.tsv", sep="\t", index=False)
        result.placements.to_csv(run.results / "placements.tsv.gz", sep="\t", index=False)
        run.summarise({"simulated": is_simulated(segments), **result.summary})
    say(f"{result.summary['sentence']} {result.summary['naive_sentence']} In {out}.", quiet)
