"""The Results page: no run, one, checked and unchecked, and a hundred of them; links and filters."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.comparison import beats_baseline, controls_of_runs, differing_settings, result_row
from neandl_core.files import read_json
from neandl_core.launch import launch
from neandl_core.runs import list_runs, read_state
from neandl_core.workspace import Workspace
from pages.shared import state
from tests.test_controls import dataset_of

SHELL = str(Path(__file__).resolve().parents[1] / "pages" / "shared" / "shell.py")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a dataset and one model trained on it."""
    workspace = tmp_path_factory.mktemp("trained") / "workspace"
    runs = workspace / "runs"
    runs.mkdir(parents=True)
    dataset = dataset_of(runs / "data", signal=True)
    words = ["train", str(dataset), "--preset", "logistic", "--threads", "1", "--quiet", "--title", "First model"]
    assert main([*words, "--out", str(runs / "first")]) == 0
    return workspace


@pytest.fixture
def workspace(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    shutil.copytree(trained, tmp_path / "workspace")
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("NEANDL_DATA", "")
    return Workspace.from_environment()


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(SHELL, default_timeout=60)
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(state.PAGES["results"]).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    kinds = (app.markdown, app.subheader, app.caption, app.info, app.success, app.warning, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_without_a_run_the_page_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    assert "No trained model yet" in said(opened())


def test_one_run_is_shown_without_a_comparison_and_waits_to_be_checked(workspace: Workspace) -> None:
    app = opened()
    text = said(app)
    assert "Not checked yet" in text
    assert "Scores" not in [element.value for element in app.subheader]
    assert [button.label for button in app.button if button.key == "results-check"] == ["Is it real?"]
    assert "Test chromosomes" in text


def test_the_button_starts_the_check_and_its_verdict_appears(workspace: Workspace) -> None:
    app = opened()
    app.number_input(key="results-shuffles").set_value(1)
    next(button for button in app.button if button.key == "results-check").click().run()
    (folder, _), = list_runs(workspace.runs, "controls")
    deadline = time.time() + 90
    while not read_state(folder).ended and time.time() < deadline:
        time.sleep(0.3)
    assert read_state(folder).state == "done", read_state(folder).message
    app = opened()
    assert "planted signal" in said(app)
    assert "Better than the same model on shuffled labels?" in said(app)
    assert [button.label for button in app.button if button.key == "results-check"] == ["Check again"]
    summary = read_json(folder / "summary.json")
    assert controls_of_runs(workspace.runs)[("runs", "first")][1] == summary
    assert result_row(read_json(workspace.runs / "first" / "summary.json"), summary)["checked"] == "real"


def test_a_check_can_be_cancelled_and_leaves_nothing(workspace: Workspace) -> None:
    folder = launch(
        workspace.runs, "controls", [str(workspace.runs / "first"), "--shuffles", "500"], "long"
    )
    deadline = time.time() + 60
    while read_state(folder).step == 0 and time.time() < deadline:
        time.sleep(0.2)
    (folder / "CANCEL").touch()
    while not read_state(folder).ended and time.time() < deadline:
        time.sleep(0.2)
    assert read_state(folder).state == "cancelled"
    assert not (folder / "summary.json").exists()
    assert not list(folder.glob("*.tsv"))


def test_a_hundred_runs_are_filtered_compared_and_linked_to(workspace: Workspace) -> None:
    for number in range(99):
        copy = workspace.runs / f"copy-{number:03}"
        shutil.copytree(workspace.runs / "first", copy)
        known = json.loads((copy / "state.json").read_text())
        (copy / "state.json").write_text(json.dumps({**known, "title": f"<b>Copy</b> {number}"}))
        config = json.loads((copy / "config.json").read_text())
        config["settings"]["seed"] = number
        (copy / "config.json").write_text(json.dumps(config))
    began = time.perf_counter()
    app = opened(run="copy-042")
    assert time.perf_counter() - began < 20
    assert app.selectbox(key="results-run").value == "copy-042"
    assert len(app.dataframe[0].value) == 100
    assert "100 of 100 runs" in said(app)
    app.text_input(key="results-search").set_value("copy</b> 7").run()
    assert len(app.dataframe[0].value) == 11
    app.text_input(key="results-search").set_value("nothing like it").run()
    assert "No run fits" in said(app)
    differ = differing_settings([workspace.runs / "first", workspace.runs / "copy-003"])
    assert [row["setting"] for row in differ] == ["seed"]


@pytest.mark.parametrize(
    ("area", "low", "best", "answer"),
    [(0.8, 0.75, 0.7, "yes"), (0.8, 0.75, 0.77, "unclear"), (0.8, 0.75, 0.8, "no"), (None, None, 0.7, "unclear")],
)
def test_beating_the_baseline_needs_the_whole_interval(area, low, best, answer) -> None:
    summary = {
        "test": {"auc": area, "auc_ci": [low, 0.9]},
        "baselines": {"gc": {"auc": best}, "quality": {"auc": 0.99}, "length": {"auc": None}},
    }
    assert beats_baseline(summary) == answer
