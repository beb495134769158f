"""Controls: signal is found where it is, not where labels are shuffled, and a split that leaks is named."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neandl_core.__main__ import main
from neandl_core.control_verdict import Facts, judge
from neandl_core.controls import load_trained, shuffle_by_locus
from neandl_core.dataset import Description, save_dataset
from neandl_core.errors import InputError
from neandl_core.files import read_json
from neandl_core.metrics import auc, locus_auc_draws, locus_bootstrap, percentile_interval
from neandl_core.runs import RunState, write_state
from neandl_core.schemas import CHROMOSOMES, CONTROLS, read_table
from tests.test_training import make_dataset, train

WIDTH, LOCI, PER_LOCUS = 60, 160, 12


def dataset_of(folder: Path, *, signal: bool, split: str = "chromosome") -> Path:
    """Loci whose windows overlap almost wholly; with signal, those of label 1 carry a motif."""
    rng = np.random.default_rng(5)
    rows, codes = [], []
    for locus in range(LOCI):
        contig, label = f"chr{locus % 4 + 1}", int(locus // 4% 2)
        sequence = rng.integers(0, 4, WIDTH + PER_LOCUS).astype(np.uint8)
        if signal and label:
            for place in range(0, len(sequence) - 8, 15):
                sequence[place : place + 8] = (0, 1, 2, 3, 0, 1, 2, 3)
        for offset in range(PER_LOCUS):
            codes.append(sequence[offset : offset + WIDTH])
            rows.append((label, locus, contig, locus * 10_000 + offset))
    table = pd.DataFrame(rows, columns=["label", "locus", "contig", "start"])
    table["interval"] = table["locus"]
    by_chromosome = table["contig"].map({"chr1": "train", "chr2": "train", "chr3": "validation", "chr4": "test"})
    at_random = pd.Series(rng.choice(["train", "validation", "test"], len(table), p=[0.7, 0.1, 0.2]))
    honest = split == "chromosome"
    table["split"] = by_chromosome if honest else at_random
    table["comparison_split"] = at_random if honest else by_chromosome
    folder.mkdir()
    other = "random" if honest else "chromosome"
    description = Description("windows", WIDTH, 5, ("depleted", "introgressed"), split, other, True)
    save_dataset(folder, [np.array(codes)], table, description)
    return folder


def controls_of(folder: Path, **kind: object) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    dataset = dataset_of(folder / "dataset", **kind)
    run, out = folder / "run", folder / "controls"
    assert main(["train", str(dataset), "--preset", "logistic", "--threads", "1", "--out", str(run), "--quiet"]) == 0
    words = ["controls", str(run), "--threads", "1", "--bootstrap-samples", "200", "--out", str(out), "--quiet"]
    assert main(words) == 0
    return (
        read_json(out / "summary.json"), read_table(out / "controls.tsv", CONTROLS, "controls"),
        read_table(out / "chromosomes.tsv", CHROMOSOMES, "chromosomes"),
    )


@pytest.fixture(scope="module")
def with_signal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, pd.DataFrame, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("signal")
    return folder, *controls_of(folder, signal=True)


def test_a_planted_signal_is_found(with_signal) -> None:
    _, summary, table, chromosomes = with_signal
    assert summary["verdict"]["answer"] == "signal"
    assert summary["test"]["auc"] > 0.85
    assert "planted signal" in summary["verdict"]["sentence"]
    shuffled = table[table["kind"] == "shuffled"]
    assert len(shuffled) == 3
    assert shuffled["auc"].max() < 0.8 < table.loc[table["kind"] == "model", "auc"].item()
    assert summary["shuffled"]["mean"] == pytest.approx(shuffled["auc"].mean())
    assert summary["baseline"]["difference_ci"][0] > 0, "better than GC content, on the same draws"
    assert chromosomes["contig"].tolist() == ["chr4"]
    assert chromosomes["auc"].item() == pytest.approx(summary["test"]["auc"])


def test_the_runs_own_result_is_not_trained_again(with_signal) -> None:
    folder, _, table, _ = with_signal
    trained = read_json(folder / "run" / "summary.json")
    rows = table.set_index("kind")
    assert rows.loc["model", "trained"] == rows.loc["leaking split", "trained"] == "in the run"
    assert rows.loc["model", "auc"] == pytest.approx(trained["test"]["auc"])
    assert rows.loc["leaking split", "auc"] == pytest.approx(trained["controls"]["random"]["test"]["auc"])
    state = json.loads((folder / "controls" / "state.json").read_text())
    assert state["state"] == "done"
    assert state["step"] == pytest.approx(state["total"], rel=0.02)


def test_without_signal_the_random_split_alone_scores_and_is_named_leakage(tmp_path: Path) -> None:
    summary, table, _ = controls_of(tmp_path, signal=False)
    rows = table.set_index("kind")
    assert rows.loc["leaking split", "auc"] > 0.9, "the random split rewards memory"
    assert rows.loc["shuffled leaking", "auc"] > 0.9, "of labels that mean nothing, too"
    verdict = summary["verdict"]
    assert (verdict["answer"], verdict["leakage"]) == ("none", True)
    assert "No evidence of signal" in verdict["sentence"]
    assert "leaks" in verdict["sentence"]


def test_a_run_under_the_leaking_split_is_trained_anew_with_loci_held_out(tmp_path: Path) -> None:
    summary, table, _ = controls_of(tmp_path, signal=False, split="random")
    rows = table.set_index("kind")
    assert rows.loc["model", ["split", "trained"]].tolist() == ["chromosome", "here"]
    assert rows.loc["leaking split", ["split", "trained"]].tolist() == ["random", "in the run"]
    assert (summary["verdict"]["answer"], summary["verdict"]["leakage"]) == ("none", True)


def test_whole_loci_change_label_within_their_part() -> None:
    rng = np.random.default_rng(1)
    loci = np.repeat(np.arange(40), 5)
    labels = (loci % 4 == 0).astype(np.int8)
    groups = (loci >= 20).astype(np.int8)
    shuffled = shuffle_by_locus(labels, loci, groups, rng)
    assert all(len(set(shuffled[loci == locus])) == 1 for locus in range(40))
    assert not np.array_equal(shuffled, labels)
    for group in (0, 1):
        assert shuffled[groups == group].sum() == labels[groups == group].sum()


def test_reads_of_mixed_loci_exchange_labels_within_a_locus() -> None:
    rng = np.random.default_rng(2)
    loci = rng.permutation(np.repeat(np.arange(10), 50))
    labels = rng.integers(0, 2, 500).astype(np.int8)
    shuffled = shuffle_by_locus(labels, loci, np.zeros(500, np.int8), rng)
    assert 0.35 < (shuffled != labels).mean() < 0.65
    for locus in range(10):
        assert shuffled[loci == locus].sum() == labels[loci == locus].sum()


def test_paired_draws_are_those_of_the_bootstrap() -> None:
    rng = np.random.default_rng(3)
    loci = np.repeat(np.arange(30), 4)
    labels = (loci % 2).astype(int)
    good, noise = labels + rng.normal(0, 0.7, 120), rng.random(120)
    good = (good - good.min()) / np.ptp(good)
    draws = locus_auc_draws(labels, {"good": good, "noise": noise}, loci, 300, np.random.default_rng(9))
    alone = locus_bootstrap(labels, good, loci, 300, np.random.default_rng(9))
    assert percentile_interval(draws["good"]) == alone.intervals["auc"]
    low, high = percentile_interval(draws["good"] - draws["noise"])
    assert low < auc(labels, good) - auc(labels, noise) < high
    same = locus_auc_draws(labels, {"a": good, "b": good}, loci, 50, np.random.default_rng(9))
    assert np.array_equal(same["a"], same["b"]), "a model is never better than itself"


SURE = Facts(split="chromosome", auc=0.85, low=0.82, high=0.88, loci=50, shuffled=(0.48, 0.51, 0.53))


@pytest.mark.parametrize(
    ("changed", "answer", "leakage", "says"),
    [
        ({}, "signal", False, "There is signal"),
        ({"simulated": True}, "signal", False, "planted signal"),
        ({"auc": 0.505, "low": 0.489, "high": 0.522}, "none", False, "No evidence of signal.*guessing"),
        ({"auc": 0.505, "low": 0.489, "high": 0.522, "leaking_split": "random", "leaking_auc": 0.99, "copies": 0.9},
         "none", True, "No evidence of signal.*0.99.*leaks.*90%"),
        ({"auc": 0.45, "low": 0.42, "high": 0.49}, "none", False, "worse than guessing"),
        ({"auc": 0.52, "low": 0.51, "high": 0.53}, "none", False, "too little"),
        ({"shuffled": (0.5, 0.86)}, "none", False, "as much as on the true"),
        ({"loci": 8}, "weak", False, "only 8 loci"),
        ({"auc": 0.56, "low": 0.53, "high": 0.6}, "weak", False, "Weak"),
        ({"auc": math.nan, "low": math.nan, "high": math.nan}, "none", False, "no interval"),
        ({"baseline": "GC content", "baseline_auc": 0.9, "difference": (-0.05, -0.08, -0.02)}, "signal", False,
         "GC content alone reaches 0.90; the model is worse"),
        ({"leaking_split": "random", "leaking_auc": 0.86, "leaking_shuffled": 0.7}, "signal", True, "memory"),
        ({"leaking_split": "random", "leaking_auc": 0.86, "leaking_shuffled": 0.52}, "signal", False, "signal"),
        ({"split": "", "leaking_split": "random", "leaking_auc": 0.99, "auc": 0.99}, "none", False,
         "nothing was held out"),
    ],
)
def test_the_verdict_follows_from_the_numbers(changed: dict, answer: str, leakage: bool, says: str) -> None:
    judged = judge(replace(SURE, **changed))
    assert (judged.answer, judged.leakage) == (answer, leakage), judged.sentence
    assert re.search(says, judged.sentence), judged.sentence


def test_what_cannot_be_checked_is_refused(with_signal, tmp_path: Path) -> None:
    folder = with_signal[0]
    with pytest.raises(InputError, match="not the --out folder"):
        load_trained(folder / "dataset")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "summary.json", "predictions.parquet"):
        (run / name).write_bytes((folder / "run" / name).read_bytes())
    write_state(run, RunState("done", "train"))
    summary = read_json(run / "summary.json")
    (run / "summary.json").write_text(json.dumps(
        {**summary, "dataset": {**summary["dataset"], "folder": str(tmp_path / "gone")}}
    ))
    with pytest.raises(InputError, match="gone"):
        load_trained(run)


def test_reads_are_checked_too(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "reads", kind="reads", n=1200)
    run, out = tmp_path / "run", tmp_path / "controls"
    train(dataset, run, "logistic")
    words = ["controls", str(run), "--threads", "1", "--shuffles", "1", "--bootstrap-samples", "50"]
    assert main([*words, "--out", str(out), "--quiet"]) == 0
    summary = read_json(out / "summary.json")
    assert summary["verdict"]["answer"] == "signal"
    assert abs(summary["shuffled"]["mean"] - 0.5) < 0.12
    assert not summary["verdict"]["leakage"], "reads drawn at random do not overlap"
