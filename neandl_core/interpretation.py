"""One `interpret` run on windows: which positions, k-mers and bases a trained model answers to, on windows held out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neandl_core.attribution import (
    Attributed,
    attributable,
    integrated_gradients,
    kmer_attributions,
    log_odds,
    mean_attributions,
    mutagenesis,
)
from neandl_core.config import InterpretSettings
from neandl_core.dataset import Dataset, load_dataset
from neandl_core.enrichment import RECIPE, apart, kmers_at
from neandl_core.errors import InputError
from neandl_core.importance import (
    Shuffled,
    importance_table,
    important_places,
    model_weights,
    shuffle_bases,
    shuffle_kmers,
)
from neandl_core.metrics import accuracy, auc, confusion
from neandl_core.models import COUNTING
from neandl_core.models.solved import SolvedModel
from neandl_core.models.store import ModelCard, load_stored
from neandl_core.models.trees import IMPORTANCES_FILE
from neandl_core.prediction import resolve_device, taking_threads, torch_threads
from neandl_core.recording import Run
from neandl_core.runs import read_summary
from neandl_core.schemas import ATTRIBUTIONS, check_table

if TYPE_CHECKING:
    from neandl_core.models.store import Model

NOISE = (
    "The model found no evidence of signal, so everything here explains noise: it shows what this model answers to, "
    "and nothing about Neanderthals."
)
WEAK = "Take this with care: the model's signal is weak, or no better than a simple baseline's."
PUBLISHED_K = 10
"""k of the counted k-mers where the model reads bases and the dataset names none."""
_TOP = 20


def held_out(source: Path, dataset_folder: Path | None = None) -> tuple[Dataset, np.ndarray]:
    """Return a train run's dataset and the rows of its test part.

    Parameters
    ----------
    source
        Folder of a finished `train` run.
    dataset_folder
        Where its dataset is, if it was moved.

    Raises
    ------
    InputError
        If the dataset is gone, or is not the one that the model was tested on.
    """
    described = (read_summary(source) or {})["dataset"]
    folder = dataset_folder or Path(described["folder"])
    if not folder.is_dir():
        raise InputError(
            "the dataset that this model was trained on is gone", path=folder,
            advice="Name its folder with --dataset if it was moved; without it no window can be known as held out.",
        )
    dataset = load_dataset(folder)
    predictions = pd.read_parquet(source / "predictions.parquet")
    rows = predictions["example"].to_numpy()
    same = len(dataset.examples) > rows.max(initial=-1) and np.array_equal(
        dataset.labels[rows], predictions["label"].to_numpy()
    ) and np.array_equal(np.sort(rows), dataset.part("test"))
    if not same:
        raise InputError(
            "this is not the dataset that the model was tested on", path=folder, advice="Name that one with --dataset."
        )
    return dataset, rows


def interpret_windows(
    source: Path, run: Run, settings: InterpretSettings, dataset_folder: Path | None = None
) -> dict[str, Any]:
    """Interpret a window model; write its tables to `run.results` and return the summary.

    Parameters
    ----------
    source
        Folder of a finished `train` run on windows.
    run
        The run at work.
    settings
        How many windows, repeats and so on.
    dataset_folder
        Where the dataset is, if it was moved.

    Raises
    ------
    InputError
        If the dataset or the model cannot be used.
    """
    began = time.perf_counter()
    dataset, test = held_out(source, dataset_folder)
    for example in settings.examples:
        if example not in test:
            raise InputError(
                f"row {example} of the dataset is no test window", path=dataset.folder,
                advice=f"Only windows held out are interpreted; the first are {', '.join(map(str, test[:5]))}.",
            )
    card, model = load_stored(source)
    if not isinstance(model, SolvedModel):
        model.to(resolve_device(settings.device))
    trained = read_summary(source) or {}
    rng = np.random.default_rng([settings.seed, 31])
    rows = test if len(test) <= settings.windows else np.sort(rng.choice(test, settings.windows, replace=False))
    work = _Work(run, card, model, settings, len(rows), dataset.codes.shape[1])
    with torch_threads(settings.threads):
        parts = _Parts(dataset, rows, card, model, settings)
        importance, places, rule = _importance(parts, rng, work)
        importance.to_csv(run.results / "importance.tsv", sep="\t", index=False)
        enriched, used, k = _kmers(parts, places, rng, work)
        enriched.to_csv(run.results / "kmers.tsv", sep="\t", index=False)
        examples = _chosen(parts, settings)
        attributed = _attribute(parts, examples, rng, work, run.results)
        work.step(1, "Changing each base")
        mutations = mutagenesis(model, dataset.codes[examples], examples)
        mutations.to_parquet(run.results / "mutations.parquet", index=False)
        _windows_table(parts, examples).to_csv(run.results / "windows.tsv", sep="\t", index=False)
        weighed = model_weights(model, parts.codes)
        if weighed is not None:
            weighed[0].to_csv(run.results / "kmer_weights.tsv", sep="\t", index=False)
    signal = trained["verdict"]["signal"]
    main = importance[importance["unit"] == importance["unit"].iloc[0]]
    summary = {
        "kind": "windows", "simulated": card.simulated,
        "model": {"folder": str(source.resolve()), "preset": card.preset, "split": card.split,
                  "verdict": trained["verdict"], "test_auc": trained["test"].get("auc")},
        "classes": list(card.classes), "width": card.width, "k": k,
        "explains_noise": signal == "none",
        "sentence": NOISE if signal == "none" else _finding(main, places, enriched) + (
            f" {WEAK}" if signal == "weak" else ""
        ),
        "windows": {"test": len(test), "shuffled": len(rows), "apart": used, "loci": int(pd.unique(parts.loci).size)},
        "accuracy": accuracy(confusion(parts.labels, (parts.plain > 0).astype(float))),
        "auc": _number(auc(parts.labels, parts.plain)),
        "repeats": settings.repeats, "block": settings.block, "threshold": settings.threshold,
        "important": {"rule": rule, "unit": str(main["unit"].iloc[0]), "count": len(places),
                      "starts": [int(start) for start in places]},
        "top_positions": [
            {name: _number(row[name]) for name in ("start", "end", "accuracy_lost", "accuracy_spread", "log_loss_lost")}
            for _, row in main.sort_values("log_loss_lost", ascending=False).head(_TOP).iterrows()
        ],
        "top_kmers": enriched.loc[enriched["enriched"] == 1, "kmer"].head(_TOP).tolist(),
        "top_kmers_by_frequency": enriched.sort_values("frequency_rank")["kmer"].head(_TOP).tolist(),
        "kmers": {"tested": len(enriched), "enriched": int(enriched["enriched"].sum())},
        "attribution": attributed and {
            "windows": len(attributed.values), "steps": settings.steps, "unit": attributed.unit,
            "missed": attributed.missed,
        },
        "mutated": [int(example) for example in examples],
        "kmer_weights": weighed and {"meaning": weighed[1], "top": weighed[0]["kmer"].head(_TOP).tolist()},
        "notes": _notes(card, attributed, settings),
        "seconds": {name: round(value, 2) for name, value in work.seconds().items()}
        | {"total": round(time.perf_counter() - began, 2)},
    }
    run.summarise(summary)
    return summary


class _Parts:
    """The windows looked at and the model's plain answers to them."""

    def __init__(
        self, dataset: Dataset, rows: np.ndarray, card: ModelCard, model: Model, settings: InterpretSettings
    ) -> None:
        self.dataset, self.rows, self.card, self.model, self.settings = dataset, rows, card, model, settings
        self.codes = np.ascontiguousarray(dataset.codes[rows])
        examples = dataset.examples.iloc[rows]
        self.labels = examples["label"].to_numpy(np.int8)
        self.loci = examples["locus"].to_numpy()
        self.contigs, self.starts = examples["contig"].to_numpy(str), examples["start"].to_numpy()
        self.plain = self.log_odds(self.codes)

    def log_odds(self, codes: np.ndarray) -> np.ndarray:
        return log_odds(self.model, codes, self.settings.threads)


