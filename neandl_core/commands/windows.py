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
    out: Out,
    introgressed: Annotated[
        Path | None, typer.Option("--introgressed", help="Introgressed intervals, BED; or give --maps.")
    ] = None,
    depleted: Annotated[
        Path | None,
        typer.Option("--depleted", help="Depleted intervals, BED; without it matched ones are drawn from the genome."),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option("--maps", help="Folder of published maps: labels are made from them, instead of from BED files."),
    ] = None,
    at_least: Annotated[
        int, typer.Option("--at-least", help="With --maps: introgressed where so many maps found something.")
    ] = 6,
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
    if (introgressed is None) == (maps is None) or (maps is not None and (depleted or genes) is not None):
        raise SettingsError("windows: give either --introgressed (and --depleted or --genes) or --maps.")
    beds = [path for path in (introgressed, depleted) if path is not None]
    inputs = [require_file(reference, "genome"), *(require_file(path, "BED file") for path in beds)]
    if maps is not None:
        inputs.append(maps)
    if genes is not None:
        inputs.append(require_file(genes, "gene list"))
    with progress_bar(quiet) as bar, Run(out, "windows", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.window_dataset import make_window_dataset

        said = []
        if maps is not None:
            introgressed, depleted, said = write_labels(maps, at_least, reference, run.results)
        summary = make_window_dataset(
            run.results, reference, introgressed, depleted, settings, genes=genes,
            simulated=is_simulated(reference), progress=run.progress,
        )
        run.summarise(summary | {"labels": said, "notes": [*said, *summary["notes"]]})
    say(f"{summary['windows']['total']:,} windows in {out}. {summary['audit']['sentence']}", quiet)


def write_labels(maps: Path, at_least: int, reference: Path, folder: Path) -> tuple[Path, Path, list[str]]:
    """Write introgressed.bed and depleted.bed, made from published maps, and return their paths and what was done."""
    from neandl_core.io.twobit import open_genome
    from neandl_core.maps import labels_from_maps

    if at_least < 1:
        raise SettingsError(f"windows: at-least = {at_least} is refused: it should be 1 or more.")
    introgressed, depleted, notes = labels_from_maps(maps, at_least, open_genome(reference).lengths)
    paths = folder / "introgressed.bed", folder / "depleted.bed"
    for path, table in zip(paths, (introgressed, depleted), strict=True):
        table.to_csv(path, sep="\t", header=False, index=False)
    return *paths, notes
