"""The whole line on simulated data, headless: every command as a user would run it, then tables and figures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from neandl_core.config import DemoSettings
from neandl_core.errors import NeanDLError
from neandl_core.figures.alignments import alignment_figure
from neandl_core.figures.damage import damage_figure, length_figure
from neandl_core.figures.genes import gene_histogram, gene_track_figure
from neandl_core.figures.overlap import overlap_figure
from neandl_core.figures.print import FORMATS, export_bytes
from neandl_core.figures.reads import score_histogram, sides_figure
from neandl_core.figures.style import mark_simulated
from neandl_core.figures.training import curve_figure, score_figure, score_rows
from neandl_core.figures.windows import audit_figure
from neandl_core.headlines import headline
from neandl_core.read_sample import FILE as SAMPLE
from neandl_core.read_sample import ReadSample
from neandl_core.read_view import view_reads
from neandl_core.recording import Progress, no_progress
from neandl_core.runs import read_metrics, read_summary
from neandl_core.schemas import DAMAGE_RATES, GENES, LENGTHS, SCORES, read_table

GENE = "DEMO-ANK3"
"""The simulated gene that lies in an introgressed locus, as ANK3 does."""


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
            "--ancient", "@simulated/ancient.bam", "--modern", "@simulated/modern.bam", "--max-reads", "20000", *common,
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
        Seed of the simulation and of every model, and threads.

    Raises
    ------
    NeanDLError
        If a step fails; the message is the step's own.
    """
    planned = steps(settings.seed)
    done = []
    for index, step in enumerate(planned):
        progress(index, len(planned) + 1, step.title)
        began = time.perf_counter()
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


def demo_figures(folder: Path) -> Iterator[tuple[str, go.Figure]]:
    """Yield (file name, figure) for every figure of the demo, in the order of the work."""
    for sample in ("ancient", "modern", "mixed"):
        source = folder / f"reads-{sample}"
        used = (read_summary(source) or {})["reads_used"]
        yield f"damage-{sample}", damage_figure(
            read_table(source / "damage_rates.tsv", DAMAGE_RATES, "damage rates"), used, y_max=0.4
        )
        yield f"lengths-{sample}", length_figure(read_table(source / "lengths.tsv", LENGTHS, "lengths"), used)
    yield from _contamination_figures(folder / "classify")
    dataset = read_summary(folder / "windows") or {}
    yield "split-audit", audit_figure([dataset["audit"], dataset["comparison_audit"]])
    for name in ("train-logistic", "train-bilstm", "train-ends"):
        trained = read_summary(folder / name) or {}
        yield f"scores-{name[6:]}", score_figure(score_rows(trained), trained["test"]["n"], trained["preset"])
        records = read_metrics(folder / name)
        if any("train_loss" in record for record in records):
            yield f"curves-{name[6:]}", curve_figure(records)
    statistics = pd.read_csv(folder / "overlap" / "statistics.tsv", sep="\t")
    placements = pd.read_csv(folder / "overlap" / "placements.tsv.gz", sep="\t")
    yield "overlap", overlap_figure(placements, statistics, "pairs", "rotation")
    genes = read_table(folder / "genes" / "genes.tsv", GENES, "genes")
    threshold = (read_summary(folder / "genes") or {})["threshold"]
    yield "genes", gene_histogram(genes, threshold, GENE)
    row = genes[genes["symbol"] == GENE].iloc[0]
    track = pd.read_parquet(folder / "genes" / "track.parquet")
    own = track[track["symbol"] == GENE]
    yield f"gene-{GENE}", gene_track_figure(
        own, threshold, dataset["window"], str(row["contig"]), span=(int(row["start"]), int(row["end"]))
    )


def _contamination_figures(source: Path) -> Iterator[tuple[str, go.Figure]]:
    summary = read_summary(source) or {}
    found = summary["contamination"]
    yield "contamination", score_histogram(
        read_table(source / "scores.tsv", SCORES, "scores"), found["estimate"], *found["ci"]
    )
    rates = {
        side: read_table(source / f"{side}_damage_rates.tsv", DAMAGE_RATES, "damage rates")
        for side, damage in summary["damage"].items() if damage
    }
    yield "contamination-sides", sides_figure(rates, {side: summary["damage"][side]["reads_used"] for side in rates})
    sample = ReadSample.load(source / SAMPLE)
    rows, total = sample.draw(0.9, 1.0, 20)
    yield "single-reads", alignment_figure(*view_reads(sample, rows), total, score="P(ancient)")


def write_figures(source: Path, target: Path) -> list[str]:
    """Write every figure of the demo in every format to `target` and return the file names."""
    target.mkdir()
    written = []
    for name, figure in demo_figures(source):
        marked = mark_simulated(figure)
        for file_format in FORMATS:
            file = target / f"{name}.{file_format}"
            file.write_bytes(export_bytes(marked, file_format))
            written.append(file.name)
    return written
