"""What a damage profile says of a library: damaged or not, double- or single-stranded.

Deamination turns C into U, which is read as T. In a double-stranded library that shows as C>T at 5' ends and, on the
copied strand, as G>A at 3' ends (Briggs et al. 2007, PNAS 104:14616). A single-stranded library keeps the original
strand, so C>T rises at both ends (Gansauge & Meyer 2013, Nat. Protoc. 8:737).

A substitution *rises* at an end if its rate at the terminal base exceeds the mean rate of positions 11-25 by at least
one point of a hundred, and the two 95% intervals do not touch. The first condition keeps a flat profile from being
called damaged because there are many reads; the second keeps a few reads from being called damaged by luck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neandl_core.config import FEW_READS
from neandl_core.damage import DamageProfile
from neandl_core.metrics import wilson_interval
from neandl_core.read_details import ReadDetails

INTERIOR = slice(10, 25)
"""Positions, counted from 0, whose pooled rate is the background."""
LEAST_EXCESS = 0.01
CLEAR_RATIO = 2.0
"""At 3' ends the larger of C>T and G>A must rise so many times as much as the other to tell the library type."""
RULE = (
    "A rate rises if the terminal base exceeds the mean of positions 11-25 by at least 1 percentage point and their "
    "95% intervals do not touch. Double-stranded: 5' C>T and 3' G>A rise; single-stranded: C>T rises at both ends, "
    "in each case with at least twice the excess of the other substitution at the 3' end."
)


@dataclass(frozen=True)
class Rise:
    """One substitution at one end: terminal rate with interval, interior rate, whether it rises.

    Rates are shares between 0 and 1; they are NaN where nothing was counted.
    """

    end: str
    substitution: str
    rate: float
    low: float
    high: float
    interior: float
    rises: bool

    @property
    def excess(self) -> float:
        """Terminal rate less interior rate."""
        return self.rate - self.interior


@dataclass(frozen=True)
class LibraryCall:
    """The verdict on a profile.

    Attributes
    ----------
    damaged
        ``damaged``, ``not damaged`` or ``too few reads``.
    library
        ``double-stranded``, ``single-stranded`` or ``undetermined``.
    sentence
        The verdict with its numbers, for people.
    warnings
        What to be careful about.
    rises
        The evidence: 5' C>T, 3' G>A, 3' C>T.
    """

    damaged: str
    library: str
    sentence: str
    warnings: tuple[str, ...]
    rises: tuple[Rise, Rise, Rise]


def measure_rise(profile: DamageProfile, end: str, substitution: str) -> Rise:
    """Compare a substitution's rate at the terminal base with the interior."""
    observed, n = profile.tally(end, substitution)
    inside, n_inside = int(observed[INTERIOR].sum()), int(n[INTERIOR].sum())
    low, high = (float(bound) for bound in wilson_interval(int(observed[0]), int(n[0])))
    _, inside_high = wilson_interval(inside, n_inside)
    rate = observed[0] / n[0] if n[0] else np.nan
    interior = inside / n_inside if n_inside else np.nan
    rises = bool(rate - interior >= LEAST_EXCESS and low > float(inside_high))
    return Rise(end, substitution, float(rate), low, high, float(interior), rises)


def call_library(profile: DamageProfile) -> LibraryCall:
    """Say whether a library is damaged and how it was built; the rule is `RULE`."""
    five, three_ga, three_ct = rises = (
        measure_rise(profile, "5p", "C>T"), measure_rise(profile, "3p", "G>A"), measure_rise(profile, "3p", "C>T")
    )
    library = "undetermined"
    if five.rises and three_ga.rises and three_ga.excess >= CLEAR_RATIO * max(three_ct.excess, 0):
        library = "double-stranded"
    elif five.rises and three_ct.rises and three_ct.excess >= CLEAR_RATIO * max(three_ga.excess, 0):
        library = "single-stranded"
    few = profile.reads_used < FEW_READS
    warnings = []
    if few:
        damaged, library = "too few reads", "undetermined"
        verdict = f"Too few reads for a verdict: {profile.reads_used:,} can be used, and {FEW_READS} are wanted"
        warnings.append(
            f"Only {profile.reads_used:,} reads could be used; below {FEW_READS} a damage curve should not be trusted."
        )
    elif any(rise.rises for rise in rises):
        damaged = "damaged"
        verdict = f"Damaged, {library} library" if library != "undetermined" else "Damaged, library type unclear"
    else:
        damaged, verdict = "not damaged", "Not damaged"
    shown = (five, three_ct) if library == "single-stranded" else (five, three_ga)
    return LibraryCall(damaged, library, f"{verdict}: {_numbers(shown)}.", tuple(warnings), rises)


