"""One `train` run, from dataset folder to verdict: model, baselines, and the same again under the other split."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neandl_core.baselines import fit_baselines
from neandl_core.calibration import Calibration, fit_calibration, save_calibration
from neandl_core.config import TrainSettings
from neandl_core.dataset import PARTS, Dataset
from neandl_core.errors import InputError
from neandl_core.evaluation import LONG_TABLES, SplitResult, evaluate, verdict
from neandl_core.files import read_json, write_json
from neandl_core.fitting import (
    SOLVING_COST,
    Fit,
    check_preset,
    device_of,
    fit_cost,
    fit_model,
    kmer_length,
    learnt_numbers,
    needed_room,
    predict_rows,
)
from neandl_core.models import LOGISTIC_K, NETWORKS
from neandl_core.models.solved import SolvedModel
from neandl_core.models.store import ModelCard, save_model
from neandl_core.prediction import engine_of, resolve_device, torch_threads
from neandl_core.recording import Run
from neandl_core.resources import require_room
from neandl_core.runs import CHECKPOINTS
from neandl_core.schemas import PREDICTIONS, check_table
from neandl_core.training import OPTIMISERS

if TYPE_CHECKING:
    from neandl_core.models.store import Model

DIFFERENT_MACHINES = 0.7
"""AUC of mean base quality from which the classes are said to come from different sequencers."""


@dataclass(frozen=True)
class Parts:
    """Rows of the three parts under one split."""

    split: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class _Work:
    """Progress over everything a run does, in training examples."""

    def __init__(self, run: Run, total: float) -> None:
        self._run, self._total, self._done = run, max(1, round(total)), 0.0

    def advance(self, count: float, message: str) -> None:
        self._done += count
        self._run.progress(min(self._total, round(self._done)), self._total, message)


def run_experiment(dataset: Dataset, settings: TrainSettings, run: Run) -> dict[str, Any]:
    """Train, evaluate and judge; write the model, `evaluation.json`, `predictions.parquet` and `summary.json`.

    Parameters
    ----------
    dataset
        An opened dataset folder.
    settings
        Preset and its settings.
    run
        The run at work; results go to `run.results`.

    Returns
    -------
    dict
        What `summary.json` holds.

    Raises
    ------
    InputError
        If a part of the chosen split is empty, or its training part holds one class only.
    SettingsError
        If the preset does not fit the dataset, or a GPU was asked for and there is none.
    """
    started = time.time()
    described = dataset.description
    check_preset(dataset, settings)
    device = device_of(settings)
    memory, disk = needed_room(dataset, settings)
    require_room(
        run.folder, f"Training {settings.preset} on {len(dataset.codes):,} {described.kind}", disk=disk,
        memory=memory if device == "cpu" else 0, advice="A shorter k or smaller batches need less.",
    )
    plans, notes = _plans(dataset, settings)
    main = plans[0]
    work = _Work(run, sum(_cost(parts, settings) for parts in plans))
    copies = _audited_copies(dataset.folder)
    results, pace, engine, parameters, calibration = [], {}, "", 0, None
    with _together(settings):
        for parts in plans:
            name = "main" if parts is main else parts.split
            fit = _fit(dataset, parts, settings, run, work, name)
            notes.extend(fit.notes)
            probabilities = predict_rows(
                fit.model, dataset, settings, parts.test, work.advance, f"Testing ({name})"
            )
            result = _score(dataset, parts, settings, probabilities, copies.get(parts.split), work, name)
            results.append(result)
            if parts is main:
                pace, engine = fit.pace, engine_of(fit.model)
                parameters = learnt_numbers(fit.model, dataset, settings)
                _save(run.results, dataset, settings, fit.model, parts.split, parameters)
                _save_predictions(run.results, dataset, parts.test, probabilities)
                if described.kind == "reads":
                    calibration = _calibrate(fit.model, dataset, parts, settings, probabilities, work)
                    save_calibration(run.results, calibration)
                if result.test["interval_note"]:
                    notes.append(result.test["interval_note"])
    by_quality = results[0].baselines.get("quality", {}).get("auc", 0.5)
    if by_quality > DIFFERENT_MACHINES:
        notes.append(
            f"Mean base quality alone tells the classes apart (AUC {by_quality:.2f}): they were sequenced on different "
            "machines or in different years. Part of any score may come from that and not from age."
        )
    unit = "windows" if described.kind == "windows" else "reads"
    judged = verdict(results[0], results[1:], unit)
    run.log(judged.sentence)
    summary = {
        "preset": settings.preset,
        "dataset": {
            "folder": str(dataset.folder.resolve()), "kind": described.kind, "split": described.split,
            "comparison_split": described.comparison_split, "simulated": described.simulated,
        },
        "classes": _classes(dataset, main),
        "test": _brief(results[0].test),
        "baselines": {name: _brief(scores) for name, scores in results[0].baselines.items()},
        "controls": {
            result.split: {
                "split": result.split, "test": _brief(result.test),
                "baselines": {name: _brief(scores) for name, scores in result.baselines.items()},
            }
            for result in results[1:]
        },
        "verdict": {"signal": judged.signal, "sentence": judged.sentence},
        **pace,
        "device": device,
        "processes": settings.processes,
        "calibration": calibration and calibration.brief(),
        "parameters": parameters,
        "engine": engine,
        "optimiser": OPTIMISERS[settings.preset],
        "epochs": settings.epochs,
        "seconds": time.time() - started,
        "notes": notes,
    }
    write_json(run.results / "evaluation.json", {
        "verdict": summary["verdict"],
        "splits": [
            {"split": result.split, "main": result is results[0], "test": result.test, "baselines": result.baselines}
            for result in results
        ],
    })
    run.summarise(summary)
    return summary


def follow_experiment(dataset: Dataset, settings: TrainSettings, folder: Path) -> None:
    """Take part in a `train` run as one of the processes that do not write, see `ranks`.

    Parameters
    ----------
    dataset, settings
        As of `run_experiment` in the first process.
    folder
        The run folder, for its checkpoints.
    """
    check_preset(dataset, settings)
    plans, _ = _plans(dataset, settings)
    with _together(settings):
        for place, parts in enumerate(plans):
            fit_model(
                dataset, parts.train, parts.validation, settings, name="main" if place == 0 else parts.split,
                checkpoint=folder / CHECKPOINTS[min(place, 1)],
            )


def _plans(dataset: Dataset, settings: TrainSettings) -> tuple[list[Parts], list[str]]:
    """Return the parts of the main training and of the control, if there is one, and what to note."""
    described = dataset.description
    plans, notes = [split_parts(dataset, "split", described.split)], []
    if settings.controls and described.comparison_split != described.split:
        try:
            plans.append(split_parts(dataset, "comparison_split", described.comparison_split))
        except InputError as error:
            notes.append(f"No control under the {described.comparison_split} split: {error}")
    return plans, notes


@contextmanager
def _together(settings: TrainSettings) -> Iterator[None]:
    """Set the threads; of several processes join the group, and divide the threads among them."""
    if settings.processes == 1:
        with torch_threads(settings.threads):
            yield
        return
    from neandl_core.ranks import joined_group

    device = resolve_device(settings.device)
    threads = settings.threads if device.type == "cuda" else max(1, settings.threads // settings.processes)
    with torch_threads(threads), joined_group(device):
        yield


def split_parts(dataset: Dataset, column: str, split: str) -> Parts:
    """Return the rows of the three parts under one of a dataset's splits.

    Parameters
    ----------
    column
        `split` or `comparison_split`.
    split
        What that split is called.

    Raises
    ------
    InputError
        If a part is empty, or the training part holds one class only.
    """
    rows = {name: dataset.part(name, column) for name in PARTS}
    for name, found in rows.items():
        if not len(found):
            raise InputError(
                f"the {name} part is empty under the {split} split", path=dataset.folder,
                advice="Make the dataset again with another split, other test chromosomes or more loci.",
            )
    present = np.unique(dataset.labels[rows["train"]])
    if len(present) < 2:
        only = dataset.description.classes[int(present[0])]
        raise InputError(
            f"the train part holds one class only ({only}) under the {split} split", path=dataset.folder,
            advice="A model needs both classes to learn from; choose other test chromosomes or another split.",
        )
    return Parts(split, rows["train"], rows["validation"], rows["test"])


def _cost(parts: Parts, settings: TrainSettings) -> float:
    return fit_cost(len(parts.train), len(parts.validation), len(parts.test), settings) + SOLVING_COST


def _fit(dataset: Dataset, parts: Parts, settings: TrainSettings, run: Run, work: _Work, name: str) -> Fit:
    """Train the preset's model under one split, from its last checkpoint if the run was interrupted."""
    checkpoint = run.folder / CHECKPOINTS[0 if name == "main" else 1]
    run.rewind(name, _epochs_kept(checkpoint, name, settings))
    fit = fit_model(
        dataset, parts.train, parts.validation, settings, name=name, record=run.metric, advance=work.advance,
        checkpoint=checkpoint if settings.preset in NETWORKS else None,
    )
    return fit


