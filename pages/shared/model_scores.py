"""How a trained model errs, on its page: curves over thresholds, calls, read lengths, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from neandl_core.config import LEAKY
from neandl_core.figures.reads import reliability_figure
from neandl_core.figures.scores import confusion_figure, length_score_figure, threshold_figure
from neandl_core.presets import PUBLISHED
from pages.shared import cached, show


def errors(folder: Path, summary: dict[str, Any]) -> None:
    """Offer to show where the model of a finished `train` run errs; runs of older versions show what they have."""
    show.folded("Where it errs", lambda: _errors(folder, summary), "errors", icon=":material/troubleshoot:")


def _errors(folder: Path, summary: dict[str, Any]) -> None:
    stored = cached.json_file(folder / "evaluation.json")
    splits = sorted(stored["splits"], key=lambda split: not split["main"])
    test, simulated, made = splits[0]["test"], summary["dataset"]["simulated"], folder / "summary.json"
    if summary["preset"] in PUBLISHED:
        st.caption(
            f"Published for {summary['preset']}: {PUBLISHED[summary['preset']]}. Those were other reads, divided "
            "at random; here no stretch of the genome is on both sides."
            if summary["dataset"]["split"] not in LEAKY else
            f"Published for {summary['preset']}: {PUBLISHED[summary['preset']]}."
        )
    if test.get("roc") and test["roc"]["threshold"]:
        show.figure(
            cached.drawn(made, threshold_figure, splits), curve_table(splits), "thresholds", "thresholds",
            "Each point of a line is a threshold: the lower it is, the more is found and the more of it is wrong. "
            "Left, the further up and left the better; right, the further up and right.", simulated=simulated,
        )
    names = summary["classes"]["names"]
    left, right = st.columns(2, gap="medium")
    with left:
        show.figure(
            cached.drawn(made, confusion_figure, test["confusion"], names),
            confusion_table(test["confusion"], names), "calls", "calls",
            "Test examples by what they are and what they were called. Blue is right.", simulated=simulated,
        )
    with right:
        if test.get("by_length"):
            show.figure(
                cached.drawn(made, length_score_figure, test["by_length"]), length_table(test["by_length"]),
                "by-length", "by-length",
                "Damage sits at the ends, so long reads say no more of it than short ones. A model that gains "
                "with length uses what lies between.", simulated=simulated,
            )
        else:
            reliability(folder, summary, test, simulated)
    if test.get("by_length"):
        reliability(folder, summary, test, simulated)


def reliability(folder: Path, summary: dict[str, Any], test: dict[str, Any], simulated: bool) -> None:
    """Show whether probabilities mean what they say, before and after correction where there is one."""
    found = summary.get("calibration") or {}
    before, after = test["reliability"], []
    text = f"Calibration error {test['ece']:.3f}."
    if found:
        stored = cached.json_file(folder / "calibration.json")
        before, after = stored["reliability_before"], stored["reliability"]
        text = f"Calibration error {found['ece_before']:.3f} before and {found['ece_after']:.3f} after"
        if found.get("ece_expected") is not None:
            text += f"; right probabilities would have {found['ece_expected']:.3f} by chance"
        if found.get("method"):
            text += f". Correction: {found['method']}"
        text += "."
    show.figure(
        cached.drawn(folder / "summary.json", reliability_figure, before, after, test["n"]),
        pd.DataFrame(after or before), "reliability", "reliability",
        f"Does a probability mean what it says? On the diagonal it does. {text}", simulated=simulated,
    )


def curve_table(splits: list[dict[str, Any]]) -> pd.DataFrame:
    """Return all stored curves as rows: model, curve, x, y, threshold."""
    models = {f"{split['split']} split": split["test"] for split in splits}
    models |= {f"baseline {name}": scores for name, scores in splits[0]["baselines"].items()}
    keys = {"roc": ("false_positive_rate", "true_positive_rate"), "precision_recall": ("recall", "precision")}
    parts = [
        pd.DataFrame({
            "model": name, "curve": curve, "x": scores[curve][x], "y": scores[curve][y],
            "threshold": scores[curve]["threshold"],
        })
        for name, scores in models.items() for curve, (x, y) in keys.items() if scores.get(curve)
    ]
    return pd.concat(parts, ignore_index=True)


def confusion_table(table: list[list[int]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame([
        {"true class": names[true], **{f"called {names[called]}": row[called] for called in (0, 1)}}
        for true, row in enumerate(table)
    ])


def length_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a bin, intervals in columns of their own."""
    return pd.DataFrame([
        {
            **{name: row[name] for name in ("shortest", "longest", "n", "ones", "accuracy", "auc")},
            **{f"{name}_{side}": row[f"{name}_ci"][place] for name in ("accuracy", "auc")
               for place, side in enumerate(("low", "high"))},
        }
        for row in rows
    ])
