"""Whether a score is real, in words: the questions a sceptic asks, each answered from the numbers of the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neandl_core.evaluation import COPIES_SHARE, WEAK_AUC
from neandl_core.metrics import FEW_LOCI

LEAK_GAP = 0.1
"""A split whose AUC lies so far above the held-out one owes the difference to leakage."""
MEMORY_AUC = 0.6
"""AUC on shuffled labels from which a split is said to reward memory: such labels hold nothing to learn."""


@dataclass(frozen=True)
class Facts:
    """The numbers that a judgement rests on.

    Attributes
    ----------
    split
        The split that holds whole loci out; empty if there is none, and then `auc` is of the leaking one.
    auc, low, high
        AUC under it with its 95% interval; NaN where undefined.
    loci
        Loci in its test part.
    shuffled
        AUCs of the same model on shuffled labels, under the same split.
    leaking_split, leaking_auc, leaking_shuffled, copies
        The split that leaks, the model's AUC under it, that on shuffled labels, and the share of its test examples
        that overlap training examples; empty or NaN where unknown.
    baseline, baseline_auc
        The best baseline, as a sentence calls it, and its AUC.
    difference
        AUC of the model less that of the baseline, with its 95% interval.
    chromosomes
        (name, AUC, low, high) of each chromosome of the test part.
    unit
        What an example is: windows or reads.
    simulated
        Whether the data are NeanDL's simulation, whose signal is known.
    """

    split: str
    auc: float
    low: float
    high: float
    loci: int
    shuffled: Sequence[float] = ()
    leaking_split: str = ""
    leaking_auc: float = math.nan
    leaking_shuffled: float = math.nan
    copies: float = math.nan
    baseline: str = ""
    baseline_auc: float = math.nan
    difference: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    chromosomes: Sequence[tuple[str, float, float, float]] = ()
    unit: str = "windows"
    simulated: bool = False


@dataclass(frozen=True)
class Check:
    """One question and its answer: `outcome` is ``good``, ``bad`` or ``unclear``."""

    question: str
    outcome: str
    answer: str


@dataclass(frozen=True)
class Judgement:
    """What the controls say.

    Attributes
    ----------
    answer
        ``signal``, ``weak`` or ``none``.
    leakage
        Whether a split was found to leak.
    adds
        Whether the model is better than the best baseline: ``good``, ``bad`` or ``unclear``.
    sentence
        The whole of it for the user.
    checks
        The questions behind it.
    """

    answer: str
    leakage: bool
    adds: str
    sentence: str
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as a summary holds it; `signal` takes the words of a train run's verdict."""
        signal = {"signal": "clear", "weak": "weak", "none": "none"}[self.answer]
        return {
            "answer": self.answer, "signal": signal, "leakage": self.leakage, "adds": self.adds,
            "sentence": self.sentence, "checks": [vars(check) for check in self.checks],
        }


def judge(facts: Facts) -> Judgement:
    """Say whether a score is real, from the numbers alone.

    There is signal if the interval under a split that holds whole loci out lies above 0.5, reaches `WEAK_AUC`, and no
    model on shuffled labels did as well. Whether the model adds anything to a baseline is a question of its own.
    """
    chance, shuffled = _against_chance(facts), _against_shuffled(facts)
    leak, leaks = _leak(facts)
    rivals = _against_baseline(facts)
    checks = tuple(check for check in (chance, shuffled, rivals, leak, _chromosomes(facts)) if check)
    sure = chance.outcome == "good" and (shuffled is None or shuffled.outcome == "good")
    if not facts.split:
        answer, start = "none", "No evidence of signal: nothing was held out, so nothing shows that it holds elsewhere."
    elif chance.outcome == "bad" or (shuffled is not None and shuffled.outcome == "bad"):
        cause = chance.answer if chance.outcome == "bad" else shuffled.answer
        answer, start = "none", f"No evidence of signal. {cause}"
    elif not sure or facts.low < WEAK_AUC:
        answer, start = "weak", f"Weak evidence of signal. {chance.answer}"
    else:
        planted = "It finds the planted signal" if facts.simulated else "There is signal"
        answer, start = "signal", f"{planted}. {chance.answer}"
    parts = [start]
    if answer != "none" and rivals is not None and rivals.outcome != "good":
        parts.append(rivals.answer)
    if leaks:
        parts.append(leak.answer)
    return Judgement(answer, leaks, rivals.outcome if rivals else "unclear", " ".join(parts), checks)