def _epochs_kept(checkpoint: Path, name: str, settings: TrainSettings) -> int:
    """Return how many epochs of a training need not be done again."""
    if settings.preset not in NETWORKS or not checkpoint.exists():
        return 0
    from neandl_core.checkpoints import load_checkpoint

    kept = load_checkpoint(checkpoint, name, settings)
    return 0 if kept is None else len(kept.epochs)


def _calibrate(
    model: Model, dataset: Dataset, parts: Parts, settings: TrainSettings, test: np.ndarray, work: _Work
) -> Calibration:
    labels = dataset.labels
    validation = predict_rows(model, dataset, settings, parts.validation, work.advance, "Calibrating")
    loci = dataset.examples["locus"].to_numpy()[parts.validation]
    return fit_calibration(labels[parts.validation], validation, labels[parts.test], test, loci)


def _score(
    dataset: Dataset, parts: Parts, settings: TrainSettings, probabilities: np.ndarray, copies: float | None,
    work: _Work, name: str,
) -> SplitResult:
    """Score the model and the baselines on the test rows."""
    test = dataset.examples.iloc[parts.test]
    labels = test["label"].to_numpy()

    def evaluated(answer: np.ndarray, lengths: np.ndarray | None = None) -> dict[str, Any]:
        # The same draws of loci for each, so that intervals differ by the answers alone.
        return evaluate(
            labels, answer, test["locus"].to_numpy(), test["contig"].to_numpy(str), settings.bootstrap_samples,
            np.random.default_rng([settings.seed, 17]), lengths,
        )

    scores = evaluated(probabilities, test["length"].to_numpy() if "length" in test else None)
    work.advance(0, f"Baselines ({name})")
    baselines = fit_baselines(
        dataset, parts.train, parts.test, np.random.default_rng([settings.seed, 19]),
        with_kmers=(settings.preset, settings.k, settings.reverse_complements) != ("logistic", LOGISTIC_K, False),
    )
    of_baselines = {one.name: {**evaluated(one.probabilities), "note": one.note} for one in baselines}
    work.advance(SOLVING_COST, f"Baselines ({name})")
    return SplitResult(parts.split, scores, of_baselines, copies)


