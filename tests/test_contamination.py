"""The mixture that estimates contamination: right on average, right about its own uncertainty, also at 0 and 100%."""

from __future__ import annotations

import numpy as np
import pytest

from neandl_core.contamination import (
    GROUPS,
    estimate_contamination,
    fit_share,
    free_share,
    locus_groups,
    make_score_model,
)


def reads(rng: np.random.Generator, modern: np.ndarray, longer: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores and lengths: longer reads are told apart better, and contaminants may be longer."""
    centre = np.where(modern & longer, 62, 52)
    lengths = np.clip(np.exp(rng.normal(np.log(centre), 0.28)), 30, 100).astype(int)
    signal = rng.normal(0, 1, len(modern)) + np.where(modern, 0, np.sqrt(lengths / 52))
    return 1 / (1 + np.exp(-(signal - 0.5))), lengths


def held_out(rng: np.random.Generator, n: int = 12_000):
    labels = rng.permutation(np.repeat([0, 1], n // 2))
    scores, lengths = reads(rng, labels == 0, longer=False)
    return make_score_model(labels, scores, lengths, rng.integers(0, 400, n))


def sample(rng: np.random.Generator, model, share: float, n: int = 20_000) -> tuple[np.ndarray, float]:
    modern = rng.random(n) < share
    scores, lengths = reads(rng, modern, longer=True)
    size = int(np.prod(model.shape))
    cell = rng.integers(0, GROUPS, n) * size + model.bins(scores, lengths)
    return np.bincount(cell, minlength=GROUPS * size).reshape(GROUPS, size), float(modern.mean())


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_the_truth_lies_in_the_interval_and_the_error_is_small(share: float) -> None:
    covered, errors = 0, []
    for seed in range(10):
        rng = np.random.default_rng([seed, 5])
        model = held_out(rng)
        counts, truth = sample(rng, model, share)
        found = estimate_contamination(counts, model, 100, rng)
        covered += found.low <= truth <= found.high
        errors.append(found.estimate - truth)
        assert found.misfit < 2
        assert found.expected.sum() == pytest.approx(counts.sum())
        assert found.high - found.low < 0.12
    assert covered >= 8
    assert np.mean(np.abs(errors)) < 0.03


def test_counting_below_a_threshold_would_be_far_off() -> None:
    """What the mixture is for: at 5% contamination a threshold calls a third of the reads modern."""
    rng = np.random.default_rng(1)
    scores, _ = reads(rng, rng.random(20_000) < 0.05, longer=True)
    assert (scores < 0.5).mean() > 0.3


def test_reads_of_another_kind_are_noticed() -> None:
    rng = np.random.default_rng(2)
    model = held_out(rng)
    # Scores in the middle alone: no mixture of the two classes gives them.
    scores = rng.normal(0.5, 0.02, 20_000)
    cell = rng.integers(0, GROUPS, 20_000) * np.prod(model.shape) + model.bins(scores, np.full(20_000, 52))
    counts = np.bincount(cell, minlength=GROUPS * int(np.prod(model.shape))).reshape(GROUPS, -1)
    assert estimate_contamination(counts, model, 20, rng).misfit > 20


def test_fits_agree_with_a_search_over_a_grid() -> None:
    rng = np.random.default_rng(3)
    densities = rng.dirichlet(np.ones(12), 2)[:, None]
    counts = rng.multinomial(5_000, 0.3 * densities[0, 0] + 0.7 * densities[1, 0])[None]
    grid = np.linspace(0, 1, 2001)
    likelihood = [(counts * np.log(share * densities[0] + (1 - share) * densities[1])).sum() for share in grid]
    best = grid[int(np.argmax(likelihood))]
    assert fit_share(counts, densities, np.zeros(1))[0] == pytest.approx(best, abs=1e-3)
    assert free_share(counts, densities) == pytest.approx(best, abs=1e-3)
    pure = rng.multinomial(5_000, densities[1, 0])[None]
    assert fit_share(pure, densities, np.zeros(1))[0] < 0.02
    assert -0.05 < free_share(pure, densities) < 0.02


def test_a_stretch_of_the_genome_is_resampled_as_one() -> None:
    contigs, starts = np.array([0, 0, 0, 1]), np.array([10_000, 19_999, 20_000, 10_000])
    groups = locus_groups(contigs, starts)
    assert groups[0] == groups[1]
    many = locus_groups(np.zeros(100_000, int), np.arange(100_000) * 10_000)
    assert np.bincount(many, minlength=GROUPS).min() > 350
