"""The Runs page without a browser: its columns, samples of a cohort put aside, runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neandl_core.__main__ import main
from neandl_core.workspace import Workspace
from pages.shared import run_compare
from pages.shared.run_columns import inputs_text
from pages.shared.run_compare import test_of as scores_of  # else pytest takes it for a test
from tests.test_app import fake_run, opened, texts, workspace  # noqa: F401 - a fixture
from tests.test_training import make_dataset


@pytest.fixture
def models(workspace: Workspace, tmp_path: Path) -> list[Path]:  # noqa: F811
    """Two models of one dataset, and the controls of one of them."""
    data = make_dataset(tmp_path / "dataset", n=800, signal=0.5).folder
    made = []
    for name, words in {
        "a": ("train", data, "--preset", "logistic"), "b": ("train", data, "--preset", "logistic", "--k", 3),
        "c": ("controls", workspace.runs / "a", "--shuffles", 1),
    }.items():
        made.append(workspace.runs / name)
        line = [*words, "--threads", 1, "--out", made[-1], "--title", f"Model {name}", "--quiet"]
        assert main([str(word) for word in line]) == 0
    return made


def test_runs_are_compared_with_their_controls(models: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert inputs_text(models[0], None).endswith(" + 2")
    assert inputs_text(models[2], None).startswith("Model a")
    own = json.loads((models[0] / "summary.json").read_text())["test"]
    control = scores_of(json.loads((models[2] / "summary.json").read_text()))
    assert control["n"] == own["n"]
    assert control["auc"] == pytest.approx(own["auc"])
    app = opened("runs")
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table.columns) == ["Title", "Result", "Step", "State", "Input", "Started", "Took", "Disk"]
    assert (table["Disk"] > 1000).all()
    # AppTest cannot tick rows of a table: the comparison is drawn for the three runs as if they were ticked.
    monkeypatch.setattr("streamlit.dataframe", ticked())
    app = opened("runs")
    assert not app.exception
    assert "3 runs side by side" in texts(app)
    shown = {name: table for table in (element.value for element in app.dataframe) for name in table.columns}
    low, high = own["auc_ci"]
    cells = shown["AUC"].set_index("Run")["AUC"]
    assert cells["Model a"] == f"{own['auc']:.3f} ({low:.3f} to {high:.3f})"
    assert "k" in set(shown["setting"]["setting"]), "what differs is named"
    assert run_compare.with_interval({"auc": None}, "auc") == "undefined"


def ticked():
    """Return Streamlit's table, whose every row is ticked where rows can be."""
    import streamlit as st
    from streamlit.elements.arrow import DataframeState

    real = st.dataframe

    def table(data, **options):
        answer = real(data, **options)
        if options.get("selection_mode") != "multi-row":
            return answer
        return DataframeState(selection={"rows": list(range(len(data))), "columns": [], "cells": []})

    return table


def test_samples_of_a_cohort_are_put_aside_until_asked_for(workspace: Workspace) -> None:  # noqa: F811
    fake_run(workspace, "all", "cohort", pid=None, finished=2.0)
    for name in ("all/s1", "all/s2", "alone"):
        fake_run(workspace, name, "reads", title=name, finished=2.0)
    app = opened("runs")
    assert sorted(app.dataframe[0].value["Title"]) == ["all", "alone"]
    app.toggle(key="runs-samples").set_value(True).run()
    assert not app.exception
    assert sorted(app.dataframe[0].value["Title"]) == ["all", "all/s1", "all/s2", "alone"]
