"""P(introgressed) of windows over genes, chromosome by chromosome, in one process or as parts of a larger work.

A gene's probability is the mean of P(introgressed) over the windows laid end to end over its locus, windows with N
left out. Its interval comes from blocks of ten neighbouring windows, as neighbours resemble each other.

Chromosomes know nothing of each other, so their scores are the same whoever makes them and in whatever order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from neandl_core.config import GeneSettings
from neandl_core.errors import InputError
from neandl_core.gene_calls import BLOCK_WINDOWS
from neandl_core.intervals import covered_bases, match_contigs
from neandl_core.io.annotation import GeneList
from neandl_core.io.sequences import Genome
from neandl_core.io.twobit import TwoBitGenome
from neandl_core.parts import PARTS_EACH, crew_of, run_parts
from neandl_core.prediction import Predictor, load_model
from neandl_core.recording import Progress
from neandl_core.runs import KEPT
from neandl_core.windows import unknown_runs

PREDICTED = ("not introgressed", "introgressed")
NOT_SCORED = "not scored"
COMBINATION = (
    "mean of P(introgressed) over windows laid end to end over the gene, windows with N left out; 95% interval from "
    f"blocks of {BLOCK_WINDOWS} neighbouring windows"
)
DOING = "Scoring windows over genes"
_BLOCK = 50_000
"""Windows cut from a chromosome at a time."""


@dataclass(frozen=True)
class Layout:
    """Genes on a genome.

    Attributes
    ----------
    genes
        The gene list's table.
    genome
        Where they lie.
    contigs
        Each gene's chromosome by its name in the genome; missing where the genome has none of that name.
    window
        Bases in a window.
    renamed
        Whether names were matched without "chr".
    """

    genes: pd.DataFrame
    genome: Genome | TwoBitGenome
    contigs: pd.Series
    window: int
    renamed: bool

    @property
    def chromosomes(self) -> list[str]:
        """Chromosomes that hold genes, in the genome's order."""
        held = set(self.contigs.dropna())
        return [name for name in self.genome.lengths if name in held]

    def rows_on(self, contig: str) -> np.ndarray:
        """Return the rows of the genes of a chromosome."""
        return np.flatnonzero((self.contigs == contig).to_numpy())

    def expected(self) -> dict[str, int]:
        """Return about how many windows each chromosome will have, for progress and for dividing the work."""
        windows = ((self.genes["end"] - self.genes["start"]) // self.window).clip(lower=1)
        sums = windows.groupby(self.contigs).sum()
        return {name: int(sums[name]) for name in self.chromosomes}


@dataclass(frozen=True)
class ContigScores:
    """A chromosome's windows.

    Attributes
    ----------
    gene
        (windows,) row of the gene that a window lies over.
    start
        (windows,) first base.
    probability
        (windows,) float32.
    reasons
        Why a gene has no window, empty if it has; one for each of `Layout.rows_on`.
    notes
        What the user should know of the device that scored them.
    """

    gene: np.ndarray
    start: np.ndarray
    probability: np.ndarray
    reasons: list[str]
    notes: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write them, so that whoever finds the file finds all of it."""
        half = path.with_name(f".{path.name}.{os.getpid()}")
        with half.open("wb") as handle:
            np.savez(handle, gene=self.gene, start=self.start, probability=self.probability,
                     reasons=np.array(self.reasons, dtype=str), notes=np.array(self.notes, dtype=str))
        os.replace(half, path)

    @classmethod
    def load(cls, path: Path) -> ContigScores:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            texts = (kept[name].tolist() for name in ("reasons", "notes"))
            return cls(kept["gene"], kept["start"], kept["probability"], *texts)


def lay_out(listed: GeneList, genome: Genome | TwoBitGenome, window: int, gene_list: Path) -> Layout:
    """Find each gene's chromosome in a genome.

    Raises
    ------
    InputError
        If no gene is on the genome.
    """
    match = match_contigs(listed.table["contig"].unique(), list(genome.lengths))
    if not match.to_reference:
        raise InputError(
            f"none of its genes lies on a chromosome of {genome.path.name}", path=gene_list,
            advice="Give the genome that the gene positions belong to.",
        )
    return Layout(
        listed.table, genome, listed.table["contig"].map(match.to_reference), window, bool(match.renamed)
    )


def score_contig(
    layout: Layout, contig: str, predictor: Predictor, settings: GeneSettings, advance: Callable[[int], None]
) -> ContigScores:
    """Score the windows over the genes of one chromosome; `advance` is told of windows done."""
    codes = layout.genome.codes(contig)
    rows = layout.rows_on(contig)
    row_of_window, starts, reasons = lay_over_genes(layout.genes.iloc[rows], codes, layout.window, settings)
    probability = np.empty(len(starts), np.float32)
    offsets = np.arange(layout.window)
    noted = len(predictor.notes)
    for begin in range(0, len(starts), _BLOCK):
        block = codes[starts[begin : begin + _BLOCK, None] + offsets]
        probability[begin : begin + len(block)] = predictor.probabilities(block, advance)
    return ContigScores(rows[row_of_window], starts, probability, reasons, predictor.notes[noted:])


def score_here(layout: Layout, run: Path, settings: GeneSettings, progress: Progress) -> dict[str, ContigScores]:
    """Score all chromosomes in this process, with the model of a `train` run."""
    predictor = load_model(run, settings.device, settings.threads, bf16=settings.bf16)
    expected = sum(layout.expected().values())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, expected, DOING)

    return {name: score_contig(layout, name, predictor, settings, advance) for name in layout.chromosomes}


def score_in_parts(
    folder: Path, work: dict[str, str], layout: Layout, settings: GeneSettings, progress: Progress
) -> dict[str, ContigScores]:
    """Score chromosomes side by side, as parts of the run of a folder; those that are done are not done again.

    Parameters
    ----------
    folder
        The run's folder.
    work
        Paths of the model's run (`run`), the gene list (`genes`) and the genome (`reference`), as the parts see them.
    settings
        Given to every part.
    """
    kept = folder / KEPT
    kept.mkdir(exist_ok=True)
    expected = layout.expected()
    places = {name: kept / f"{place}.npz" for place, name in enumerate(layout.chromosomes)}
    todo = {name: expected[name] for name, path in places.items() if not path.exists()}
    crew = crew_of(folder)
    shares = divide_evenly(todo, PARTS_EACH * crew.slots)
    total = sum(expected.values())
    before = total - sum(todo.values())
    run_parts(
        folder, crew, "genes-part",
        [
            {**work, "settings": settings.model_dump(), "contigs": {name: places[name] for name in share}}
            for share in shares
        ],
        [sum(todo[name] for name in share) for share in shares],
        ["--threads", str(settings.threads), "--device", settings.device, "--seed", str(settings.seed)],
        lambda steps: progress(before + steps, total, f"{DOING}, {len(layout.chromosomes)} chromosomes"),
    )
    return {name: ContigScores.load(path) for name, path in places.items()}


def divide_evenly(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """Divide things among at most so many shares of nearly equal size, the largest share first."""
    count = max(1, min(most, len(sizes)))
    shares: list[list[str]] = [[] for _ in range(count)]
    weights = [0] * count
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        lightest = weights.index(min(weights))
        shares[lightest].append(name)
        weights[lightest] += sizes[name]
    order = sorted(range(count), key=lambda place: -weights[place])
    return [shares[place] for place in order if shares[place]]


def join_scores(
    layout: Layout, scores: Mapping[str, ContigScores], settings: GeneSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the gene table with probabilities, and the window track."""
    genes = layout.genes.copy()
    genes["reason"] = ""
    absent = layout.contigs.isna()
    genes.loc[absent, "reason"] = [
        f"chromosome {name} is not in {layout.genome.path.name}" for name in genes.loc[absent, "contig"]
    ]
    tracks = []
    for contig in layout.chromosomes:
        here = scores[contig]
        genes.iloc[layout.rows_on(contig), genes.columns.get_loc("reason")] = here.reasons
        tracks.append(pd.DataFrame({
            "gene": here.gene, "contig": contig, "start": here.start, "probability": here.probability,
        }))
    track = pd.concat(tracks, ignore_index=True)
    genes = pd.concat([genes, combine(track, len(genes))], axis=1)
    scored = genes["windows"] > 0
    called = (genes["probability"] >= settings.threshold).astype(int)
    genes["predicted"] = np.where(scored, np.array(PREDICTED)[called], NOT_SCORED)
    # By symbol, so that one gene's windows can be read from the file without the rest.
    rank = genes["symbol"].rank(method="first").to_numpy()
    track = track.iloc[np.lexsort((track["start"].to_numpy(), rank[track["gene"]]))]
    track.insert(0, "symbol", genes["symbol"].to_numpy()[track["gene"]])
    return genes, track.drop(columns="gene")


def lay_over_genes(
    genes: pd.DataFrame, codes: np.ndarray, window: int, settings: GeneSettings
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return, for the genes of one chromosome, each window's gene (row) and start, and each gene's reason if unscored.

    A gene shorter than a window gets one window around its middle.
    """
    first = genes["start"].to_numpy()
    span = genes["end"].to_numpy() - first
    short = span < window
    first = np.where(short, np.clip(first + span // 2 - window // 2, 0, max(0, len(codes) - window)), first)
    number = np.where(short, 1, span // window)
    outside = genes["end"].to_numpy() > len(codes)
    number[outside] = 0
    stride = np.full(len(genes), window)
    if settings.max_windows_per_gene is not None:
        many = number > settings.max_windows_per_gene
        stride[many] = span[many] // settings.max_windows_per_gene
        number = np.minimum(number, settings.max_windows_per_gene)
    row = np.repeat(np.arange(len(genes)), number)
    within = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    starts = first[row] + within * stride[row]
    run_starts, run_ends = unknown_runs(codes)
    clean = covered_bases(starts, starts + window, run_starts, run_ends) == 0
    left = np.bincount(row[clean], minlength=len(genes))
    reasons = [
        "ends past the end of the chromosome (another genome build?)" if past
        else "" if windows else "every window holds N"
        for past, windows in zip(outside, left, strict=True)
    ]
    return row[clean], starts[clean], reasons


def combine(track: pd.DataFrame, genes: int) -> pd.DataFrame:
    """Return `windows`, `probability`, `low` and `high` of every gene."""
    gene = track["gene"].to_numpy()
    probability = track["probability"].to_numpy(float)
    windows = np.bincount(gene, minlength=genes)
    mean = np.full(genes, np.nan)
    total = np.bincount(gene, weights=probability, minlength=genes)
    mean[windows > 0] = total[windows > 0] / windows[windows > 0]
    position = track.groupby("gene").cumcount().to_numpy()
    blocks = pd.DataFrame({"gene": gene, "block": position // BLOCK_WINDOWS, "probability": probability})
    block_means = blocks.groupby(["gene", "block"])["probability"].mean().groupby("gene")
    error = (block_means.std() / np.sqrt(block_means.size())).reindex(range(genes)).to_numpy()
    return pd.DataFrame({
        "windows": windows, "probability": mean,
        "low": np.clip(mean - 1.96 * error, 0, 1), "high": np.clip(mean + 1.96 * error, 0, 1),
    })
