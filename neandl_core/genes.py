"""From windows to genes: one probability per gene, with the evidence that speaks for or against it.

A gene's probability is the mean of P(introgressed) over the windows laid end to end over its locus, windows with N
left out. Its interval comes from blocks of ten neighbouring windows, as neighbours resemble each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import GeneSettings
from neandl_core.dataset import load_dataset
from neandl_core.errors import InputError
from neandl_core.intervals import bare_contig, covered_bases, match_contigs, merge
from neandl_core.io.annotation import MERGE_RULE, GeneList, read_bed, read_gene_list
from neandl_core.io.sequences import Genome
from neandl_core.io.twobit import open_genome
from neandl_core.prediction import Predictor, load_model
from neandl_core.recording import Progress, no_progress
from neandl_core.runs import read_summary
from neandl_core.schemas import GENES, check_table
from neandl_core.windows import unknown_runs

PREDICTED = ("not introgressed", "introgressed")
NOT_SCORED = "not scored"
_BLOCK_WINDOWS = 10
_MAP_ENDINGS = (".bed", ".bed.gz", ".bg", ".bg.gz")
MAP_KINDS = ("map", "consensus", "depleted")
"""A published map, regions that several maps agree on, regions without introgression. Only maps are counted."""
COMBINATION = (
    "mean of P(introgressed) over windows laid end to end over the gene, windows with N left out; 95 % interval from "
    f"blocks of {_BLOCK_WINDOWS} neighbouring windows"
)


@dataclass(frozen=True)
class GeneResult:
    """All that is known of the genes of one list.

    Attributes
    ----------
    genes
        Table `GENES`, one row per gene, plus `trained_on` (share of the gene that was training sequence), `maps`
        (maps that touch it) and `other_places`.
    track
        One row per scored window: `symbol`, `contig`, `start`, `probability`.
    evidence
        One row per gene and map: `symbol`, `map`, `kind` (`MAP_KINDS`), `share` (of the gene's bases); empty without
        maps.
    summary
        Counts and sentences.
    """

    genes: pd.DataFrame
    track: pd.DataFrame
    evidence: pd.DataFrame
    summary: dict[str, Any]


def score_genes(
    run: Path, gene_list: Path, reference: Path, maps: Path | None, settings: GeneSettings,
    progress: Progress = no_progress,
) -> GeneResult:
    """Score every gene of a list with a trained model.

    Parameters
    ----------
    run
        Folder of a finished `train` run on windows.
    gene_list
        ``chr:start-end SYMBOL`` rows.
    reference
        The genome that the genes' positions belong to.
    maps
        Folder of BED files, each a published map of introgressed segments or deserts; or None.

    Raises
    ------
    InputError
        If the model was not trained on windows, or a file is unusable, or no gene is on the genome.
    """
    listed = read_gene_list(gene_list)
    genome = open_genome(reference)
    predictor = load_model(run, settings.device, settings.threads)
    kind = predictor.card.dataset_kind
    if kind != "windows":
        raise InputError(f"this model was trained on {kind}; genes need one trained on windows", path=run)
    match = match_contigs(listed.table["contig"].unique(), list(genome.lengths))
    notes = [*listed.notes, *genome.notes]
    if not match.to_reference:
        raise InputError(
            f"none of its genes lies on a chromosome of {reference.name}", path=gene_list,
            advice="Give the genome that the gene positions belong to.",
        )
    if match.renamed:
        notes.append(f"Chromosome names of {gene_list.name} and {reference.name} were matched without \"chr\".")
    table, track = _score(listed, genome, predictor, match.to_reference, settings, progress)
    table, seen_note = _add_trained_on(table, run)
    notes.extend(seen_note)
    table, evidence, map_notes = _add_maps(table, maps, progress)
    notes.extend(map_notes)
    check_table(table, GENES, "genes")
    window = predictor.card.width
    summary = _summary(listed, table, track, run, settings, notes, window)
    summary["genome"] = {"sequences": len(genome.names), "bases": sum(genome.lengths.values())}
    return GeneResult(table, track, evidence, summary)


def _score(
    listed: GeneList, genome: Genome, predictor: Predictor, names: dict[str, str], settings: GeneSettings,
    progress: Progress,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the gene table with probabilities, and the window track."""
    window = predictor.card.width
    genes = listed.table.copy()
    genes["reason"] = ""
    contigs = genes["contig"].map(names)
    absent = contigs.isna()
    genes.loc[absent, "reason"] = [
        f"chromosome {name} is not in {genome.path.name}" for name in genes.loc[absent, "contig"]
    ]
    tracks = []
    expected = int(((genes["end"] - genes["start"]) // window).clip(lower=1)[~absent].sum())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, expected, "Scoring windows over genes")

    for contig in [name for name in genome.lengths if (contigs == name).any()]:
        codes = genome.codes(contig)
        rows = np.flatnonzero((contigs == contig).to_numpy())
        row_of_window, starts, reasons = _lay_over_genes(genes.iloc[rows], codes, window, settings)
        genes.iloc[rows, genes.columns.get_loc("reason")] = reasons
        probability = np.empty(len(starts), np.float32)
        offsets = np.arange(window)
        for begin in range(0, len(starts), 50_000):
            block = codes[starts[begin : begin + 50_000, None] + offsets]
            probability[begin : begin + len(block)] = predictor.probabilities(block, advance)
        tracks.append(pd.DataFrame({
            "gene": rows[row_of_window], "contig": contig, "start": starts, "probability": probability,
        }))
    track = pd.concat(tracks, ignore_index=True)
    genes = pd.concat([genes, _combine(track, len(genes))], axis=1)
    scored = genes["windows"] > 0
    called = (genes["probability"] >= settings.threshold).astype(int)
    genes["predicted"] = np.where(scored, np.array(PREDICTED)[called], NOT_SCORED)
    track.insert(0, "symbol", genes["symbol"].to_numpy()[track["gene"]])
    return genes, track.drop(columns="gene")


def _lay_over_genes(
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


def _combine(track: pd.DataFrame, genes: int) -> pd.DataFrame:
    """Return `windows`, `probability`, `low` and `high` of every gene."""
    gene = track["gene"].to_numpy()
    probability = track["probability"].to_numpy(float)
    windows = np.bincount(gene, minlength=genes)
    mean = np.full(genes, np.nan)
    total = np.bincount(gene, weights=probability, minlength=genes)
    mean[windows > 0] = total[windows > 0] / windows[windows > 0]
    position = track.groupby("gene").cumcount().to_numpy()
    blocks = pd.DataFrame({"gene": gene, "block": position // _BLOCK_WINDOWS, "probability": probability})
    block_means = blocks.groupby(["gene", "block"])["probability"].mean().groupby("gene")
    error = (block_means.std() / np.sqrt(block_means.size())).reindex(range(genes)).to_numpy()
    return pd.DataFrame({
        "windows": windows, "probability": mean,
        "low": np.clip(mean - 1.96 * error, 0, 1), "high": np.clip(mean + 1.96 * error, 0, 1),
    })


def _add_trained_on(genes: pd.DataFrame, run: Path) -> tuple[pd.DataFrame, list[str]]:
    """Add the share of each gene that the model was trained on: there its score is memory, not prediction."""
    genes = genes.assign(trained_on=np.nan)
    try:
        dataset = load_dataset((read_summary(run) or {})["dataset"]["folder"])
    except InputError:
        return genes, ["The dataset of this model is gone, so genes that overlap its training windows are not marked."]
    trained = dataset.examples[dataset.examples["split"] == "train"]
    window = dataset.description.width
    by_contig = {bare_contig(str(name)): rows["start"].to_numpy() for name, rows in trained.groupby("contig")}
    shares = np.zeros(len(genes))
    keys = genes["contig"].map(bare_contig).to_numpy()
    for name, starts in by_contig.items():
        here = np.flatnonzero(keys == name)
        low, high = genes["start"].to_numpy()[here], genes["end"].to_numpy()[here]
        merged_starts, merged_ends, _ = merge(starts, starts + window)
        shares[here] = covered_bases(low, high, merged_starts, merged_ends) / np.maximum(high - low, 1)
    genes["trained_on"] = shares
    touched = int(((shares > 0) & (genes["windows"] > 0)).sum())
    return genes, [
        f"{touched:,} of the scored genes overlap windows that the model was trained on; their score is partly memory."
    ] if touched else []


def _add_maps(
    genes: pd.DataFrame, maps: Path | None, progress: Progress
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Add how many maps touch each gene, and return the share that each map covers."""
    empty = pd.DataFrame({"symbol": [], "map": [], "kind": [], "share": []})
    if maps is None:
        return genes.assign(maps=0), empty, []
    if not maps.is_dir():
        raise InputError("expected a folder of BED files with published maps", path=maps)
    files = sorted(path for path in maps.iterdir() if path.name.lower().endswith(_MAP_ENDINGS))
    if not files:
        raise InputError("there is no BED file in this folder of maps", path=maps)
    keys = genes["contig"].map(bare_contig).to_numpy()
    low, high = genes["start"].to_numpy(), genes["end"].to_numpy()
    pieces = []
    for index, path in enumerate(files):
        progress(index, len(files), f"Reading map {path.name}")
        shares = np.zeros(len(genes))
        for name, rows in read_bed(path).table.groupby("contig"):
            here = np.flatnonzero(keys == bare_contig(str(name)))
            starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
            shares[here] = covered_bases(low[here], high[here], starts, ends) / np.maximum(high[here] - low[here], 1)
        name = _map_name(path)
        pieces.append(pd.DataFrame({
            "symbol": genes["symbol"], "map": name, "kind": map_kind(name), "share": shares,
        }))
    evidence = pd.concat(pieces, ignore_index=True)
    touching = evidence[(evidence["share"] > 0) & (evidence["kind"] == "map")].groupby("symbol").size()
    genes = genes.assign(maps=genes["symbol"].map(touching).fillna(0).astype(int))
    kinds = [map_kind(_map_name(path)) for path in files]
    return genes, evidence, [
        f"{kinds.count('map')} maps were read, and {len(kinds) - kinds.count('map')} files of consensus or depleted "
        "regions, told by their names; a map counts for a gene if it covers a base of it."
    ]


def map_kind(name: str) -> str:
    """Return which of `MAP_KINDS` a file of regions is, from its name, as BED files do not say."""
    plain = name.lower()
    if any(word in plain for word in ("desert", "depl")):
        return "depleted"
    return "consensus" if "at_least" in plain else "map"


def _map_name(path: Path) -> str:
    name = path.name
    for ending in sorted(_MAP_ENDINGS, key=len, reverse=True):
        name = name.removesuffix(ending)
    return name.removesuffix("_regions_merged")


def _summary(
    listed: GeneList, genes: pd.DataFrame, track: pd.DataFrame, run: Path, settings: GeneSettings, notes: list[str],
    window: int,
) -> dict[str, Any]:
    skipped = genes.loc[genes["windows"] == 0, "reason"].value_counts()
    trained = read_summary(run) or {}
    return {
        "simulated": bool(trained.get("dataset", {}).get("simulated", False)),
        "genes": len(genes), "rows": listed.rows, "merge_rule": MERGE_RULE, "combination": COMBINATION,
        "scored": int((genes["windows"] > 0).sum()), "windows": len(track), "window": window,
        "predicted": int((genes["predicted"] == PREDICTED[1]).sum()), "threshold": settings.threshold,
        "skipped": {str(reason): int(count) for reason, count in skipped.items()},
        "model": {
            "run": str(run.resolve()), "preset": trained.get("preset"), "test": trained.get("test"),
            "verdict": trained.get("verdict"),
        },
        "notes": notes,
    }
