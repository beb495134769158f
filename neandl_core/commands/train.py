"""`train`: from a dataset to a model, its score, its controls and a verdict."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

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
from neandl_core.devices import torchrun_rank
from neandl_core.presets import OPTIONS, PRESETS

_MODELS = "Settings of the model (each preset has some of them)"


def _setting(name: str, *names: str) -> Any:
    """Return the option of a setting, with the explanation that the page gives too."""
    having = [preset for preset, options in OPTIONS.items() if name in options]
    presets = "" if len(having) == len(OPTIONS) else f" Presets: {', '.join(having)}."
    text = (TrainSettings.model_fields[name].description or "") + presets
    return typer.Option(*(names or (f"--{name.replace('_', '-')}",)), help=text, rich_help_panel=_MODELS)


def train(
    context_of_options: typer.Context,
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder made by `windows` or `read-set`.")],
    out: Out,
    preset: Annotated[str, typer.Option("--preset", help=f"The model: {', '.join(PRESETS)}.")] = "",
    epochs: Annotated[int | None, _setting("epochs")] = None,
    batch_size: Annotated[int | None, _setting("batch_size")] = None,
    learning_rate: Annotated[float | None, _setting("learning_rate")] = None,
    k: Annotated[int | None, _setting("k")] = None,
    hidden: Annotated[int | None, _setting("hidden")] = None,
    filters: Annotated[int | None, _setting("filters")] = None,
    l1: Annotated[float | None, _setting("l1")] = None,
    trees: Annotated[int | None, _setting("trees")] = None,
    depth: Annotated[int | None, _setting("depth")] = None,
    leaves: Annotated[int | None, _setting("leaves")] = None,
    vector_size: Annotated[int | None, _setting("vector_size")] = None,
    context: Annotated[int | None, _setting("context")] = None,
    min_count: Annotated[int | None, _setting("min_count")] = None,
    most_examples: Annotated[int | None, _setting("most_examples")] = None,
    reverse_complements: Annotated[
        bool | None, _setting("reverse_complements", "--reverse-complements/--one-strand")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps (a Mac).")] = "auto",
    processes: Annotated[
        int, typer.Option("--processes", help="Processes that share each batch, started by torchrun: one on each GPU.")
    ] = 1,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="bfloat16 on a GPU: faster, scores slightly others. Not for bilstm.")
    ] = False,
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

    All settings of the model are the preset's published ones unless given, here or in a settings file.

    Example: python -m neandl_core train dataset --preset bilstm --epochs 3 --out run
    """
    from neandl_core.dataset import bases_file, load_dataset
    from neandl_core.recording import Run, command_line

    values, notes = with_settings_file(context_of_options, settings_file, {
        "preset": preset, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "k": k,
        "hidden": hidden, "filters": filters, "l1": l1, "trees": trees, "depth": depth, "leaves": leaves,
        "vector_size": vector_size, "context": context, "min_count": min_count, "most_examples": most_examples,
        "reverse_complements": reverse_complements, "device": device, "processes": processes, "bf16": bf16,
        "threads": threads, "seed": seed,
    })
    rank = torchrun_rank()
    if rank is not None:
        values["processes"] = int(os.environ["WORLD_SIZE"])
    if no_controls:
        values["controls"] = False
    settings = TrainSettings.preset_of(values.pop("preset"), **values)
    opened = load_dataset(dataset)
    if settings.processes > 1 and rank is None:
        from neandl_core.ranks import run_together

        raise typer.Exit(run_together(settings.processes, command_line()))
    if rank:
        # The first process writes; the others only take part in its training.
        from neandl_core.experiment import follow_experiment
        from neandl_core.ranks import leave

        follow_experiment(opened, settings, out)
        leave()
    inputs = [dataset / "dataset.json", dataset / "examples.parquet", bases_file(dataset)]
    with progress_bar(quiet) as bar, Run(out, "train", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.experiment import run_experiment

        for note in notes:
            run.log(note)
        summary = run_experiment(opened, settings, run)
    for note in notes:
        say(note, quiet)
    say(f"{summary['verdict']['sentence']} The run is in {out}.", quiet)
    if rank is not None:
        from neandl_core.ranks import leave

        leave()
