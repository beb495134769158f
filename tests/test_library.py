"""The verdict: damaged or not, which library, and when there is too little to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neandl_core.config import POSITIONS, ReadSettings
from neandl_core.damage import DamageProfile, count_damage
from neandl_core.damage_kernel import LONGEST
from neandl_core.io.alignments import open_alignments
from neandl_core.library import LibraryCall, call_library

C, G, A, T = 1, 2, 0, 3


def profile(reads: int, flat: float = 0.003, **terminal: float) -> DamageProfile:
    """A profile whose terminal rates are given as ct5, ga3, ct3; they halve with every base."""
    counts = np.zeros((2, 2, POSITIONS, 6, 6), np.int64)
    decay = 0.5 ** np.arange(POSITIONS)
    for end, reference, read, name in ((0, C, T, "ct5"), (1, G, A, "ga3"), (1, C, T, "ct3")):
        rate = flat + terminal.get(name, 0.0) * decay
        n = reads // 5
        observed = np.round(n * rate).astype(np.int64)
        counts[end, 0, :, reference, read] = observed
        counts[end, 0, :, reference, reference] = n - observed
    return DamageProfile(ReadSettings(), counts, np.zeros((2, 2, LONGEST), np.int64), reads, reads, {}, ())


@pytest.mark.parametrize(
    ("made", "damaged", "library"),
    [
        (profile(100_000, ct5=0.2, ga3=0.2), "damaged", "double-stranded"),
        (profile(100_000, ct5=0.2, ct3=0.2), "damaged", "single-stranded"),
        (profile(100_000, ct5=0.2, ct3=0.2, ga3=0.03), "damaged", "single-stranded"),
        (profile(100_000, ct5=0.2, ct3=0.15, ga3=0.15), "damaged", "undetermined"),
        (profile(100_000, ct5=0.2), "damaged", "undetermined"),
        (profile(100_000), "not damaged", "undetermined"),
        (profile(10_000_000, flat=0.0045, ct5=0.004, ga3=0.004), "not damaged", "undetermined"),
        (profile(600, flat=0.02, ct5=0.02), "not damaged", "undetermined"),
        (profile(499, ct5=0.4, ga3=0.4), "too few reads", "undetermined"),
    ],
)
def test_the_verdict_follows_the_rule(made: DamageProfile, damaged: str, library: str) -> None:
    call = call_library(made)
    assert (call.damaged, call.library) == (damaged, library)
    assert bool(call.warnings) == (damaged == "too few reads")


def test_the_sentence_holds_its_numbers() -> None:
    sentence = call_library(profile(100_000, ct5=0.2, ga3=0.1)).sentence
    assert sentence.startswith("Damaged, double-stranded library: C>T at the 5' end is 20.30%")
    assert "against 0.30% inside" in sentence


def called(path: Path) -> LibraryCall:
    with open_alignments(path) as alignments:
        return call_library(count_damage(alignments, ReadSettings()))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "damaged", "library"),
    [
        ("ancient/Sima.incisor.b37.bam", "damaged", "single-stranded"),
        ("ancient/JK2782.mapped.bam", "damaged", "double-stranded"),
        ("modern/NA12878.b37.chr21.bam", "not damaged", "undetermined"),
    ],
)
def test_real_libraries_are_called_right(shared: Path, file: str, damaged: str, library: str) -> None:
    call = called(shared / file)
    assert (call.damaged, call.library) == (damaged, library)


@pytest.mark.shared
def test_the_sima_rates_are_the_published_ones(shared: Path) -> None:
    five, three_ga, three_ct = called(shared / "ancient" / "Sima.incisor.b37.bam").rises
    assert [round(rise.rate, 3) for rise in (five, three_ct, three_ga)] == [0.113, 0.137, 0.032]
