"""One `train` run, from dataset folder to verdict: model, baselines, and the same again under the other split."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neandl_core.baselines import fit_baselines
from neandl_core.calibration import Calibration, fit_calibration, save_calibration
from neandl_core.config import TrainSettings
from neandl_core.dataset import PARTS, Dataset
from neandl_core.encoding import filled_lengths
from neandl_core.errors import InputError, SettingsError
from neandl_core.evaluation import LONG_TABLES, SplitResult, evaluate, verdict
from neandl_core.files import read_json, write_json
from neandl_core.metrics import score
from neandl_core.models import ENDS, LAYERS_SEEN, LOGISTIC_K, NETWORKS, check_fit, parameter_count
from neandl_core.models.logistic import MOST_EXAMPLES, KmerLogistic, draw_rows, fit_kmer_logistic
from neandl_core.models.store import ModelCard, save_model
from neandl_core.prediction import engine_of, network_probabilities, resolve_device, torch_threads
from neandl_core.recording import Run
from neandl_core.schemas import PREDICTIONS, check_table
from neandl_core.training import OPTIMISERS, train_network

if TYPE_CHECKING:
    from neandl_core.models.store import Model

CONTROL_CHECKPOINT = "checkpoint-control.pt"
DIFFERENT_MACHINES = 0.7
"""AUC of mean base quality from which the classes are said to come from different sequencers."""
_PREDICTION_COST = 0.12
"""Cost of predicting an example, in that of training on it."""
_BASELINE_COST = 25_000
"""Cost of fitting and scoring the baselines of a split, in training examples of a network."""


@dataclass(frozen=True)
class _Parts:
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


def kmer_length(dataset: Dataset, preset: str) -> int:
    """Return the k that a preset uses on a dataset: the dataset's for `bilstm`, 5 for `logistic`, 0 else."""
    if preset not in ("bilstm", "logistic"):
        return 0
    return LOGISTIC_K if preset == "logistic" else dataset.description.k


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
    _check_preset(dataset, settings.preset)
    device = str(resolve_device(settings.device)) if settings.preset in NETWORKS else "cpu"
    main = _parts(dataset, "split", described.split)
    plans, notes = [main], []
    if settings.controls and described.comparison_split != described.split:
        try:
            plans.append(_parts(dataset, "comparison_split", described.comparison_split))
        except InputError as error:
            notes.append(f"No control under the {described.comparison_split} split: {error}")
    work = _Work(run, sum(_cost(parts, settings) for parts in plans))
    copies = _audited_copies(dataset.folder)
    results, pace, engine, calibration = [], {}, "", None
    with torch_threads(settings.threads):
        for parts in plans:
            name = "main" if parts is main else parts.split
            model, facts, said = _train(dataset, parts, settings, device, run, work, name)
            notes.extend(said)
            probabilities = _probabilities(model, dataset, settings.preset, parts.test, work, f"Testing ({name})")
            result = _score(dataset, parts, settings, probabilities, copies.get(parts.split), work, name)
            results.append(result)
            if parts is main:
                pace, engine = facts, engine_of(model)
                save_model(run.results, _card(dataset, settings, model, parts.split), model)
                _save_predictions(run.results, dataset, parts.test, probabilities)
                if described.kind == "reads":
                    calibration = _calibrate(model, dataset, parts, settings.preset, probabilities, work)
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
        "calibration": calibration and calibration.brief(),
        "parameters": _parameters(dataset, settings.preset),
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


def _check_preset(dataset: Dataset, preset: str) -> None:
    described = dataset.description
    if preset == "bilstm" and described.kind == "reads":
        short = any(
            (filled_lengths(dataset.codes[start : start + 65_536]) < described.width).any()
            for start in range(0, len(dataset.codes), 65_536)
        )
        if described.k == 0 or short:
            raise SettingsError(
                "train: bilstm reads the k-mers of full windows, and these are reads "
                f"{'of different lengths' if short else 'without a k-mer length'}. Use cnn-shallow or logistic."
            )
    if preset in ENDS and described.kind != "reads":
        raise SettingsError(f"train: {preset} looks at the ends of reads, and these are windows of a genome.")
    dataset.inputs(LAYERS_SEEN.get(preset, ()))
    check_fit(preset, described.width, kmer_length(dataset, preset))


def _parts(dataset: Dataset, column: str, split: str) -> _Parts:
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
    return _Parts(split, rows["train"], rows["validation"], rows["test"])


def _cost(parts: _Parts, settings: TrainSettings) -> float:
    if settings.preset not in NETWORKS:
        return 2 * _BASELINE_COST
    passes = len(parts.train) * (2 if settings.reverse_complements else 1) + _PREDICTION_COST * len(parts.validation)
    return settings.epochs * passes + _PREDICTION_COST * len(parts.test) + _BASELINE_COST


