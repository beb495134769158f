"""The whole line on simulated data, headless: every command as a user would run it, then tables and figures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neandl_core.config import DemoSettings, ExportSettings
from neandl_core.errors import NeanDLError, SettingsError
from neandl_core.export.bundle import write_export
from neandl_core.headlines import headline
from neandl_core.recording import Progress, no_progress
from neandl_core.runs import read_summary


@dataclass(frozen=True)
class Step:
    """One command of the demo: its result's folder, its words, what it is called in lists."""

    folder: str
    command: str
    arguments: tuple[str, ...]
    title: str


def steps(seed: int) -> tuple[Step, ...]:
    """Return the demo's commands in order; ``@name`` stands for the folder of an earlier step.

    What lists should show first comes last: the ancient sample, the BiLSTM.
    """
    common = ("--seed", str(seed))
    reads = tuple(
        Step(f"reads-{name}", "reads", (f"@simulated/{name}.bam",), f"Simulated {name} sample")
        for name in ("mixed", "modern", "ancient")
    )
    return (
        Step("simulated", "simulate", common, "Simulated project"),
        *reads,
        Step("read-set", "read-set", (
            "--ancient", "@simulated/ancient.bam", "--modern", "@simulated/modern.bam", "--max-reads", "16000", *common,
        ), "Simulated reads"),
        Step("train-ends", "train", (
            "@read-set", "--preset", "ends-reference", "--epochs", "2", *common,
        ), "Model of simulated reads"),
        Step("classify", "classify", ("@train-ends", "@simulated/mixed.bam", *common), "Simulated mixed sample"),
        Step("windows", "windows", (
            "--reference", "@simulated/reference.fa", "--introgressed", "@simulated/introgressed.bed",
            "--depleted", "@simulated/depleted.bed", "--k", "6", *common,
        ), "Simulated windows"),
        Step("train-logistic", "train", ("@windows", "--preset", "logistic", *common), "Logistic on simulated windows"),
        Step("train-bilstm", "train", (
            "@windows", "--preset", "bilstm", "--epochs", "3", *common,
        ), "BiLSTM on simulated windows"),
        Step("controls", "controls", (
            "@train-bilstm", "--shuffles", "2", "--bootstrap-samples", "300", *common,
        ), "Is it real? BiLSTM on simulated windows"),
        Step("interpret-reads", "interpret", ("@train-ends", "--windows", "600", *common), "What the model of reads "
             "looks at"),
        Step("interpret", "interpret", (
            "@train-bilstm", "--windows", "800", "--repeats", "2", "--attributed", "24", "--steps", "32", "--mutated",
            "4", *common,
        ), "What the BiLSTM looks at"),
        Step("embed", "embed", (
            "@train-bilstm", "--interpretation", "@interpret", *common,
        ), "6-mers of the BiLSTM"),
        Step("genes", "genes", (
            "@train-bilstm", "--genes", "@simulated/genes.tsv", "--reference", "@simulated/reference.fa",
        ), "Simulated genes"),
        Step("overlap", "overlap", (
            "--segments", "@simulated/introgressed.bed", "--genes", "@simulated/genes.tsv",
            "--sizes", "@simulated/reference.fa", "--mask", "@simulated/depleted.bed", *common,
        ), "Simulated segments and genes"),
    )


def run_demo(folder: Path, settings: DemoSettings, progress: Progress = no_progress) -> dict[str, Any]:
    """Run all steps into sub-folders of `folder` and return the summary.

    Parameters
    ----------
    folder
        An existing folder; each step makes its own folder in it.
    settings
        Seed of the simulation and of every model, threads, and the last step.

    Raises
    ------
    SettingsError
        If there is no such last step.
    NeanDLError
        If a step fails; the message is the step's own.
    """
    planned = steps(settings.seed)
    if settings.until is not None:
        names = [step.folder for step in planned]
        if settings.until not in names:
            raise SettingsError(f"demo: there is no step {settings.until!r}; choose one of {', '.join(names)}.")
        planned = planned[: names.index(settings.until) + 1]
    done = []
    for index, step in enumerate(planned):
        progress(index, len(planned) + 1, step.title)
        began = time.perf_counter()
        # A demo that was interrupted goes on with the first step that is not done.
        if not (folder / step.folder / "summary.json").exists():
            run_step(folder, step, settings.threads)
        summary = read_summary(folder / step.folder) or {}
        done.append({
            "step": step.folder, "command": step.command, "seconds": round(time.perf_counter() - began, 2),
            "headline": headline(step.command, summary),
        })
    progress(len(planned), len(planned) + 1, "Drawing figures")
    return {"simulated": True, "seed": settings.seed, "steps": done}


def run_step(folder: Path, step: Step, threads: int) -> None:
    """Run a step as a child process, as a user would; it is stopped with its parent.

    Raises
    ------
    NeanDLError
        If it fails; the message is the step's own.
    """
    words = [str(folder / word[1:]) if word.startswith("@") else word for word in step.arguments]
    arguments = [
        sys.executable, "-m", "neandl_core", step.command, *words, "--out", str(folder / step.folder),
        "--title", step.title, "--threads", str(threads), "--quiet",
    ]
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            # The step stops with the demo: a cancelled demo leaves no child behind.
            process.terminate()
            process.wait()
            raise
    if process.returncode != 0:
        raise NeanDLError(f"The step {step.title} failed: {said.strip() or f'exit status {process.returncode}'}")


def write_figures(source: Path, target: Path, progress: Progress = no_progress) -> list[str]:
    """Write every figure of the demo, a deck and a report to `target` and return the file names.

    Parameters
    ----------
    source
        The demo's folder, its steps done.
    target
        Made here.
    progress
        Told of each file.
    """
    target.mkdir()
    settings = ExportSettings.make(
        formats=("pptx", "pdf", "html"), heading="NeanDL demo project",
        subtitle="Everything on simulated data",
    )
    return list(write_export(target, settings, [source], progress=progress)["files"])
