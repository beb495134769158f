"""The figures of a finished run, by what its command made: for the command `export` and the demo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.errors import InputError
from neandl_core.export.plates import Plate, plate_of_run
from neandl_core.figure_notes import run_note
from neandl_core.figures.alignments import alignment_figure
from neandl_core.figures.controls import forest_figure
from neandl_core.figures.damage import damage_figure, length_figure
from neandl_core.figures.embedding import map_figure
from neandl_core.figures.evidence import agreement_figure
from neandl_core.figures.genes import gene_histogram, gene_track_figure
from neandl_core.figures.interpretation import (
    importance_figure,
    kmer_figure,
    mean_attribution_figure,
    weights_figure,
)
from neandl_core.figures.overlap import overlap_figure
from neandl_core.figures.read_importance import position_figure
from neandl_core.figures.reads import match_figure, reliability_figure, score_histogram, sides_figure
from neandl_core.figures.scores import confusion_figure, threshold_figure
from neandl_core.figures.training import curve_figure, score_figure, score_rows
from neandl_core.figures.windows import audit_figure, gc_figure
from neandl_core.files import read_json
from neandl_core.read_sample import FILE as SAMPLE
from neandl_core.read_sample import ReadSample
from neandl_core.read_view import view_reads
from neandl_core.runs import read_metrics, read_state, read_summary
from neandl_core.schemas import (
    CONTROLS,
    DAMAGE_RATES,
    ENRICHED_KMERS,
    GENES,
    KMER_WEIGHTS,
    LENGTHS,
    MEAN_ATTRIBUTIONS,
    POSITION_IMPORTANCE,
    SCORES,
    read_table,
)

DAMAGE_SCALE = 0.4
"""Upper end of the damage axis, the same for every sample, so that slides compare; higher rates get a higher one."""
MOST_POINTS = 60_000
"""K-mers drawn on a map; of more a random part is."""
EXAMPLE_GENE = "ANK3"
_Made = tuple[str, str, str, go.Figure, pd.DataFrame | None]


def figures_of_run(folder: str | Path) -> list[Plate]:
    """Return the figures of a finished run as plates; of a demo those of its steps, in the order of the work.

    Parameters
    ----------
    folder
        A run folder.

    Raises
    ------
    InputError
        If it holds no finished run, the run makes no figures, or a result is missing.
    """
    folder = Path(folder)
    if not (folder / "state.json").exists():
        raise InputError("this folder holds no run", path=folder, advice="Give the folder that a command wrote.")
    state = read_state(folder)
    if state.command == "demo":
        return _steps_of_demo(folder)
    if state.command not in _MAKERS:
        raise InputError(f"a run of {state.command} has no figures", path=folder)
    if state.state != "done":
        raise InputError(f"this run is not finished ({state.state})", path=folder)
    note = run_note(folder)
    try:
        made = list(_MAKERS[state.command](folder, read_summary(folder) or {}))
    except KeyError as error:
        raise InputError(
            f"the result lacks {error}, as that of another version of NeanDL may", path=folder,
            advice="Run the step again.",
        ) from None
    of = note.title
    return [
        plate_of_run(note, figure, table, title=f"{title}: {of}" if of else title, caption=caption, name=name)
        for name, title, caption, figure, table in made
    ]


def _steps_of_demo(folder: Path) -> list[Plate]:
    order = {command: place for place, command in enumerate(_MAKERS)}
    steps = [
        (order[state.command], path.parent) for path in sorted(folder.glob("*/state.json"))
        if (state := read_state(path.parent)).command in order and state.state == "done"
    ]
    return [plate for _, step in sorted(steps) for plate in figures_of_run(step)]


def _reads(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    rates = read_table(folder / "damage_rates.tsv", DAMAGE_RATES, "damage rates")
    top = max(DAMAGE_SCALE, float(rates["rate"].max(skipna=True)) * 1.08)
    used = summary["reads_used"]
    yield (
        "damage", "Damage", "Share of reference bases read as another base, by distance from either end; bands are "
        "95% intervals.", damage_figure(rates, used, y_max=top, drawn=bool(summary.get("subsample"))), rates,
    )
    lengths = read_table(folder / "lengths.tsv", LENGTHS, "lengths")
    yield "lengths", "Read lengths", "Bases of the reference that each read spans.", length_figure(lengths, used), \
        lengths


def _windows(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    audits = [summary["audit"], summary["comparison_audit"]]
    flat = pd.DataFrame([{k: v for k, v in one.items() if not isinstance(v, dict | list)} for one in audits])
    yield (
        "split-audit", "What the test shares with training", "Windows of the test part that training has seen: the "
        "same place, the same sequence, or a near copy elsewhere.", audit_figure(audits), flat,
    )
    examples = pd.read_parquet(folder / "examples.parquet", columns=["gc", "label"])
    yield (
        "gc", "GC content of the classes", "What any model gets for free.",
        gc_figure(examples["gc"], examples["label"], ("depleted", "introgressed")), None,
    )


def _read_set(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    figure, table = match_figure(pd.read_parquet(folder / "examples.parquet"))
    yield (
        "match", "Are the classes alike?", "Lengths are made equal read by read; GC is not.", figure, table,
    )


def _train(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    rows = score_rows(summary)
    table = pd.DataFrame([{key: getattr(row, key) for key in ("name", "auc", "low", "high", "kind")} for row in rows])
    test = summary["test"]
    yield (
        "scores", "Score and what it must beat", "AUC on test examples; 0.5 is guessing, 1 is perfect. Bars: 95% "
        "intervals by resampling loci.", score_figure(rows, test["n"], summary["preset"]), table,
    )
    records = read_metrics(folder)
    if any("train_loss" in record for record in records):
        yield (
            "curves", "Learning curves", "Left the loss, right the scores.", curve_figure(records),
            pd.DataFrame([record for record in records if record.get("kind") == "epoch"]),
        )
    splits = sorted(read_json(folder / "evaluation.json")["splits"], key=lambda split: not split["main"])
    if test.get("roc") and test["roc"]["threshold"]:
        yield (
            "thresholds", "What every threshold finds", "Left, the further up and left the better; right, the further "
            "up and right.", threshold_figure(splits), None,
        )
    names = summary["classes"]["names"]
    yield (
        "calls", "What was called what", "Test examples by what they are and what they were called, from a "
        "probability of 0.5.", confusion_figure(test["confusion"], names),
        pd.DataFrame(test["confusion"], columns=[f"called {name}" for name in names]).assign(**{"true class": names}),
    )


def _controls(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    table, test = read_table(folder / "controls.tsv", CONTROLS, "controls"), summary["test"]
    yield (
        "controls", "Is it real?", "AUC with 95% intervals by resampling loci. Green: the same model on shuffled "
        "labels, what chance reaches. Orange: a split that leaks.",
        forest_figure(table, f"n = {test['examples']:,} test examples, {test['loci']:,} loci"), table,
    )


def _classify(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    found, scores = summary["contamination"], read_table(folder / "scores.tsv", SCORES, "scores")
    yield (
        "contamination", "Contamination", "Grey: reads by how ancient they look. Lines: the mixture of both classes "
        "that explains them best.", score_histogram(scores, found["estimate"], *found["ci"]), scores,
    )
    sides = {side: damage for side, damage in summary["damage"].items() if damage}
    rates = {
        side: read_table(folder / f"{side}_damage_rates.tsv", DAMAGE_RATES, "damage rates") for side in sides
    }
    single = any(damage["library"] == "single-stranded" for damage in sides.values())
    if rates:
        yield (
            "sides", "Damage of both sides", "They differ because damage is what they were told apart by: this is no "
            "evidence of age.",
            sides_figure(
                rates, {side: damage["reads_used"] for side, damage in sides.items()}, "C>T" if single else "G>A"
            ),
            pd.concat([part.assign(called=side) for side, part in rates.items()], ignore_index=True),
        )
    yield (
        "reliability", "Does a probability mean what it says?", "On reads that the model never saw; on the diagonal "
        "it does.", reliability_figure(
            summary["reliability"]["before"], summary["reliability"]["after"], summary["model"]["held_out"]
        ), pd.DataFrame(summary["reliability"]["after"]),
    )
    if (folder / SAMPLE).exists():
        sample = ReadSample.load(folder / SAMPLE)
        rows, total = sample.draw(0.9, 1.0, 20)
        if len(rows):
            reads, bases = view_reads(sample, rows, single_stranded=single)
            yield (
                "single-reads", "Reads that look ancient", "Each line is one read; where it is pale it equals the "
                "reference.", alignment_figure(reads, bases, total, score="P(ancient)"), reads,
            )


def _interpret(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    if (folder / "read_positions.tsv").exists():
        positions = pd.read_csv(folder / "read_positions.tsv", sep="\t")
        yield (
            "read-positions", "What the model looks at", "Integrated gradients, averaged over reads: what each "
            "position adds to the answer.", position_figure(positions), positions,
        )
        return
    table = read_table(folder / "importance.tsv", POSITION_IMPORTANCE, "importance")
    own = table[table["unit"] == table["unit"].iloc[0]].reset_index(drop=True)
    yield (
        "position-importance", "Which positions matter", "How much worse the model gets when a position is shuffled; "
        "zero means it does not matter.",
        importance_figure(own, "log_loss", summary["windows"]["shuffled"], summary["threshold"]), table,
    )
    if (folder / "mean_attributions.tsv").exists():
        means = read_table(folder / "mean_attributions.tsv", MEAN_ATTRIBUTIONS, "mean attributions")
        yield (
            "integrated-gradients", "What each position adds", "Integrated gradients, averaged. Above zero it speaks "
            f"for {summary['classes'][1]}.", mean_attribution_figure(means, tuple(summary["classes"])), means,
        )
    if (folder / "kmer_weights.tsv").exists():
        weights = read_table(folder / "kmer_weights.tsv", KMER_WEIGHTS, "k-mer importance")
        yield (
            "kmer-weights", "K-mers that weigh most", "Wherever they stand.", weights_figure(weights, "Importance"),
            weights,
        )
    kmers = read_table(folder / "kmers.tsv", ENRICHED_KMERS, "k-mers")
    if len(kmers):
        yield (
            "kmers", "K-mers at important positions", "Where both bars are alike, the k-mer is simply common.",
            kmer_figure(kmers, "frequency"), kmers,
        )


def _embed(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    points = pd.read_parquet(folder / "points.parquet")
    drawn = points
    if len(points) > MOST_POINTS:
        drawn = points.iloc[np.sort(np.random.default_rng(1).choice(len(points), MOST_POINTS, replace=False))]
    axes = None
    if "explained_variance" in summary:
        axes = tuple(f"PC{number} ({share:.0%})" for number, share in enumerate(summary["explained_variance"], 1))
    yield (
        "kmer-map", "Map of k-mers", f"{summary['method'].upper()} fitted to {summary['fitted_to']}.",
        map_figure(drawn, "gc", summary["method"], len(points), axes=axes), points,
    )


def _genes(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    genes, threshold = read_table(folder / "genes.tsv", GENES, "genes"), summary["threshold"]
    scored = genes.dropna(subset=["probability"])
    chosen = next((name for name in scored["symbol"] if name.upper().rpartition("-")[2] == EXAMPLE_GENE), None)
    if chosen is None and len(scored):
        chosen = scored.loc[scored["probability"].idxmax(), "symbol"]
    yield (
        "genes", "All genes", "Probabilities of all scored genes; the line is where a gene is called introgressed.",
        gene_histogram(genes, threshold, chosen), genes,
    )
    agreement = [row for row in summary.get("agreement") or [] if row["auc"] is not None]
    if agreement:
        yield (
            "agreement", "Do the scores agree with the maps?", "Genes between the two groups are left out. Bars: "
            "95%.", agreement_figure(agreement), pd.DataFrame(agreement),
        )
    if chosen is not None:
        row = genes[genes["symbol"] == chosen].iloc[0]
        track = pd.read_parquet(folder / "track.parquet", filters=[("symbol", "==", chosen)])
        if len(track):
            yield (
                f"gene-{chosen}", f"The gene {chosen}", "Each dot is a window over the gene.",
                gene_track_figure(
                    track, threshold, summary["window"], str(row["contig"]),
                    span=(int(row["start"]), int(row["end"])),
                ), track,
            )


def _overlap(folder: Path, summary: dict[str, Any]) -> Iterator[_Made]:
    statistics = pd.read_csv(folder / "statistics.tsv", sep="\t")
    placements = pd.read_csv(folder / "placements.tsv.gz", sep="\t")
    yield (
        "overlap", "Do introgressed segments avoid genes?", f"Blue: {summary['null_text']}. The line is what the real "
        "segments give.", overlap_figure(placements, statistics, "pairs", summary["null"]), placements,
    )


_MAKERS: dict[str, Callable[[Path, dict[str, Any]], Iterator[_Made]]] = {
    "reads": _reads, "read-set": _read_set, "classify": _classify, "windows": _windows, "train": _train,
    "controls": _controls, "interpret": _interpret, "embed": _embed, "genes": _genes, "overlap": _overlap,
}
"""By command, in the order of the work."""
