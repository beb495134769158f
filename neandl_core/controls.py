"""Is it real? A finished train run beside its controls: the leaking split, shuffled labels, baselines.

Labels are shuffled by locus: whole loci change label, so that neighbouring and overlapping examples keep theirs in
common, as in the data. What a model still reaches then it owes to chance, or under a split that leaks to memory. Of
reads, whose loci hold both classes, each read is a molecule of its own; labels are shuffled within loci.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.baselines import NAMES, fit_baselines
from neandl_core.config import LEAKY, ControlSettings, TrainSettings
from neandl_core.control_verdict import Facts, judge
from neandl_core.dataset import Dataset, load_dataset
from neandl_core.errors import InputError, SettingsError
from neandl_core.experiment import Parts, split_parts
from neandl_core.files import read_json
from neandl_core.fitting import SOLVING_COST, fit_cost, held_out_probabilities
from neandl_core.metrics import auc, locus_auc_draws, percentile_interval, score
from neandl_core.recording import Run, require_run
from neandl_core.runs import read_summary
from neandl_core.schemas import CHROMOSOMES, CONTROLS, PREDICTIONS, check_table

IN_THE_RUN, HERE = "in the run", "here"
_MODEL = "model"
_TRIES = 100


@dataclass(frozen=True)
class TrainedRun:
    """A finished train run and what it was made of."""

    folder: Path
    dataset: Dataset
    settings: TrainSettings
    summary: dict[str, Any]


def load_trained(folder: Path) -> TrainedRun:
    """Open a finished train run with its dataset.

    Raises
    ------
    InputError
        If it is none, its dataset is gone or another one, or its settings are of another version.
    """
    require_run(folder, "train")
    summary = read_summary(folder) or {}
    try:
        where = Path(summary["dataset"]["folder"])
        settings = TrainSettings.make(**read_json(folder / "config.json")["settings"])
    except (KeyError, TypeError, SettingsError) as error:
        raise InputError(f"this train run is of another version ({error})", path=folder) from None
    if not where.is_dir():
        # A workspace that was moved or copied keeps dataset and run side by side.
        where = folder.resolve().parent / where.name
    if not where.is_dir():
        raise InputError(
            "the dataset that this model was trained on is gone", path=folder,
            advice=f"It was in {summary['dataset']['folder']}; controls are trained on the same examples.",
        )
    dataset = load_dataset(where)
    if summary["dataset"]["split"] != dataset.description.split:
        raise InputError("the dataset of this run was made again with another split", path=where)
    return TrainedRun(folder, dataset, settings, summary)


def shuffle_by_locus(labels: np.ndarray, loci: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return labels given to other loci; a locus keeps one label for all its examples.

    Parameters
    ----------
    labels, loci : (n,) integer arrays
    groups : (n,) integer array
        Loci exchange labels within a group only, so that each part of a split keeps its loci of either class. A locus
        lies in the group of its first example.
    rng
        Source of the shuffling.

    Returns
    -------
    (n,) int8 array. Where loci hold both classes, labels are exchanged within each locus instead.
    """
    _, first, members = np.unique(loci, return_index=True, return_inverse=True)
    of_locus = labels[first]
    if (of_locus[members] != labels).any():
        order = np.lexsort((rng.random(len(labels)), members))
        shuffled = np.empty(len(labels), np.int8)
        shuffled[np.argsort(members, kind="stable")] = labels[order]
        return shuffled
    given = of_locus.copy()
    for group in np.unique(groups[first]):
        here = np.flatnonzero(groups[first] == group)
        given[here] = of_locus[rng.permutation(here)]
    return given[members].astype(np.int8)


