"""Calibration: the candidate that suits is chosen, on reads it was not fitted to, and the ranking stays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from neandl_core.calibration import fit_calibration, isotonic_knots, load_calibration, save_calibration
from neandl_core.errors import InputError
from neandl_core.metrics import auc

TRUTH = np.linspace(-3, 3, 12_000)


def right(truth):
    return 1 / (1 + np.exp(-truth))


def fit(raw, seed=1, n=12_000, **more):
    """Fit to half of reads whose true log-odds are TRUTH, and judge on the other half."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(len(TRUTH)) < right(TRUTH)).astype(int)
    order = rng.permutation(len(TRUTH))[:n]
    fitted, judged = order[: n // 2], order[n // 2 :]
    return fit_calibration(labels[fitted], raw[fitted], labels[judged], raw[judged], **more)


def test_right_probabilities_are_hardly_touched():
    found = fit(right(TRUTH))
    assert found.kind in ("none", "platt")
    assert abs(found.ece_after - found.ece_before) < 0.01
    # Chance alone gives an error above 0 in bins of a few hundred reads, and right probabilities have no more.
    assert 0.004 < found.ece_expected < 0.02
    assert found.ece_after < 2 * found.ece_expected


def test_stretched_log_odds_are_platts():
    found = fit(right(3 * TRUTH + 1))
    assert found.kind == "platt"
    assert found.slope == pytest.approx(1 / 3, rel=0.1)
    assert found.ece_before > 0.1 > 5 * found.ece_after


def test_a_step_that_no_slope_straightens_is_isotonics():
    stepped = right(np.where(TRUTH > 1, TRUTH + 2, TRUTH / 6 - 1))
    found = fit(stepped)
    assert found.kind == "isotonic"
    assert found.log_loss["isotonic"] < found.log_loss["platt"] < found.log_loss["none"]
    assert found.ece_after < 0.03 < found.ece_before


def test_few_reads_do_not_get_a_curve_of_their_own_noise():
    # A curve through 60 reads fits these perfectly and others badly; comparing on loci left out shows it.
    chosen = [fit(right(TRUTH), seed=seed, n=120).kind for seed in range(12)]
    assert chosen.count("isotonic") <= 2


def test_reads_of_a_locus_are_not_divided():
    # Each locus is one read a hundred times: with its copies on both sides a curve would learn single loci by heart.
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 40)
    raw, labels = np.repeat(right(truth), 100), np.repeat(rng.random(40) < right(truth), 100).astype(int)
    alone = fit_calibration(labels, raw, labels, raw)
    together = fit_calibration(labels, raw, labels, raw, np.repeat(np.arange(40), 100))
    assert alone.kind == "isotonic"
    assert together.log_loss["isotonic"] > alone.log_loss["isotonic"] + 0.03


@pytest.mark.parametrize("distorted", [right(3 * TRUTH), right(np.where(TRUTH > 1, TRUTH + 2, TRUTH / 6 - 1))])
def test_the_ranking_stays(distorted):
    found = fit(distorted)
    assert found.kind != "none"
    after = found.apply(distorted)
    assert (np.diff(after) >= 0).all()
    assert len(np.unique(after)) > 0.99 * len(np.unique(distorted.astype(np.float32)))
    assert spearmanr(distorted, after).statistic > 1 - 1e-9
    labels = (np.random.default_rng(5).random(len(TRUTH)) < right(TRUTH)).astype(int)
    assert auc(labels, after) == pytest.approx(auc(labels, distorted), abs=1e-6)
    assert after.min() > 0
    assert after.max() < 1


def test_isotonic_knots_rise_and_pass_through_the_observed_shares():
    labels = np.array([0, 0, 1, 0, 1, 1])
    raw = np.array([0.1, 0.2, 0.3, 0.4, 0.7, 0.9])
    # Pooled: {0.1, 0.2} all 0; {0.3, 0.4} half; {0.7, 0.9} all 1; half a read of either class is added to all six.
    knots = np.array(isotonic_knots(labels, raw))
    assert knots[:, 0] == pytest.approx([0, 0.15, 0.35, 0.8, 1])
    assert knots[1:-1, 1] == pytest.approx([0.5 / 7, 3.5 / 7, 6.5 / 7])
    assert (np.diff(knots, axis=0) > 0).all()


def test_loci_of_one_class_do_not_upset_the_choice():
    # Reads of two species never share a locus; folds of such loci hold more of one class than of the other.
    rng = np.random.default_rng(6)
    truth = rng.normal(0, 1.5, 4000)
    labels = (rng.random(4000) < right(truth)).astype(int)
    loci = labels * 6 + rng.integers(0, 6, 4000)
    raw = right(3 * truth)
    found = fit_calibration(labels, raw, labels, raw, loci)
    assert found.kind in ("platt", "isotonic")
    assert found.log_loss["platt"] < found.log_loss["none"] - 0.05
    assert found.ece_after < 0.03 < found.ece_before


def test_one_class_or_an_upside_down_network_is_left_alone():
    raw = right(TRUTH)
    labels = (np.random.default_rng(2).random(len(raw)) < raw).astype(int)
    for wrong in (np.zeros(len(raw), int), 1 - labels):
        found = fit_calibration(wrong, raw, labels, raw)
        assert found.kind == "none"
        assert np.array_equal(found.apply(raw), raw.astype(np.float32))


def test_it_is_stored_as_numbers_alone(tmp_path):
    found = fit(right(np.where(TRUTH > 1, TRUTH + 2, TRUTH / 6 - 1)))
    save_calibration(tmp_path, found)
    again = load_calibration(tmp_path)
    assert again == found
    assert np.array_equal(again.apply(right(TRUTH)), found.apply(right(TRUTH)))
    stored = json.loads((tmp_path / "calibration.json").read_text())
    # A file of an earlier version has Platt's two numbers and nothing of a choice.
    for name in ("kind", "knots", "log_loss", "ece_expected"):
        del stored[name]
    (tmp_path / "calibration.json").write_text(json.dumps(stored | {"slope": 2.0, "intercept": 0.5}))
    old = load_calibration(tmp_path)
    assert old.kind == "platt"
    assert old.apply(np.array([0.5]))[0] == pytest.approx(right(0.5))
    (tmp_path / "calibration.json").write_text(json.dumps(stored | {"slope": -2.0}))
    with pytest.raises(InputError, match="slope"):
        load_calibration(tmp_path)
