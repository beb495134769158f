"""`train`: from a dataset to a model, its score, its controls and a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import TrainSettings
from neandl_core.presets import PRESETS


def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder made by `windows` or `read-set`.")],
    preset: Annotated[str, typer.Option("--preset", help=f"The model: {', '.join(PRESETS)}.")],
    out: Out,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the training part.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Examples per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Size of a step.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Threads = 2,
    seed: Seed = 1,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Do not train the same model again under the comparison split.")
    ] = False,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Train a model, score it on the test part beside baselines and a control, and say what the score is worth.

    Epochs, batch size and learning rate are the preset's unless given.

    Example: python -m neandl_core train dataset --preset bilstm --epochs 3 --out run
    """
    from neandl_core.dataset import load_dataset
    from neandl_core.recording import Run

    settings = TrainSettings.preset_of(
        preset, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, device=device, threads=threads,
        seed=seed, controls=not no_controls,
    )
    opened = load_dataset(dataset)
    inputs = [dataset / name for name in ("dataset.json", "examples.parquet", "codes.npy")]
    with progress_bar(quiet) as bar, Run(out, "train", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.experiment import run_experiment

        summary = run_experiment(opened, settings, run)
    say(f"{summary['verdict']['sentence']} The run is in {out}.", quiet)
