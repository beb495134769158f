"""`interpret`: what a trained model answers to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import InterpretSettings
from neandl_core.recording import Run, require_run
from neandl_core.runs import read_summary


def interpret(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished `train` run.")],
    out: Out,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="The model's dataset, if its folder was moved.")
    ] = None,
    windows: Annotated[int, typer.Option("--windows", help="Test windows (or reads) to look at, at most.")] = 10_000,
    repeats: Annotated[int, typer.Option("--repeats", help="Shuffles of each place.")] = 5,
    block: Annotated[int, typer.Option("--block", help="Bases in a stretch that is shuffled as a whole.")] = 10,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Loss of accuracy from which a position is important.")
    ] = 0.01,
    attributed: Annotated[int, typer.Option("--attributed", help="Test windows for integrated gradients.")] = 200,
    steps: Annotated[int, typer.Option("--steps", help="Steps of the integral.")] = 200,
    mutated: Annotated[int, typer.Option("--mutated", help="Windows in which each base is changed.")] = 6,
    examples: Annotated[
        str, typer.Option("--examples", help="Rows of the dataset to mutate instead, as 12,99.")
    ] = "",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Find the positions, k-mers and bases that a model answers to, on examples it never trained on.

    Example: python -m neandl_core interpret run --out interpretation
    """
    from neandl_core.errors import SettingsError

    try:
        rows = tuple(int(word) for word in examples.split(",") if word.strip())
    except ValueError:
        raise SettingsError(f"interpret: --examples takes row numbers such as 12,99, not {examples!r}.") from None
    settings = InterpretSettings.make(
        windows=windows, repeats=repeats, block=block, threshold=threshold, attributed=attributed, steps=steps,
        mutated=mutated, examples=rows, device=device, threads=threads, seed=seed,
    )
    require_run(run_folder, "train")
    kind = (read_summary(run_folder) or {})["dataset"]["kind"]
    with progress_bar(quiet) as bar, Run(out, "interpret", settings, [run_folder], title=title, on_progress=bar) as run:
        if kind == "reads":
            from neandl_core.read_importance import interpret_reads

            summary = interpret_reads(
                run_folder, run, reads=min(2000, settings.windows), seed=settings.seed, threads=settings.threads
            )
            run.summarise(summary)
        else:
            from neandl_core.interpretation import interpret_windows

            summary = interpret_windows(run_folder, run, settings, dataset)
    say(f"{summary.get('sentence', 'Done.')} The tables are in {out}.", quiet)
