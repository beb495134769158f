"""``simulate``: a small project with known truth."""

from __future__ import annotations

from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import SimulateSettings

_DEFAULTS = SimulateSettings()


def simulate(
    out: Out,
    reads: Annotated[int, typer.Option("--reads", help="Records in each of the three BAM files.")] = _DEFAULTS.reads,
    contamination: Annotated[
        float, typer.Option("--contamination", help="Share of modern reads in mixed.bam, 0 to 1.")
    ] = _DEFAULTS.contamination,
    chromosomes: Annotated[int, typer.Option("--chromosomes", help="Chromosomes, 2 to 22.")] = _DEFAULTS.chromosomes,
    chromosome_length: Annotated[
        int, typer.Option("--chromosome-length", help="Bases of each chromosome, in whole thousands.")
    ] = _DEFAULTS.chromosome_length,
    threads: Threads = _DEFAULTS.threads,
    seed: Seed = _DEFAULTS.seed,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Make small inputs with known truth: a genome, introgressed and depleted intervals, genes, three BAM files.

    Everything is simulated and says so; no number in it comes from a real sample. The truth is written beside the
    data (truth.tsv, loci_truth.tsv, gene_truth.tsv, reads_truth.tsv.gz).

    Example: python -m neandl_core simulate --out simulated --seed 7 --contamination 0.1
    """
    settings = SimulateSettings.make(
        seed=seed, reads=reads, contamination=contamination, chromosomes=chromosomes,
        chromosome_length=chromosome_length, threads=threads,
    )
    from neandl_core.recording import Run
    from neandl_core.simulate.project import simulate_project

    with progress_bar(quiet) as bar, Run(out, "simulate", settings, title=title, on_progress=bar) as run:
        summary = simulate_project(run.results, settings, run.progress)
        run.summarise(summary)
    counts = summary["counts"]
    say(
        f"Simulated {counts['bases']:,} bases, {counts['intervals']['introgressed']:,} introgressed and "
        f"{counts['intervals']['depleted']:,} depleted intervals, {counts['genes']:,} genes and 3 x {reads:,} reads "
        f"({summary['contamination']:.1%} of the usable reads of mixed.bam are modern) in {out}.",
        quiet,
    )