def _train(
    dataset: Dataset, parts: _Parts, settings: TrainSettings, device: str, run: Run, work: _Work, name: str
) -> tuple[Model, dict[str, float], list[str]]:
    """Train the preset's model under one split; return it, its pace, and what to tell the user."""
    if settings.preset not in NETWORKS:
        return _train_logistic(dataset, parts, settings, run, work, name)
    import torch

    checkpoint = run.folder / ("checkpoint.pt" if name == "main" else CONTROL_CHECKPOINT)
    trained = train_network(
        dataset, parts.train, parts.validation, settings, torch.device(device), name=name, record=run.metric,
        advance=work.advance, prediction_cost=_PREDICTION_COST, checkpoint=checkpoint,
    )
    if name != "main":
        checkpoint.unlink()
    for values in trained.epochs:
        run.log(
            f"{name}: epoch {values['epoch']} of {values['epochs']}, loss {values['train_loss']:.4f}, "
            f"validation accuracy {values['val_accuracy']:.4f}"
        )
    pace = {
        "seconds_per_epoch": trained.seconds_per_epoch, "samples_per_second": trained.samples_per_second,
    }
    return trained.network, pace, trained.notes


def _train_logistic(
    dataset: Dataset, parts: _Parts, settings: TrainSettings, run: Run, work: _Work, name: str
) -> tuple[Model, dict[str, float], list[str]]:
    work.advance(0, f"Fitting ({name})")
    began = time.perf_counter()
    rows = draw_rows(parts.train, np.random.default_rng([settings.seed, 13]))
    labels = dataset.labels
    model = fit_kmer_logistic(dataset.codes[rows], labels[rows])
    seconds = time.perf_counter() - began
    work.advance(_BASELINE_COST, f"Fitting ({name})")
    train = score(labels[rows], model.probabilities(dataset.codes[rows]))
    validation = score(labels[parts.validation], model.probabilities(dataset.codes[parts.validation]))
    run.metric(
        kind="epoch", run=name, epoch=1, epochs=1, train_accuracy=train["accuracy"],
        val_accuracy=validation["accuracy"], val_auc=None if np.isnan(validation["auc"]) else validation["auc"],
        seconds=seconds, samples_per_second=len(rows) / seconds,
    )
    notes = []
    if len(rows) < len(parts.train):
        notes.append(
            f"Fitted ({name}) to {MOST_EXAMPLES:,} of {len(parts.train):,} training examples, drawn at random."
        )
    return model, {"seconds_per_epoch": seconds, "samples_per_second": len(rows) / seconds}, notes


def _probabilities(
    model: Model, dataset: Dataset, preset: str, rows: np.ndarray, work: _Work, message: str
) -> np.ndarray:
    if isinstance(model, KmerLogistic):
        return model.probabilities(dataset.codes[rows])
    return network_probabilities(
        model, dataset.inputs(LAYERS_SEEN.get(preset, ())), rows,
        lambda count: work.advance(count * _PREDICTION_COST, message),
    )


def _calibrate(
    model: Model, dataset: Dataset, parts: _Parts, preset: str, test: np.ndarray, work: _Work
) -> Calibration:
    labels = dataset.labels
    validation = _probabilities(model, dataset, preset, parts.validation, work, "Calibrating")
    loci = dataset.examples["locus"].to_numpy()[parts.validation]
    return fit_calibration(labels[parts.validation], validation, labels[parts.test], test, loci)


def _score(
    dataset: Dataset, parts: _Parts, settings: TrainSettings, probabilities: np.ndarray, copies: float | None,
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
        with_kmers=settings.preset != "logistic",
    )
    of_baselines = {one.name: {**evaluated(one.probabilities), "note": one.note} for one in baselines}
    work.advance(_BASELINE_COST, f"Baselines ({name})")
    return SplitResult(parts.split, scores, of_baselines, copies)


def _audited_copies(folder: Path) -> dict[str, float]:
    """Return, by split, the share of test windows that overlap training windows, as the dataset's audit found it."""
    if not (folder / "summary.json").exists():
        return {}
    summary = read_json(folder / "summary.json")
    audits = (summary.get("audit") or {}, summary.get("comparison_audit") or {})
    return {audit["split"]: audit["overlap_150"] for audit in audits if {"split", "overlap_150"} <= audit.keys()}


def _parameters(dataset: Dataset, preset: str) -> int:
    width, k = dataset.description.width, kmer_length(dataset, preset)
    return parameter_count(preset, width=width, vocabulary=4**k)


def _card(dataset: Dataset, settings: TrainSettings, model: Model, split: str) -> ModelCard:
    described = dataset.description
    return ModelCard.make(
        preset=settings.preset, width=described.width, k=kmer_length(dataset, settings.preset),
        classes=described.classes, dataset_kind=described.kind, simulated=described.simulated,
        parameters=_parameters(dataset, settings.preset), split=split, settings=settings.model_dump(),
        engine=engine_of(model), optimiser=OPTIMISERS[settings.preset],
    )


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


def _classes(dataset: Dataset, parts: _Parts) -> dict[str, Any]:
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
