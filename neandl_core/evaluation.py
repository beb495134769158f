"""What a model's score on the test part is worth: measures with intervals, per chromosome, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neandl_core.baselines import NAMES
from neandl_core.config import LEAKY
from neandl_core.curves import precision_recall_points, roc_points, scores_by_length
from neandl_core.metrics import FEW_LOCI, expected_calibration_error, locus_bootstrap, score

WEAK_AUC = 0.55
"""An AUC whose whole interval is below this is called no signal, even if it excludes 0.5."""
COPIES_SHARE = 0.01
"""From this share of test windows up, overlap with training windows is given as the reason of a high score."""


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    loci: np.ndarray,
    contigs: np.ndarray,
    samples: int,
    rng: np.random.Generator,
    lengths: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the measures of one set of probabilities.

    Parameters
    ----------
    labels, probabilities, loci, contigs
        (n,) arrays of the test part, n at least 1.
    samples
        Bootstrap samples.
    rng
        Source of the bootstrap.
    lengths
        (n,) bases of each example, where these differ.

    Returns
    -------
    dict
        What `metrics.score` returns; `auc_ci`, `accuracy_ci`, `balanced_accuracy_ci`, `ap_ci`, `brier_ci` ([low,
        high], 95%, by loci); `loci`; `interval_note`; `per_chromosome`, `reliability` and, with lengths,
        `by_length` (lists of rows); `roc` and `precision_recall` (`curves`).
    """
    labels = np.asarray(labels)
    spread = locus_bootstrap(labels, probabilities, loci, samples, rng)
    result = score(labels, probabilities)
    result |= {f"{name}_ci": list(interval) for name, interval in spread.intervals.items()}
    result |= {"loci": spread.loci, "interval_note": spread.note}
    rows = []
    for contig in sorted(set(contigs)):
        here = contigs == contig
        one = score(labels[here], probabilities[here])
        kept = ("n", "ones", "accuracy", "balanced_accuracy", "majority_accuracy", "auc")
        rows.append({"contig": str(contig), **{name: one[name] for name in kept}})
    result["per_chromosome"] = rows
    result["reliability"] = expected_calibration_error(labels, probabilities)[1].to_dict("records")
    result["roc"] = roc_points(labels, probabilities)
    result["precision_recall"] = precision_recall_points(labels, probabilities)
    if lengths is not None:
        result["by_length"] = scores_by_length(labels, probabilities, lengths, loci, rng)
    return result


LONG_TABLES = ("per_chromosome", "reliability", "roc", "precision_recall", "by_length")
"""What `evaluate` returns beside single measures; it is written to `evaluation.json` alone."""


@dataclass(frozen=True)
class SplitResult:
    """Scores under one split.

    Attributes
    ----------
    split
        Its name, such as ``chromosome`` or ``random``.
    test
        What `evaluate` returned for the model.
    baselines
        The same for each baseline.
    copies
        Share of test windows that share most of their bases with a training window, from the dataset's audit; None
        if unknown.
    """

    split: str
    test: dict[str, Any]
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    copies: float | None = None

    @property
    def leaks(self) -> bool:
        """Whether test examples come from the loci that training saw."""
        return self.split in LEAKY


@dataclass(frozen=True)
class Verdict:
    """What the scores say.

    Attributes
    ----------
    signal
        ``none``, ``weak`` or ``clear``.
    sentence
        For the user, complete in itself.
    """

    signal: str
    sentence: str