def _against_chance(facts: Facts) -> Check:
    what = "chromosomes" if facts.split == "chromosome" else "loci"
    question = f"Better than guessing on {what} it never saw?"
    if not facts.split:
        return Check("Better than guessing where it never looked?", "bad",
                     f"Not known: the {facts.leaking_split} split holds nothing out.")
    shown = f"AUC {_number(facts.auc)} [{_number(facts.low)}, {_number(facts.high)}] on {what} the model never saw"
    if math.isnan(facts.low):
        return Check(question, "bad", f"{shown}: there is no interval, as the test part has one class or one locus.")
    if facts.high < 0.5:
        return Check(question, "bad", f"{shown}: worse than guessing.")
    if facts.low <= 0.5:
        return Check(question, "bad", f"{shown}: the interval holds 0.5, which is guessing.")
    if facts.high < WEAK_AUC:
        return Check(question, "bad", f"{shown}: above 0.5 and too little to be of use.")
    if facts.loci < FEW_LOCI:
        return Check(question, "unclear", f"{shown}, but these are only {facts.loci} loci.")
    return Check(question, "good", f"{shown}.")


def _against_shuffled(facts: Facts) -> Check | None:
    known = [area for area in facts.shuffled if not math.isnan(area)]
    if not known:
        return None
    question = "Better than the same model on shuffled labels?"
    reached = f"On labels shuffled by locus the same model reaches {_spread(known)} in {len(known)} runs"
    if math.isnan(facts.auc) or facts.auc <= max(known):
        return Check(question, "bad", f"{reached}, as much as on the true ones ({_number(facts.auc)}).")
    return Check(question, "good", f"{reached}; on the true ones {_number(facts.auc)}.")


def _against_baseline(facts: Facts) -> Check | None:
    if not facts.baseline:
        return None
    question = "Better than a baseline?"
    gap, low, high = facts.difference
    shown = f"{facts.baseline} alone reaches {_number(facts.baseline_auc)}"
    if math.isnan(low):
        return Check(question, "unclear", f"{_capital(shown)}; there is no interval of the difference.")
    by = f"{abs(gap):.3f} [{low:+.3f}, {high:+.3f}]"
    if low > 0:
        return Check(question, "good", f"{_capital(shown)}; the model is better by {by}.")
    if high < 0:
        return Check(question, "bad", f"{_capital(shown)}; the model is worse by {by}.")
    return Check(question, "unclear", f"{_capital(shown)}; the difference of {gap:+.3f} [{low:+.3f}, {high:+.3f}] "
                                      "may be none.")


def _leak(facts: Facts) -> tuple[Check | None, bool]:
    if not facts.leaking_split:
        return None, False
    question = f"Does the {facts.leaking_split} split leak?"
    gap = facts.leaking_auc - facts.auc if facts.split else math.nan
    by_gap = gap > LEAK_GAP
    by_memory = facts.leaking_shuffled >= MEMORY_AUC
    shown = f"Under the {facts.leaking_split} split the AUC is {_number(facts.leaking_auc)}"
    if not math.isnan(facts.leaking_shuffled):
        shown += f", and {_number(facts.leaking_shuffled)} on shuffled labels, which hold nothing to learn"
    if not (by_gap or by_memory):
        return Check(question, "good", f"{shown}."), False
    why = "its test loci are in training too"
    if facts.copies >= COPIES_SHARE:
        why = f"{facts.copies:.0%} of its test {facts.unit} overlap training {facts.unit}"
    return Check(question, "bad", f"{shown}. That split leaks: {why}, so a score under it is memory."), True


def _chromosomes(facts: Facts) -> Check | None:
    known = [row for row in facts.chromosomes if not math.isnan(row[1])]
    if len(known) < 2 or not facts.split:
        return None
    above = [row for row in known if row[2] > 0.5]
    spread = f"AUC {min(row[1] for row in known):.2f} to {max(row[1] for row in known):.2f}"
    outcome = "good" if len(above) == len(known) else "bad" if not above else "unclear"
    return Check(
        "The same on every chromosome?", outcome,
        f"{spread}; the interval lies above 0.5 on {len(above)} of {len(known)} test chromosomes.",
    )


def _spread(areas: Sequence[float]) -> str:
    if len(areas) == 1:
        return f"AUC {areas[0]:.2f}"
    return f"AUC {sum(areas) / len(areas):.2f} on average ({min(areas):.2f} to {max(areas):.2f})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.2f}"
