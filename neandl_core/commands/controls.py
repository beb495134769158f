"""`controls`: whether the score of a train run is real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import ControlSettings


def controls(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished `train` run.")],
    out: Out,
    shuffles: Annotated[
        int, typer.Option("--shuffles", help="Times to train the model on labels shuffled by locus.")
    ] = 3,
    bootstrap_samples: Annotated[
        int, typer.Option("--bootstrap-samples", help="Resamplings of loci behind each interval.")
    ] = 1000,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Set a trained model beside its controls and say whether its score is real.

    Controls are the same model under the split that leaks, on labels shuffled by locus, and the baselines. All
    intervals come from resampling loci.

    Example: python -m neandl_core controls run --shuffles 3 --out controls
    """
    from neandl_core.recording import Run

    settings = ControlSettings.make(
        shuffles=shuffles, bootstrap_samples=bootstrap_samples, device=device, threads=threads, seed=seed
    )
    from neandl_core.controls import load_trained, run_controls
    from neandl_core.dataset import bases_file

    trained = load_trained(run_folder)
    inputs = [run_folder / "predictions.parquet", run_folder / "config.json", bases_file(trained.dataset.folder)]
    with progress_bar(quiet) as bar, Run(out, "controls", settings, inputs, title=title, on_progress=bar) as run:
        summary = run_controls(trained, settings, run)
        run.summarise(summary)
    say(f"{summary['verdict']['sentence']} The controls are in {out}.", quiet)
