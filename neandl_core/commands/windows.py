"""`windows`: from a genome and intervals to a dataset with its split audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import (
    Out,
    Quiet,
    Seed,
    SettingsFile,
    Threads,
    Title,
    progress_bar,
    say,
    with_settings_file,
)
from neandl_core.config import MATCHED, MATCHES, WindowSettings
from neandl_core.errors import SettingsError
from neandl_core.files import require_file
from neandl_core.recording import Run
from neandl_core.workspace import is_simulated


def windows(
    context: typer.Context,
    reference: Annotated[Path, typer.Option("--reference", help="Genome: FASTA, plain or compressed, or 2bit.")],
    introgressed: Annotated[Path, typer.Option("--introgressed", help="Introgressed intervals, BED.")],
    out: Out,
    depleted: Annotated[
        Path | None,
        typer.Option("--depleted", help="Depleted intervals, BED; without it matched ones are drawn from the genome."),
    ] = None,
    window: Annotated[int, typer.Option("--window", help="Length of a window in bases.")] = 200,
    step: Annotated[int | None, typer.Option("--step", help="Bases between window starts; the window if none.")] = None,
    k: Annotated[int, typer.Option("--k", help="k-mer length, 1 to 12.")] = 10,
    split: Annotated[
        str, typer.Option("--split", help="chromosome or locus (held out), interval or random (they leak).")
    ] = "chromosome",
    test_chromosomes: Annotated[
        str, typer.Option("--test-chromosomes", help="Chromosomes to hold out, such as 21,22; by size if none.")
    ] = "",
    piece: Annotated[
        int | None, typer.Option("--piece", help="Only the middle so many bases of each merged locus.")
    ] = None,
    max_windows: Annotated[
        int | None, typer.Option("--max-windows", help="Draw so many windows at random, from all of them.")
    ] = None,
    match: Annotated[
        str, typer.Option("--match", help="Without --depleted: in what drawn intervals are like the introgressed ones, "
                          f"any of {', '.join(MATCHES)}; none for nothing.")
    ] = ",".join(MATCHED),
    genes: Annotated[
        Path | None, typer.Option("--genes", help="Gene list, for --match gene-distance.")
    ] = None,
    threads: Threads = 2,
    seed: Seed = 1,
    settings_file: SettingsFile = None,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Cut labelled windows from a genome, split them, and audit what the split leaks.

    Example: python -m neandl_core windows --reference hg19.fa --introgressed intr.bed --depleted depl.bed
    --window 200 --k 10 --split chromosome --test-chromosomes 21,22 --out dataset
    """
    matches = tuple(name.strip() for name in match.split(",") if name.strip() not in ("", "none"))
    if ("gene-distance" in matches) != (genes is not None):
        raise SettingsError("windows: --match gene-distance and a --genes list go together; one of them is missing.")
    if genes is not None and depleted is not None:
        raise SettingsError("windows: --genes serves to draw depleted intervals, and --depleted gives them already.")
    values, said = with_settings_file(context, settings_file, {
        "window": window, "step": step, "k": k, "split": split, "piece": piece, "max_windows": max_windows,
        "threads": threads, "seed": seed, "match": matches,
        "test_chromosomes": tuple(name.strip() for name in test_chromosomes.split(",") if name.strip()),
    })
    settings = WindowSettings.make(**values)
    inputs = [require_file(reference, "genome"), require_file(introgressed, "BED file")]
    if depleted is not None:
        inputs.append(require_file(depleted, "BED file"))
    if genes is not None:
        inputs.append(require_file(genes, "gene list"))
    with progress_bar(quiet) as bar, Run(out, "windows", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.window_dataset import make_window_dataset

        summary = make_window_dataset(
            run.results, reference, introgressed, depleted, settings, genes=genes,
            simulated=is_simulated(reference), progress=run.progress,
        )
        summary["notes"] = [*said, *summary["notes"]]
        run.summarise(summary)
    say(f"{summary['windows']['total']:,} windows in {out}. {summary['audit']['sentence']}", quiet)