class _Controls:
    """The work of one run: rows of a table, one after the other."""

    def __init__(self, trained: TrainedRun, settings: ControlSettings, run: Run) -> None:
        self.trained, self.settings, self.run = trained, settings, run
        self.dataset = trained.dataset
        self.retrain = trained.settings.model_copy(update={"threads": settings.threads, "device": settings.device})
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.total, self.done = 1.0, 0.0

    def advance(self, count: float, message: str) -> None:
        self.done += count
        self.run.progress(min(round(self.total), round(self.done)), max(1, round(self.total)), message)

    def cost(self, parts: Parts) -> float:
        return fit_cost(len(parts.train), len(parts.validation), len(parts.test), self.retrain)

    def train(self, parts: Parts, name: str, labels: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """Train the model anew and return its probabilities on the test rows."""
        settings = self.retrain.model_copy(update={"seed": (self.retrain.seed + seed) % 2**32})
        probabilities, fit = held_out_probabilities(
            self.dataset, parts.train, parts.validation, parts.test, settings, labels=labels, name=name,
            record=self.run.metric, advance=self.advance,
        )
        self.notes += [note for note in fit.notes if note not in self.notes]
        return probabilities

    def draws(self, parts: Parts, labels: np.ndarray, answers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return AUCs on the draws that the train run's own intervals come from."""
        loci = self.dataset.examples["locus"].to_numpy()[parts.test]
        rng = np.random.default_rng([self.trained.settings.seed, 17])
        return locus_auc_draws(labels[parts.test], answers, loci, self.settings.bootstrap_samples, rng)

    def row(
        self, name: str, kind: str, parts: Parts, labels: np.ndarray, answer: np.ndarray, draws: np.ndarray,
        trained: str = HERE,
    ) -> dict[str, Any]:
        """Add a row to the table of controls and return it."""
        low, high = percentile_interval(draws)
        measured = score(labels[parts.test], answer)
        found = {
            "name": name, "kind": kind, "split": parts.split, "auc": measured["auc"], "low": low, "high": high,
            "accuracy": measured["accuracy"], "examples": len(parts.test),
            "loci": int(self.dataset.examples["locus"].iloc[parts.test].nunique()), "trained": trained,
        }
        self.rows.append(found)
        self.run.log(f"{name}: AUC {measured['auc']:.3f} [{low:.3f}, {high:.3f}]")
        return found


def run_controls(trained: TrainedRun, settings: ControlSettings, run: Run) -> dict[str, Any]:
    """Train the controls of a run, write `controls.tsv` and `chromosomes.tsv`, and return the summary.

    Parameters
    ----------
    trained
        The run that is checked, from `load_trained`.
    settings
        How many shuffles, and how intervals are made.
    run
        The run at work; tables go to `run.results`.

    Raises
    ------
    InputError
        If the run's predictions do not belong to its dataset, or shuffled labels leave a part with one class.
    """
    began = time.time()
    work = _Controls(trained, settings, run)
    described, labels = trained.dataset.description, trained.dataset.labels
    held, leaking = _splits(trained, work.notes)
    judged = held or leaking
    own_is_leaking = described.split in LEAKY
    needs = [judged] * settings.shuffles + ([held] if held and own_is_leaking else [])
    stored = trained.summary["controls"].get(leaking.split) if leaking and not own_is_leaking else None
    if leaking and held:
        needs += [leaking] * (1 if own_is_leaking or stored else 2)
    work.total = sum(work.cost(parts) for parts in needs) + 2 * SOLVING_COST
    own = _own_probabilities(trained, split_parts(trained.dataset, "split", described.split))

    answer = own if not (held and own_is_leaking) else work.train(held, f"held out: {held.split} split")
    compared = _with_baselines(work, judged, answer)
    best, difference, of_model = _against_best(work, judged, labels, compared)
    leaking_auc = _leaking(work, leaking, own if own_is_leaking else None, stored) if held and leaking else math.nan
    if not held:
        leaking_auc = of_model["auc"]
    shuffled = [_shuffled(work, judged, number) for number in range(settings.shuffles)]
    leaking_shuffled = _shuffled(work, leaking, settings.shuffles, "leaking") if held and leaking else math.nan
    chromosomes = _per_chromosome(work, judged, labels, compared, best)
    judgement = judge(Facts(
        split=held.split if held else "", auc=of_model["auc"], low=of_model["low"], high=of_model["high"],
        loci=of_model["loci"], shuffled=shuffled if held else (),
        leaking_split=leaking.split if leaking else "", leaking_auc=leaking_auc,
        leaking_shuffled=leaking_shuffled if held else float(np.mean(shuffled)),
        copies=_copies(trained.dataset.folder, leaking.split if leaking else ""),
        baseline=NAMES.get(best, ""),
        baseline_auc=auc(labels[judged.test], compared[best]) if best else math.nan,
        difference=difference,
        chromosomes=[
            (row.contig, row.auc, row.low, row.high) for row in chromosomes.itertuples()
        ],
        unit=described.kind, simulated=described.simulated,
    ))
    table = pd.DataFrame(work.rows)
    check_table(table, CONTROLS, "controls").to_csv(run.results / "controls.tsv", sep="\t", index=False)
    check_table(chromosomes, CHROMOSOMES, "chromosomes").to_csv(
        run.results / "chromosomes.tsv", sep="\t", index=False
    )
    return {
        "model": {
            "run": str(trained.folder.resolve()), "preset": trained.settings.preset,
            "dataset": str(trained.dataset.folder.resolve()), "kind": described.kind,
        },
        "simulated": described.simulated,
        "split": judged.split, "held_out": held is not None,
        "test": {name: of_model[name] for name in ("auc", "low", "high", "accuracy", "examples", "loci")},
        "baseline": {"name": best, "difference": difference[0], "difference_ci": list(difference[1:])},
        "shuffled": _power(shuffled, of_model),
        "leaking": {"split": leaking.split, "auc": leaking_auc, "shuffled_auc": leaking_shuffled} if leaking else None,
        "verdict": judgement.as_dict(),
        "notes": work.notes,
        "seconds": time.time() - began,
    }


def _splits(trained: TrainedRun, notes: list[str]) -> tuple[Parts | None, Parts | None]:
    """Return the parts under the split that holds loci out, and under the one that leaks; None if there is none."""
    described = trained.dataset.description
    found: dict[bool, Parts] = {}
    for column, split in (("split", described.split), ("comparison_split", described.comparison_split)):
        if (split in LEAKY) in found:
            continue
        try:
            found[split in LEAKY] = split_parts(trained.dataset, column, split)
        except InputError as error:
            notes.append(f"No control under the {split} split: {error}")
    return found.get(False), found.get(True)


def _own_probabilities(trained: TrainedRun, parts: Parts) -> np.ndarray:
    """Return what the run's model said of its test rows."""
    path = trained.folder / "predictions.parquet"
    try:
        stored = check_table(pd.read_parquet(path), PREDICTIONS, "predictions")
    except (OSError, ValueError) as error:
        raise InputError(f"the predictions cannot be read ({type(error).__name__})", path=path) from None
    labels = trained.dataset.labels[parts.test]
    if not (np.array_equal(stored["example"], parts.test) and np.array_equal(stored["label"], labels)):
        raise InputError(
            "these predictions are of other examples than the dataset's test part", path=path,
            advice="The dataset was made again since; train again.",
        )
    return stored["probability"].to_numpy()


def _with_baselines(work: _Controls, parts: Parts, answer: np.ndarray) -> dict[str, np.ndarray]:
    """Return the model's answer and those of the baselines, fitted as in the train run."""
    work.advance(0, "Trivial models")
    baselines = fit_baselines(
        work.dataset, parts.train, parts.test, np.random.default_rng([work.trained.settings.seed, 19]),
        with_kmers=work.trained.settings.preset != "logistic",
    )
    work.advance(SOLVING_COST, "Trivial models")
    return {_MODEL: answer, **{one.name: one.probabilities for one in baselines}}


def _against_best(
    work: _Controls, parts: Parts, labels: np.ndarray, compared: dict[str, np.ndarray]
) -> tuple[str, tuple[float, float, float], dict[str, Any]]:
    """Add the rows of model and baselines; return the best baseline, the model's lead over it, and the model's row."""
    work.advance(0, "Resampling loci")
    draws = work.draws(parts, labels, compared)
    work.advance(SOLVING_COST, "Resampling loci")
    trained = IN_THE_RUN if work.dataset.description.split == parts.split else HERE
    of_model = work.row(work.trained.settings.preset, _MODEL, parts, labels, compared[_MODEL], draws[_MODEL], trained)
    areas = {}
    for name, answer in compared.items():
        if name != _MODEL:
            row = work.row(NAMES[name], "baseline", parts, labels, answer, draws[name])
            # Quality tells sequencers apart and is a warning, not a rival.
            if name != "quality" and not math.isnan(row["auc"]):
                areas[name] = row["auc"]
    if not areas:
        return "", (math.nan,) * 3, of_model
    best = max(areas, key=areas.__getitem__)
    low, high = percentile_interval(draws[_MODEL] - draws[best])
    return best, (of_model["auc"] - areas[best], low, high), of_model


def _leaking(
    work: _Controls, parts: Parts, own: np.ndarray | None, stored: dict[str, Any] | None
) -> float:
    """Add the row of the model under the split that leaks, from the run if it has it; return its AUC."""
    name, labels = f"{work.trained.settings.preset}, {parts.split} split", work.dataset.labels
    if stored is not None:
        test = stored["test"]
        low, high = test["auc_ci"]
        work.rows.append({
            "name": name, "kind": "leaking split", "split": parts.split, "auc": test["auc"], "low": low, "high": high,
            "accuracy": test["accuracy"], "examples": test["n"], "loci": test["loci"], "trained": IN_THE_RUN,
        })
        return math.nan if test["auc"] is None else test["auc"]
    answer = work.train(parts, f"{parts.split} split") if own is None else own
    draws = work.draws(parts, labels, {name: answer})[name]
    row = work.row(name, "leaking split", parts, labels, answer, draws, HERE if own is None else IN_THE_RUN)
    return row["auc"]


def _shuffled(work: _Controls, parts: Parts, number: int, kind: str = "") -> float:
    """Train on shuffled labels under a split, add the row, and return the AUC on the equally shuffled test part."""
    rng = np.random.default_rng([work.settings.seed, 41, number])
    loci = work.dataset.examples["locus"].to_numpy()
    groups = np.zeros(len(loci), np.int8)
    if parts.split not in LEAKY:
        groups[parts.test] = 1
    for _ in range(_TRIES):
        labels = shuffle_by_locus(work.dataset.labels, loci, groups, rng)
        if len(np.unique(labels[parts.train])) == 2:
            break
    else:
        raise InputError(
            f"shuffled labels leave the train part with one class under the {parts.split} split",
            path=work.dataset.folder, advice="There are too few loci to shuffle.",
        )
    name = f"labels shuffled, {parts.split} split" if kind else f"labels shuffled, run {number + 1}"
    answer = work.train(parts, name, labels, seed=number + 1)
    draws = work.draws(parts, labels, {name: answer})[name]
    return work.row(name, f"shuffled {kind}".strip(), parts, labels, answer, draws)["auc"]


def _per_chromosome(
    work: _Controls, parts: Parts, labels: np.ndarray, compared: dict[str, np.ndarray], best: str
) -> pd.DataFrame:
    """Return the table of the test part's chromosomes."""
    examples = work.dataset.examples.iloc[parts.test]
    contigs, of_test = examples["contig"].to_numpy(str), labels[parts.test]
    rows = []
    for contig in sorted(set(contigs), key=_chromosome_order):
        here = np.flatnonzero(contigs == contig)
        loci = examples["locus"].to_numpy()[here]
        draws = locus_auc_draws(
            of_test[here], {_MODEL: compared[_MODEL][here]}, loci, work.settings.bootstrap_samples,
            np.random.default_rng([work.settings.seed, 43]),
        )
        low, high = percentile_interval(draws[_MODEL])
        measured = score(of_test[here], compared[_MODEL][here])
        rows.append({
            "contig": contig, "examples": len(here), "ones": measured["ones"], "loci": len(np.unique(loci)),
            "auc": measured["auc"], "low": low, "high": high, "accuracy": measured["accuracy"],
            "baseline_auc": auc(of_test[here], compared[best][here]) if best else math.nan,
        })
    return pd.DataFrame(rows)


def _chromosome_order(name: str) -> tuple[int, int, str]:
    bare = name.removeprefix("chr")
    return (0, int(bare), "") if bare.isdecimal() else (1, 0, bare)


def _power(shuffled: list[float], of_model: dict[str, Any]) -> dict[str, Any]:
    """Return what shuffled runs reach by chance, and the AUC from which these loci could have told signal from it."""
    known = [area for area in shuffled if not math.isnan(area)]
    return {
        "runs": len(shuffled), "aucs": shuffled,
        "mean": float(np.mean(known)) if known else None,
        "range": [min(known), max(known)] if known else None,
        "detectable_auc": 0.5 + of_model["auc"] - of_model["low"],
    }


def _copies(folder: Path, split: str) -> float:
    """Return the share of test examples that overlap training ones under a split, from the audit; NaN if unknown."""
    if not (folder / "summary.json").exists():
        return math.nan
    summary = read_json(folder / "summary.json")
    for audit in (summary.get("audit") or {}, summary.get("comparison_audit") or {}):
        if audit.get("split") == split:
            return float(audit["overlap_150"])
    return math.nan