class _Work:
    """Progress, in answers to a window, and the time of each stage."""

    def __init__(
        self, run: Run, card: ModelCard, model: Model, settings: InterpretSettings, windows: int, width: int
    ) -> None:
        self._run, self._done, self._message = run, 0.0, ""
        # An exchanged k-mer costs a fifth of reading a window; a step of the integral twenty times as much.
        self.kmer_cost = (width - card.k + 1) * settings.repeats / 5 if card.preset == "bilstm" else 0
        self.gradient_cost = 20 * settings.steps
        attributed = min(windows, settings.attributed) * self.gradient_cost if attributable(model) else 0
        stretches = -(-width // settings.block) * settings.repeats
        self._total = max(1, int(windows * (1 + self.kmer_cost + stretches) + attributed + settings.mutated * 600 + 1))
        self._began: dict[str, float] = {}
        self.step(1, "Reading the windows")

    def step(self, cost: float, message: str) -> None:
        """Count work done, and note when each kind of it began."""
        self._done += cost
        self._began.setdefault(message, time.perf_counter())
        self._run.progress(min(self._total, int(self._done)), self._total, message)

    def seconds(self) -> dict[str, float]:
        """Return how long each kind of work took."""
        times = [*self._began.values(), time.perf_counter()]
        return {name: times[index + 1] - times[index] for index, name in enumerate(self._began)}


def _importance(
    parts: _Parts, rng: np.random.Generator, work: _Work
) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Shuffle k-mers, where the model reads them in order, and stretches of bases; return both and the places."""
    settings, tables = parts.settings, []

    def judged(shuffled: Shuffled) -> pd.DataFrame:
        return importance_table(shuffled, parts.labels, parts.loci, np.random.default_rng([settings.seed, 37]))

    if parts.card.preset == "bilstm":
        work.step(0, "Shuffling k-mers")
        with taking_threads(parts.model):
            shuffled = shuffle_kmers(
                parts.model, parts.codes, settings.repeats, rng,
                lambda count: work.step(count * work.kmer_cost, "Shuffling k-mers"),
            )
        tables.append(judged(shuffled))
    work.step(0, "Shuffling stretches of bases")
    tables.append(judged(shuffle_bases(
        parts.log_odds, parts.codes, settings.block, settings.repeats, rng,
        lambda count: work.step(count, "Shuffling stretches of bases"),
    )))
    rows, rule = important_places(tables[0], settings.threshold)
    places = np.unique(np.concatenate([
        np.arange(start, end if tables[0]["unit"].iloc[0] == "bases" else start + 1)
        for start, end in tables[0].loc[rows, ["start", "end"]].to_numpy()
    ])) if len(rows) else np.array([], np.int64)
    return pd.concat(tables, ignore_index=True), places, rule


def _kmers(
    parts: _Parts, places: np.ndarray, rng: np.random.Generator, work: _Work
) -> tuple[pd.DataFrame, int, int]:
    work.step(0, "Counting k-mers")
    k = parts.card.k or min(parts.dataset.description.k or PUBLISHED_K, parts.card.width)
    own = apart(parts.contigs, parts.starts, parts.card.width)
    inside = places[places <= parts.card.width - k]
    table = kmers_at(parts.codes[own], parts.labels[own], parts.loci[own], k, inside)
    return table.assign(enriched=table["enriched"].astype(int)), len(own), k


def _attribute(
    parts: _Parts, examples: np.ndarray, rng: np.random.Generator, work: _Work, folder: Path
) -> Attributed | None:
    """Attribute windows drawn at random, which are averaged, and those looked at singly, which are not."""
    if not attributable(parts.model):
        return None
    work.step(0, "Integrating gradients")
    count = min(len(parts.rows), parts.settings.attributed)
    own = np.sort(rng.choice(len(parts.rows), count, replace=False))
    rows = np.append(parts.rows[own], np.setdiff1d(examples, parts.rows[own]))
    codes = np.ascontiguousarray(parts.dataset.codes[rows])
    every = integrated_gradients(
        parts.model, codes, parts.settings.steps,
        lambda done: work.step(done * work.gradient_cost, "Integrating gradients"),
    )
    attributed = replace(every, values=every.values[:count], difference=every.difference[:count])
    means = mean_attributions(attributed, parts.labels[own])
    means.to_csv(folder / "mean_attributions.tsv", sep="\t", index=False)
    places = attributed.values.shape[1]
    check_table(pd.DataFrame({
        "example": np.repeat(rows, places), "start": np.tile(np.arange(places), len(rows)),
        "attribution": every.values.ravel(),
    }), ATTRIBUTIONS, "attributions").to_parquet(folder / "attributions.parquet", index=False)
    k = parts.card.k or min(parts.dataset.description.k or PUBLISHED_K, parts.card.width)
    kmer_attributions(attributed, codes[:count], k).to_parquet(folder / "kmer_attributions.parquet", index=False)
    return attributed


def _chosen(parts: _Parts, settings: InterpretSettings) -> np.ndarray:
    """Return the rows of the windows to mutate: those asked for, else the surest right answers of each class."""
    if settings.examples:
        return np.array(settings.examples)
    each = [settings.mutated - settings.mutated // 2, settings.mutated // 2]
    ones, zeros = np.flatnonzero(parts.labels == 1), np.flatnonzero(parts.labels == 0)
    surest = [*ones[np.argsort(-parts.plain[ones])][: each[0]], *zeros[np.argsort(parts.plain[zeros])][: each[1]]]
    return parts.rows[surest]


def _windows_table(parts: _Parts, examples: np.ndarray) -> pd.DataFrame:
    table = parts.dataset.examples.iloc[examples]
    answers = parts.log_odds(parts.dataset.codes[examples]).astype(float)
    return pd.DataFrame({
        "example": examples, "contig": table["contig"].to_numpy(), "start": table["start"].to_numpy(),
        "label": table["label"].to_numpy(), "probability": 1 / (1 + np.exp(-answers)), "log_odds": answers,
        "sequence": ["".join("ACGTN"[base] for base in row) for row in parts.dataset.codes[examples]],
    })


def _finding(main: pd.DataFrame, places: np.ndarray, enriched: pd.DataFrame) -> str:
    best = main.loc[main["log_loss_lost"].idxmax()]
    top = enriched.loc[enriched["enriched"] == 1, "kmer"].head(3).tolist()
    if not len(places):
        return (
            "No position stands out: what the model goes by lies anywhere in the window, as with motifs that have no "
            "fixed place."
        )
    what = f"more frequent there than elsewhere: {', '.join(top)}" if top else "no k-mer is more frequent there"
    return f"The model answers most to bases {int(best['start']) + 1} to {int(best['end'])} of the window; {what}."


def _notes(card: ModelCard, attributed: Attributed | None, settings: InterpretSettings) -> list[str]:
    notes = [RECIPE, "Only windows that the model never trained on are interpreted."]
    if card.preset == "bilstm":
        notes.append(
            f"A k-mer is exchanged while the {card.k - 1} that overlap it on either side stay, as in the published "
            f"analysis. No real sequence looks like that; the stretches of {settings.block} bases beside it do."
        )
    if card.preset in COUNTING or card.preset == "word2vec":
        notes.append("This model counts k-mers wherever they stand, so no position can matter more than another.")
    if card.preset == "bag-of-kmers-forest":
        notes.append(
            f"The importance of k-mers over the training windows is in {IMPORTANCES_FILE} of the model's own folder, "
            "too. By impurity no k-mer has less than 0, so noise has some: look at what stands out."
        )
    if attributed is None:
        notes.append("Integrated gradients are made for BiLSTMs, CNNs, word2vec and logistic regression only.")
    elif attributed.missed > 0.1:
        notes.append(
            f"The integrated gradients miss {attributed.missed:.0%} of what they should add up to; more --steps help."
        )
    return notes


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
