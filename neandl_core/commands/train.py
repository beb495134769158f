"""`train`: from a dataset to a model, its score, its controls and a verdict."""

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
from neandl_core.config import TrainSettings
from neandl_core.presets import PRESETS


def train(
    context: typer.Context,
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder made by `windows` or `read-set`.")],
    out: Out,
    preset: Annotated[str, typer.Option("--preset", help=f"The model: {', '.join(PRESETS)}.")] = "",
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the training part.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Examples per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Size of a step.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Threads = 2,
    seed: Seed = 1,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Do not train the same model again under the comparison split.")
    ] = False,
    settings_file: SettingsFile = None,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Train a model, score it on the test part beside baselines and a control, and say what the score is worth.

    Epochs, batch size and learning rate are the preset's unless given, here or in a settings file.

    Example: python -m neandl_core train dataset --preset bilstm --epochs 3 --out run
    """
    from neandl_core.dataset import load_dataset
    from neandl_core.recording import Run

    values, notes = with_settings_file(context, settings_file, {
        "preset": preset, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "device": device, "threads": threads, "seed": seed,
    })
    if no_controls:
        values["controls"] = False
    settings = TrainSettings.preset_of(values.pop("preset"), **values)
    opened = load_dataset(dataset)
    inputs = [dataset / name for name in ("dataset.json", "examples.parquet", "codes.npy")]
    with progress_bar(quiet) as bar, Run(out, "train", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.experiment import run_experiment

        for note in notes:
            run.log(note)
        summary = run_experiment(opened, settings, run)
    for note in notes:
        say(note, quiet)
    say(f"{summary['verdict']['sentence']} The run is in {out}.", quiet)
