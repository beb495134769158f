"""Weights of damaged bases fitted to the reads at hand: better where a sample is not as PMDtools takes it to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neandl_core.metrics import auc
from neandl_core.models.ends import refit_damage
from neandl_core.models.networks import build
from neandl_core.pmd import pmd_scores

WIDTH = 60


def reads(seed: int, n: int, errors: float, damage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 3, width) layers and labels: damage at both ends of class 1, C read as T anywhere in both classes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(36, WIDTH + 1, n)
    reference = rng.integers(0, 4, (n, WIDTH), dtype=np.uint8)
    place = np.arange(WIDTH)
    reference[place >= lengths[:, None]] = 4
    labels = rng.integers(0, 2, n)
    from_end = np.minimum(place, np.maximum(lengths[:, None] - 1 - place, 0))
    drawn = rng.random((n, WIDTH)) < np.maximum(damage * 0.5**from_end * labels[:, None], errors)
    codes = np.where((reference == 1) & drawn, 3, reference).astype(np.uint8)
    quality = np.where(codes < 4, 35, 255).astype(np.uint8)
    return np.stack([codes, reference, quality], 1), labels


@pytest.mark.parametrize("preset", ["ends-reference", "ends-quality"])
def test_what_is_as_common_in_modern_reads_stops_counting(preset):
    layers, labels = reads(1, 6000, errors=0.03, damage=0.4)
    held_out, truth = reads(2, 6000, errors=0.03, damage=0.4)
    seen = 3 if preset == "ends-quality" else 2
    network = build(preset, WIDTH, 0, seed=1).eval()
    before = network.places.detach().clone()
    refit_damage(network, lambda rows: layers[rows, :seen], labels)
    with torch.no_grad():
        answers = network(torch.from_numpy(held_out[:, :seen])).numpy()
    pmd = pmd_scores(*held_out.transpose(1, 0, 2))
    # This library is single-stranded, with C read as T at both ends; the PMD score of double-stranded ones knows one.
    assert auc(truth, answers) > auc(truth, pmd) + 0.02
    weights = network.places.detach() - before
    deep = [float(table[0, 20, 5] + table[1, 20, 5]) for table in (before, network.places.detach())]
    assert deep[0] > 1.5, "the PMD score takes it for damage"
    assert abs(deep[1]) < 0.5, "a C read as T deep inside a read is no damage here"
    assert weights[1, 0, 5] > weights[1, 20, 5] + 1
    assert not weights[:, :, :5].any(), "intact bases keep the weights of the PMD score"


def test_an_undamaged_twin_is_told_apart_no_better_than_before():
    layers, labels = reads(3, 3000, errors=0.03, damage=0.4)
    twin = layers[:, :2].copy()
    twin[:, 0] = twin[:, 1]
    network = build("ends-reference", WIDTH, 0, seed=1).eval()
    with torch.no_grad():
        before = network(torch.from_numpy(twin))
        refit_damage(network, lambda rows: layers[rows, :2], labels)
        after = network(torch.from_numpy(twin))
    torch.testing.assert_close(after - network.bias, before, rtol=0, atol=1e-4)


def test_few_reads_hardly_move_it_from_the_pmd_score():
    layers, labels = reads(4, 30, errors=0.0, damage=0.3)
    network = build("ends-reference", WIDTH, 0, seed=1).eval()
    before = network.places.detach().clone()
    refit_damage(network, lambda rows: layers[rows, :2], labels)
    assert (network.places.detach() - before).abs().max() < 1
    alike = np.zeros(30, int)
    refit_damage(network, lambda rows: layers[rows, :2], alike)
    assert torch.isfinite(network.places).all()