def verdict(main: SplitResult, controls: Sequence[SplitResult], unit: str = "windows") -> Verdict:
    """Say what the scores are worth, from the numbers alone.

    A score counts only under a split that holds whole loci out, and then only if its interval lies above 0.5 and it
    beats the best baseline.

    Parameters
    ----------
    main
        Scores under the split the user chose.
    controls
        Scores of the same model, trained anew, under other splits.
    unit
        What an example is: windows or reads.
    """
    if main.leaks:
        distrust = (
            f"Do not trust the AUC of {_number(main.test['auc'])} under the {main.split} split: "
            f"{_why_it_leaks(main, unit)}. "
        )
        held_out = next((control for control in controls if not control.leaks), None)
        if held_out is None:
            return Verdict("none", distrust + "Nothing here was held out, so there is no evidence of signal; "
                           "train with controls, or on a dataset split by chromosome.")
        signal, sentence = _judge(held_out)
        return Verdict(signal, distrust + sentence)
    signal, sentence = _judge(main)
    leaking = next((control for control in controls if control.leaks), None)
    if leaking is not None and _gap(leaking, main) > 0.1:
        sentence = (
            f"{sentence.rstrip('.')}; the {_number(leaking.test['auc'])} under the {leaking.split} split comes from "
            f"{_source_of_leak(leaking, unit)}."
        )
    return Verdict(signal, sentence)


def _judge(result: SplitResult) -> tuple[str, str]:
    """Judge a score under a split that holds loci out."""
    where = f"on {'chromosomes' if result.split == 'chromosome' else 'loci'} the model never saw"
    area, (low, high) = result.test["auc"], result.test["auc_ci"]
    if math.isnan(area):
        return "none", f"No evidence of signal: {where} there is one class only, so nothing can be told apart."
    if math.isnan(low):
        return "none", f"No evidence of signal: AUC is {_number(area)} {where}, and one locus gives no interval."
    shown = f"AUC is {_number(area)} [{_number(low)}, {_number(high)}]"
    if high < 0.5:
        return "none", (
            f"No evidence of signal: {where}, {shown}, which is worse than chance. What it learnt elsewhere does not "
            "hold there."
        )
    if low <= 0.5 or high < WEAK_AUC:
        return "none", f"No evidence of signal: {where}, {shown}."
    name, best = _best_baseline(result)
    if name and best >= area:
        return "weak", (
            f"Signal, but the model adds nothing to it: {where}, {shown}, no better than {NAMES[name]} "
            f"(AUC {_number(best)})."
        )
    if name and best >= low:
        return "weak", (
            f"Weak evidence that the model adds anything: {where}, {shown}, and {NAMES[name]} alone reaches "
            f"{_number(best)}, within that interval."
        )
    beyond = f", above {NAMES[name]} alone ({_number(best)})" if name else ""
    if result.test["loci"] < FEW_LOCI:
        # With so few clusters percentile intervals are too narrow: chance alone gives such an AUC now and then.
        return "weak", (
            f"Weak evidence of signal: {where}, {shown}{beyond}, but the test part has only {result.test['loci']} loci."
        )
    if low < WEAK_AUC:
        return "weak", f"Weak signal: {where}, {shown}{beyond}."
    return "clear", f"Clear signal: {where}, {shown}{beyond}."


def _best_baseline(result: SplitResult) -> tuple[str, float]:
    # Quality alone is no rival but a warning: it tells sequencers apart, and no model here answers from it.
    known = {
        name: scores["auc"] for name, scores in result.baselines.items()
        if name != "quality" and not math.isnan(scores["auc"])
    }
    if not known:
        return "", float("nan")
    name = max(known, key=known.__getitem__)
    return name, known[name]


def _gap(leaking: SplitResult, held_out: SplitResult) -> float:
    gap = leaking.test["auc"] - held_out.test["auc"]
    return 0.0 if math.isnan(gap) else gap


def _why_it_leaks(result: SplitResult, unit: str) -> str:
    if result.copies is not None and result.copies >= COPIES_SHARE:
        return f"{result.copies:.0%} of its test {unit} are copies of training {unit} or nearly so"
    return f"its test {unit} come from the loci that training saw"


def _source_of_leak(result: SplitResult, unit: str) -> str:
    if result.copies is not None and result.copies >= COPIES_SHARE:
        return f"test {unit} that are copies of training {unit} ({result.copies:.0%} of them share most of their bases)"
    return f"test {unit} of loci that training saw"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"
