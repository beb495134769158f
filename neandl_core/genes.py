"""From windows to genes: one probability per gene, with the evidence that speaks for or against it.

How windows become a probability is in `gene_scores.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import GeneSettings
from neandl_core.dataset import load_dataset
from neandl_core.errors import InputError
from neandl_core.gene_agreement import agreement, join_published, panel, read_published
from neandl_core.gene_calls import FDR_METHOD, HeldOut, calibrated, held_out, q_values
from neandl_core.gene_evidence import Evidence
from neandl_core.gene_scores import (
    COMBINATION,
    NOT_SCORED,
    PREDICTED,
    ContigScores,
    Layout,
    join_scores,
    lay_out,
    score_here,
)
from neandl_core.intervals import bare_contig, covered_bases, merge
from neandl_core.io.annotation import MERGE_RULE, GeneList
from neandl_core.io.gene_tables import read_genes
from neandl_core.io.twobit import open_genome
from neandl_core.models.store import read_card
from neandl_core.recording import Progress, no_progress
from neandl_core.runs import read_summary
from neandl_core.schemas import GENES, check_table

Score = Callable[[Layout, Progress], dict[str, ContigScores]]
"""Gives the windows of every chromosome of a layout their probabilities, and tells of windows done."""


@dataclass(frozen=True)
class GeneResult:
    """All that is known of the genes of one list.

    Attributes
    ----------
    genes
        Table `GENES`, one row per gene, plus `trained_on` (share of the gene that was training sequence),
        `other_places`, the columns of `gene_evidence.Evidence.of`, of `gene_calls.q_values` and
        `gene_calls.calibrated`, and with published predictions `published` and `published_called`.
    track
        One row per scored window: `symbol`, `contig`, `start`, `probability`.
    evidence
        One row per gene and map: `symbol`, `map`, `kind` (`maps.MAP_KINDS`), `share` (of the gene's bases); empty
        without maps.
    segments
        Regions of maps and deserts that touch a gene: `symbol`, `map`, `kind`, `start`, `end`.
    exons
        `symbol`, `contig`, `start`, `end`; empty where the gene table has none.
    summary
        Counts and sentences.
    """

    genes: pd.DataFrame
    track: pd.DataFrame
    evidence: pd.DataFrame
    segments: pd.DataFrame
    exons: pd.DataFrame
    summary: dict[str, Any]


def score_genes(
    run: Path, gene_list: Path, reference: Path, maps: Path | None, settings: GeneSettings,
    progress: Progress = no_progress, published: Path | None = None, score: Score | None = None,
) -> GeneResult:
    """Score every gene of a list with a trained model.

    Parameters
    ----------
    run
        Folder of a finished `train` run on windows.
    gene_list
        Gene table of any format that `io.gene_tables` reads.
    reference
        The genome that the genes' positions belong to.
    maps
        Folder of BED files, each a published map of introgressed segments or deserts; or None.
    published
        Published predictions to set beside the model's; or None.
    score
        Who scores the windows; this process, one chromosome after the other, if None.

    Raises
    ------
    InputError
        If the model was not trained on windows, or a file is unusable, or no gene is on the genome.
    """
    # All inputs first: a bad one should not be found after minutes of scoring.
    listed = read_genes(gene_list)
    rows = None if published is None else read_published(published)
    evidence = None if maps is None else Evidence(maps, progress)
    genome = open_genome(reference)
    card = read_card(run)
    if card.dataset_kind != "windows":
        raise InputError(f"this model was trained on {card.dataset_kind}; genes need one trained on windows", path=run)
    layout = lay_out(listed, genome, card.width, gene_list)
    notes = [*listed.notes, *genome.notes]
    if layout.renamed:
        notes.append(f"Chromosome names of {gene_list.name} and {reference.name} were matched without \"chr\".")
    scores = score_here(layout, run, settings, progress) if score is None else score(layout, progress)
    notes.extend(dict.fromkeys(note for one in scores.values() for note in one.notes))
    table, track = join_scores(layout, scores, settings)
    table, seen_note = _add_trained_on(table, run)
    notes.extend(seen_note)
    trained = read_summary(run) or {}
    known = held_out(run, (trained.get("verdict") or {}).get("signal", ""))
    table, call_notes = _call(table, known, settings)
    notes.extend(call_notes)
    if rows is not None and published is not None:
        table = table.join(join_published(table, rows))
        joined = int(table["published"].notna().sum())
        notes.append(f"{published.name}: {joined:,} of {len(table):,} genes have a published prediction.")
    progress(0, 0, "Comparing with the maps")
    beside, by_map, segments, found = _beside(table, rows, evidence, settings)
    table = table.join(beside)
    notes.extend(found.pop("notes"))
    if found:
        found["panel"] = panel(table)
    check_table(table, GENES, "genes")
    summary = _summary(listed, table, track, run, settings, notes, card.width) | found
    summary["genome"] = {"sequences": len(genome.names), "bases": sum(genome.lengths.values())}
    if rows is not None:
        summary["published"] = {"file": published.name, "rows": len(rows), "called": int(rows["called"].sum())}
    return GeneResult(table, track, by_map, segments, listed.exons, summary)


def _call(table: pd.DataFrame, known: HeldOut | None, settings: GeneSettings) -> tuple[pd.DataFrame, list[str]]:
    """Add calibrated probabilities and q values, and call genes by the rule that the settings name."""
    columns, _, notes = calibrated(table, known)
    rates, said = q_values(table, known, settings.seed)
    table = table.join(columns).join(rates)
    if settings.fdr is not None:
        if rates["q_value"].isna().all():
            raise InputError(
                "a false-discovery rate was asked for, and this model kept no held-out depleted loci to measure it",
                advice="Leave --fdr out, or train on a dataset with more loci.",
            )
        scored = table["windows"] > 0
        called = (table["q_value"] <= settings.fdr).astype(int)
        table["predicted"] = np.where(scored, np.array(PREDICTED)[called], NOT_SCORED)
    return table, [*notes, *said]


def _beside(
    table: pd.DataFrame, rows: pd.DataFrame | None, evidence: Evidence | None, settings: GeneSettings
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the evidence columns, the evidence by map, the regions that touch genes, and what goes to the summary."""
    if evidence is None:
        return (
            pd.DataFrame({"maps": 0}, index=table.index),
            pd.DataFrame(columns=["symbol", "map", "kind", "share"]),
            pd.DataFrame(columns=["symbol", "map", "kind", "start", "end"]), {"notes": []},
        )
    beside = evidence.of(table)
    return beside, evidence.by_map(table), evidence.segments(table), {
        "notes": evidence.notes(), "maps": len(evidence.maps), "half": evidence.half, "noise": evidence.noise(),
        "agreement": agreement(table.join(beside), rows, evidence, settings.seed),
    }


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
        "fdr": settings.fdr, "fdr_method": FDR_METHOD, "calibrated": bool(genes["calibrated"].notna().any()),
        "with_q": bool(genes["q_value"].notna().any()),
        "skipped": {str(reason): int(count) for reason, count in skipped.items()},
        "model": {
            "run": str(run.resolve()), "preset": trained.get("preset"), "test": trained.get("test"),
            "verdict": trained.get("verdict"),
        },
        "notes": notes,
    }