UDG_RULE = (
    "UDG is told from C>T (at 3' ends of double-stranded libraries from G>A) outside CpG, where the enzyme works, and "
    "in CpG, where methylation protects. Excess: rate less the mean of positions 11-25. None: the excess of "
    "positions 2 and 3 is at least 15% of that of position 1. Half: it is less, so damage is at the terminal bases "
    "alone. Full: no rise outside CpG, but one in CpG. A rise needs 1 percentage point and 95% intervals that do not "
    "touch."
)
LEAST_INNER_SHARE = 0.15
"""Excess at positions 2-3 over that at position 1: 0.6 for an overhang that ends with probability 0.3 at each base."""


@dataclass(frozen=True)
class UdgCall:
    """Which UDG treatment the reads look like.

    Attributes
    ----------
    treatment
        ``none``, ``half``, ``full`` or ``undetermined``.
    sentence
        The call with its numbers.
    evidence
        Excesses as shares: `terminal` and `inner` outside CpG, `cpg` at the terminal base within.
    """

    treatment: str
    sentence: str
    evidence: dict[str, float | None]


def call_udg(details: ReadDetails, call: LibraryCall) -> UdgCall:
    """Say whether the library was treated with UDG; the rule is `UDG_RULE`.

    Parameters
    ----------
    details
        Counts by CpG context.
    call
        The library's type says which substitution shows at the 3' end.
    """
    kinds = ((0, 0), (1, 0 if call.library == "single-stranded" else 1))

    def pooled(context: str, places: slice) -> tuple[int, int]:
        pairs = [details.context(end, kind, context) for end, kind in kinds]
        return sum(int(k[places].sum()) for k, _ in pairs), sum(int(n[places].sum()) for _, n in pairs)

    def excess(context: str, places: slice) -> tuple[float, bool]:
        (observed, n), (inside, n_inside) = pooled(context, places), pooled(context, INTERIOR)
        if not n or not n_inside:
            return float("nan"), False
        value = observed / n - inside / n_inside
        apart = float(wilson_interval(observed, n)[0]) > float(wilson_interval(inside, n_inside)[1])
        return value, bool(value >= LEAST_EXCESS and apart)

    terminal, rises = excess("other", slice(0, 1))
    inner, _ = excess("other", slice(1, 3))
    cpg, cpg_rises = excess("CpG", slice(0, 1))
    treatment = "undetermined"
    if call.damaged == "too few reads":
        sentence = "Too few reads to tell the UDG treatment."
    elif rises:
        treatment = "none" if inner >= LEAST_INNER_SHARE * terminal else "half"
        name = "No UDG treatment" if treatment == "none" else "UDG-half"
        sentence = (
            f"{name}: outside CpG the excess is {terminal:.2%} at the terminal base and {inner:.2%} at positions 2-3."
        )
    elif cpg_rises:
        treatment = "full"
        sentence = f"Full UDG treatment: no rise outside CpG ({terminal:.2%}), but {cpg:.2%} of excess in CpG."
    else:
        sentence = "No damage to tell the UDG treatment from."
    evidence = {"terminal": terminal, "inner": inner, "cpg": cpg}
    return UdgCall(
        treatment, sentence,
        {name: None if np.isnan(value) else value for name, value in evidence.items()},
    )


def _numbers(rises: tuple[Rise, ...]) -> str:
    parts = []
    for rise in rises:
        end = {"5p": "5'", "3p": "3'"}[rise.end]
        if np.isnan(rise.rate) or np.isnan(rise.interior):
            parts.append(f"no {rise.substitution[0]} was seen at the {end} end")
            continue
        parts.append(
            f"{rise.substitution} at the {end} end is {rise.rate:.2%} ({rise.low:.2%} to {rise.high:.2%}) against "
            f"{rise.interior:.2%} inside the reads"
        )
    return ", ".join(parts)
