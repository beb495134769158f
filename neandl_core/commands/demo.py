"""`demo`: everything, headless, on simulated data."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import DemoSettings
from neandl_core.recording import Run


def demo(
    out: Out,
    until: Annotated[str | None, typer.Option("--until", help="The last step to do, for example windows.")] = None,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "Demo project",
    quiet: Quiet = False,
) -> None:
    """Run the whole line on simulated data: reads, windows, training, genes, figures, slides.

    Every step is the command of that name and leaves its own folder in --out. Takes a few minutes on two cores.

    Example: python -m neandl_core demo --out demo
    """
    settings = DemoSettings.make(seed=seed, threads=threads, until=until)
    began = time.perf_counter()
    with progress_bar(quiet) as bar, Run(out, "demo", settings, title=title, on_progress=bar) as run:
        from neandl_core.demo import run_demo, write_figures

        summary = run_demo(run.folder, settings, run.progress)
        steps = len(summary["steps"])
        summary["figures"] = write_figures(
            run.folder, run.results / "export", lambda done, total, text: run.progress(steps, steps + 1, text)
        )
        summary["seconds"] = round(time.perf_counter() - began, 1)
        run.summarise(summary)
    for step in summary["steps"]:
        say(f"{step['step']:15} {step['seconds']:6.1f} s  {step['headline']}", quiet)
    say(f"{len(summary['figures'])} figure files, a deck, a report and all tables in {out} "
        f"({summary['seconds']:.0f} s). All simulated.", quiet)
