"""The fit of the damage model: it finds what was put in, and its intervals are as wide as they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neandl_core.briggs import PARAMETERS, fit_briggs, fit_counts
from neandl_core.config import ReadSettings, SimulateSettings
from neandl_core.damage import count_damage
from neandl_core.io.alignments import open_alignments
from neandl_core.library import call_library, call_udg
from neandl_core.read_details import Describer
from neandl_core.simulate.fragments import Damage
from neandl_core.simulate.project import simulate_project

TRUTH = {"termination": 0.30, "delta_s": 0.45, "delta_d": 0.012}


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 60 draws from the model, 95% intervals miss about 3; more than 8 has a chance of about 1 in 200."""
    position, error = np.tile(np.arange(25), 2), 0.0005
    rate = np.tile(error + Damage().expected(25) * (1 - error), 2)
    missed = dict.fromkeys(PARAMETERS, 0)
    for seed in range(60):
        n = np.full(50, 5_000)
        observed = np.random.default_rng([seed, 3]).binomial(n, rate)
        fit = fit_counts(observed.astype(float), n.astype(float), position, error)
        for name in PARAMETERS:
            low, high = fit.intervals[name]
            assert low < fit.values[name] < high
            missed[name] += not low <= TRUTH[name] <= high
    assert max(missed.values()) <= 8
    assert sum(missed.values()) >= 1  # intervals that never miss are too wide


def test_where_nothing_is_known_the_intervals_say_so() -> None:
    n = np.full(50, 1_000.0)
    fit = fit_counts(np.full(50, 1.0), n, np.tile(np.arange(25), 2), 0.0005)
    low, high = fit.intervals["termination"]
    assert low < 0.01
    assert high > 0.99


def test_the_simulation_is_recovered_from_its_bam(tmp_path: Path) -> None:
    simulate_project(tmp_path, SimulateSettings.make(reads=40_000, chromosome_length=300_000, seed=3))
    settings = ReadSettings()
    with open_alignments(tmp_path / "ancient.bam") as alignments:
        describer = Describer(alignments, settings)
        profile = count_damage(alignments, settings, observer=describer)
    call = call_library(profile)
    fit = fit_briggs(profile, call.library)
    for name, truth in TRUTH.items():
        low, high = fit.intervals[name]
        assert low <= truth <= high, (name, low, high)
    observed, n = profile.tally("5p", "C>T")
    assert fit.expected(3) == pytest.approx((observed / n)[:3], abs=0.02)
    udg = call_udg(describer.details(), call)
    assert udg.treatment == "none"
    assert udg.evidence["inner"] > 0.3 * udg.evidence["terminal"]