def _audited_copies(folder: Path) -> dict[str, float]:
    """Return, by split, the share of test windows that overlap training windows, as the dataset's audit found it."""
    if not (folder / "summary.json").exists():
        return {}
    summary = read_json(folder / "summary.json")
    audits = (summary.get("audit") or {}, summary.get("comparison_audit") or {})
    return {audit["split"]: audit["overlap_150"] for audit in audits if {"split", "overlap_150"} <= audit.keys()}


def _save(
    folder: Path, dataset: Dataset, settings: TrainSettings, model: Model, split: str, parameters: int
) -> None:
    """Write the model, its card, and what tables it has to give."""
    described = dataset.description
    card = ModelCard.make(
        preset=settings.preset, width=described.width, k=kmer_length(dataset, settings), classes=described.classes,
        dataset_kind=described.kind, simulated=described.simulated, parameters=parameters, split=split,
        settings=settings.model_dump(), engine=engine_of(model), optimiser=OPTIMISERS[settings.preset],
    )
    save_model(folder, card, model)
    if isinstance(model, SolvedModel):
        for name, table in model.tables().items():
            table.to_csv(folder / name, sep="\t", index=False)


def _save_predictions(folder: Path, dataset: Dataset, rows: np.ndarray, probabilities: np.ndarray) -> None:
    of_test = dataset.examples.iloc[rows]
    table = pd.DataFrame({
        "example": rows,
        **{
            name: of_test[name].to_numpy() for name in ("label", "locus", "contig", "length")
            if name in of_test
        },
        "probability": probabilities,
    })
    check_table(table, PREDICTIONS, "predictions").to_parquet(folder / "predictions.parquet", index=False)


def _classes(dataset: Dataset, parts: Parts) -> dict[str, Any]:
    labels = dataset.labels
    counts = {
        name: np.bincount(labels[rows], minlength=2).tolist()
        for name, rows in zip(PARTS, (parts.train, parts.validation, parts.test), strict=True)
    }
    share = float(labels.mean())
    return {
        "names": list(dataset.description.classes),
        "counts": counts,
        "share_of_ones": share,
        "sentence": (
            f"{share:.0%} of the examples are {dataset.description.classes[1]}. Classes are not reweighted; AUC, "
            "balanced accuracy and average precision stand beside accuracy, as they know of unequal classes."
        ),
    }


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    """Return the measures without the long tables, which are in evaluation.json."""
    return {name: value for name, value in scores.items() if name not in LONG_TABLES}
