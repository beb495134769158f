"""Several train runs side by side: one row each, and the settings in which they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError
from neandl_core.files import read_json
from neandl_core.runs import list_runs, read_summary

SIGNAL_WORDS = {"clear": "signal", "weak": "weak", "none": "no evidence"}
"""A verdict in a word or two, for a table."""
NO_RIVAL = ("quality",)
"""Baselines that are warnings, not rivals: mean quality tells sequencers apart."""


def result_row(summary: Mapping[str, Any], controls: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a table of runs says of one, from its summary.

    Parameters
    ----------
    summary
        Of a finished `train` run.
    controls
        Summary of the `controls` run that checked it; None if nobody did.

    Returns
    -------
    dict
        `model`, `split`, `auc`, `low`, `high`, `accuracy`, `brier`, `ece` (None where undefined), `beats_baseline`
        (yes, no, unclear), `verdict`, `checked` (the controls' answer, or unchecked), `examples`, `loci`, `simulated`.

    Raises
    ------
    KeyError, TypeError
        If the summary is of another version.
    """
    test = summary["test"]
    low, high = test.get("auc_ci") or (None, None)
    checked = "unchecked"
    if controls is not None:
        checked = {"signal": "real", "weak": "weak", "none": "not real"}[controls["verdict"]["answer"]]
    return {
        "model": summary["preset"], "split": summary["dataset"]["split"], "auc": test["auc"], "low": low, "high": high,
        "accuracy": test["accuracy"], "brier": test["brier"], "ece": test["ece"],
        "beats_baseline": beats_baseline(summary, controls), "verdict": SIGNAL_WORDS[summary["verdict"]["signal"]],
        "checked": checked, "examples": test["n"], "loci": test["loci"], "simulated": summary["dataset"]["simulated"],
    }


def beats_baseline(summary: Mapping[str, Any], controls: Mapping[str, Any] | None = None) -> str:
    """Return whether a model is better than its best baseline: yes, no or unclear.

    With controls this is the interval of their difference; without, whether the baseline lies below the model's
    interval.
    """
    if controls is not None and controls["baseline"]["difference_ci"][0] is not None:
        low, high = controls["baseline"]["difference_ci"]
        return "yes" if low > 0 else "no" if high < 0 else "unclear"
    rivals = [
        scores["auc"] for name, scores in summary["baselines"].items()
        if name not in NO_RIVAL and scores["auc"] is not None
    ]
    area, low = summary["test"]["auc"], (summary["test"].get("auc_ci") or (None,))[0]
    if not rivals or area is None or low is None:
        return "unclear"
    return "no" if max(rivals) >= area else "unclear" if max(rivals) >= low else "yes"


def run_key(folder: str | Path) -> tuple[str, ...]:
    """Return what tells a run from others even after its workspace was moved: the last two names of its path."""
    return Path(folder).parts[-2:]


def controls_of_runs(runs: Path) -> dict[tuple[str, ...], tuple[Path, dict[str, Any]]]:
    """Return, by `run_key` of the train run they checked, the newest finished controls: their folder and summary."""
    found: dict[tuple[str, ...], tuple[Path, dict[str, Any]]] = {}
    for folder, _ in list_runs(runs, "controls", "done"):
        summary = read_summary(folder)
        if summary and "model" in summary:
            found.setdefault(run_key(summary["model"]["run"]), (folder, summary))
    return found


def differing_settings(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the settings in which runs differ, one row a setting with a value for each run by folder name.

    The dataset counts as a setting; what a run does not have is empty.
    """
    values: list[dict[str, Any]] = []
    for folder in folders:
        try:
            config = read_json(folder / "config.json")
            summary = read_summary(folder) or {}
        except InputError:
            values.append({})
            continue
        values.append({**config.get("settings", {}), "dataset": Path(summary["dataset"]["folder"]).name})
    names = list(dict.fromkeys(name for one in values for name in one))
    rows = []
    for name in names:
        of_runs = [one.get(name) for one in values]
        if any(value != of_runs[0] for value in of_runs[1:]):
            rows.append({"setting": name.replace("_", " "), **{
                folder.name: "" if value is None else str(value)
                for folder, value in zip(folders, of_runs, strict=True)
            }})
    return rows


def auc_text(row: Mapping[str, Any]) -> str:
    """Write an AUC with its interval: ``0.87 [0.84, 0.89]``."""
    if row["auc"] is None or (isinstance(row["auc"], float) and math.isnan(row["auc"])):
        return "undefined"
    if row["low"] is None or math.isnan(row["low"]):
        return f"{row['auc']:.2f}"
    return f"{row['auc']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
