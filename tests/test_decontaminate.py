"""The Decontaminate page from nothing to two BAM files, through its own forms, on simulated samples."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.__main__ import main
from neandl_core.demo import steps as demo_steps
from neandl_core.figures.print import export_bytes
from neandl_core.figures.reads import match_figure
from neandl_core.runs import list_runs, read_log, read_state, read_summary
from neandl_core.workspace import Workspace
from pages.shared.decontaminate.steps import NAMES
from tests.test_app import fake_run, opened, texts, workspace  # noqa: F401 - a fixture


def turn_to(app: AppTest, step: str) -> None:
    app.session_state["decontaminate-step"] = step
    app.run()
    assert not app.exception
    assert not app.error


def press(app: AppTest, label: str, command: str, workspace: Workspace) -> Path:  # noqa: F811
    """Press a button that starts a run, wait for its end, and open the page again at the same step."""
    before = {folder for folder, _ in list_runs(workspace.runs, command)}
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    assert not app.error
    folder = next(folder for folder, _ in list_runs(workspace.runs, command) if folder not in before)
    deadline = time.monotonic() + 240
    while not read_state(folder).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    assert read_state(folder).state == "done", read_log(folder)
    app.run()
    assert not app.exception
    assert not app.error
    return folder


def table_with(app: AppTest, *columns: str) -> pd.DataFrame:
    return next(table.value for table in app.dataframe if set(columns) <= set(table.value.columns))


def cards(app: AppTest) -> dict[str, str]:
    return {card.label: card.value for card in app.metric}


def test_from_two_samples_to_two_files(workspace: Workspace) -> None:  # noqa: F811
    words = ["simulate", "--reads", "6000", "--chromosome-length", "200000", "--contamination", "0.4"]
    assert main([*words, "--quiet", "--out", str(workspace.runs / "simulated")]) == 0
    app = opened("decontaminate")
    assert app.session_state["decontaminate-step"] == "dataset", "it opens at the first step that is not done"
    for step, missing in (("train", "No dataset of reads"), ("apply", "No model of reads"), ("download", "No sample")):
        turn_to(app, step)
        assert missing in texts(app)

    turn_to(app, "dataset")
    assert [[path.name for path in app.multiselect(key=key).value] for key in ("set-ancient", "set-modern")] == [
        ["ancient.bam"], ["modern.bam"],
    ]
    made = press(app, "Make dataset", "read-set", workspace)
    assert "no stretch of the genome lies in two parts" in app.success[0].value
    summary = read_summary(made)
    parts = table_with(app, "part", "ancient", "modern")
    assert parts[["ancient", "modern"]].sum().tolist() == [summary["examples"] // 2] * 2
    fates = table_with(app, "reads", "ancient", "modern")
    assert fates["ancient"].sum() == summary["reads_total"]["ancient"]
    assert fates["modern"].sum() == summary["reads_total"]["modern"]
    audit = table_with(app, "check", "this split").set_index("check")["this split"]
    assert audit["test reads in a stretch that training has"] == "0.0%"

    turn_to(app, "train")
    assert app.selectbox(key="reads-train-preset-read-set-True").value == "ends-reference"
    app.number_input(key="reads-train-epochs-ends-reference").set_value(1).run()
    app.toggle(key="reads-train-controls").set_value(False).run()
    model = press(app, "Train", "train", workspace)
    turn_to(app, "evaluate")
    test = read_summary(model)["test"]
    shown = cards(app)
    assert shown["AUC"] == f"{test['auc']:.3f}"
    assert {"PMD score", "Without the ends", "Length alone", "GC alone", "Quality alone"} <= set(shown)
    assert abs(float(shown["Without the ends"]) - 0.5) < 0.1, "simulated classes differ at the ends alone"

    turn_to(app, "apply")
    result = read_summary(press(app, "Estimate contamination", "classify", workspace))
    low, high = result["contamination"]["ci"]
    assert cards(app)["95% interval"] == f"{low:.1%} to {high:.1%}"
    assert abs(result["contamination"]["estimate"] - 0.4) < 0.15
    for fold in ("classify-counted", "classify-single"):
        app.session_state[f"{fold}-folded"] = True
    app.run()
    assert table_with(app, "reads", "count", "share")["count"].sum() == result["reads_total"]
    drawn = table_with(app, "score", "changes", "mapping_quality")
    assert drawn["score"].between(0.9, 1).all()

    turn_to(app, "download")
    listed = set(table_with(app, "file", "size")["file"])
    assert {"ancient.bam", "ancient.bam.bai", "modern.bam", "reads.parquet", "scores.tsv"} <= listed
    assert {"ancient.bam", "modern.bam"} <= {button.label for button in app.get("download_button")}


@pytest.mark.parametrize("step", NAMES)
def test_a_link_opens_its_step(workspace: Workspace, step: str) -> None:  # noqa: F811
    app = opened()
    app.switch_page("../decontaminate.py")
    app.query_params["step"] = step
    app.run()
    assert not app.exception
    assert app.session_state["decontaminate-step"] == step


def test_work_at_other_steps_is_shown_once(workspace: Workspace) -> None:  # noqa: F811
    for command in ("read-set", "train", "classify"):
        fake_run(workspace, command, command, state="queued", title=f"my {command}")
    app = opened("decontaminate")
    assert not app.exception
    assert sum(button.label == "Cancel" for button in app.button) == 3


def test_the_classes_are_compared_by_share() -> None:
    examples = pd.DataFrame({
        "label": [1, 1, 0, 0, 0, 0], "split": "train", "comparison_split": "train", "locus": 0, "contig": "chr1",
        "start": 0, "gc": [0.4, 0.41, 0.5, 0.5, 0.5, None], "length": [30, 40, 30, 30, 40, 40],
    })
    figure, table = match_figure(examples)
    lengths = table[table["measure"] == "length"].set_index(["class", "value"])["share"]
    assert lengths.to_dict() == {("ancient", 30): 0.5, ("ancient", 40): 0.5, ("modern", 30): 0.5, ("modern", 40): 0.5}
    gc = table[table["measure"] == "GC"].set_index(["class", "value"])["reads"]
    assert gc.to_dict() == {("ancient", 40): 2, ("modern", 48): 3}
    assert "2 ancient, 4 modern" in figure.layout.title.text
    assert export_bytes(figure, "pdf").startswith(b"%PDF")


def test_the_demo_fills_every_step_with_a_model_that_can_sort_reads() -> None:
    planned = demo_steps(1)
    order = [step.folder for step in planned]
    assert order.index("read-set") < order.index("train-ends") < order.index("classify")
    by_name = {step.folder: step for step in planned}
    assert "@train-ends" in by_name["classify"].arguments
    assert "@simulated/mixed.bam" in by_name["classify"].arguments
    assert by_name["train-ends"].arguments[by_name["train-ends"].arguments.index("--preset") + 1] == "ends-reference"
    made = {"simulated"}
    for step in planned:
        needed = {word[1:].split("/")[0] for word in step.arguments if word.startswith("@")}
        assert needed <= made, "a step uses only what was made before it"
        made.add(step.folder)
