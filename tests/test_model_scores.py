"""Where a model errs: the figures say what evaluation.json says, and the page shows them for reads and for windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.figures.print import export_bytes
from neandl_core.figures.scores import confusion_figure, length_score_figure, threshold_figure
from neandl_core.files import read_json
from neandl_core.presets import PRESET_TEXT, PUBLISHED
from neandl_core.workspace import Workspace
from pages.shared import model_scores, state
from tests.test_read_importance import trained
from tests.test_training import make_dataset, train

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A model of reads and one of windows, each in a folder of runs."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "runs").mkdir()
    (folder / "reads").mkdir()
    trained(folder / "reads", "damage", "ends-reference", epochs=1).rename(folder / "runs" / "of-reads")
    train(make_dataset(folder / "data", n=800), folder / "runs" / "of-windows", "logistic")
    return folder / "runs"


def splits(run: Path) -> list[dict]:
    return read_json(run / "evaluation.json")["splits"]


def test_figures_show_the_stored_numbers_and_print(runs):
    of_windows, of_reads = splits(runs / "of-windows"), splits(runs / "of-reads")
    curves = threshold_figure(of_windows)
    named = {trace.name: trace for trace in curves.data if trace.xaxis == "x"}
    assert {"guessing", "chromosome split", "random split"} < set(named)
    assert list(named["chromosome split"].x) == of_windows[0]["test"]["roc"]["false_positive_rate"]
    area = np.trapezoid(named["chromosome split"].y, named["chromosome split"].x)
    assert f"AUC {area:.2f}" in curves.layout.title.text.replace(f"{of_windows[0]['test']['auc']:.3f}", f"{area:.2f}")

    table = of_reads[0]["test"]["confusion"]
    calls = confusion_figure(table, ("modern", "ancient"))
    said = [note.text for note in calls.layout.annotations]
    assert said[3].startswith(f"{table[1][1]:,}<br>{table[1][1] / sum(table[1]):.1%} of the ancient")
    assert sum(int(text.split("<")[0].replace(",", "")) for text in said) == of_reads[0]["test"]["n"]

    rows = of_reads[0]["test"]["by_length"]
    lengths = length_score_figure(rows)
    line = next(trace for trace in lengths.data if trace.name == "AUC")
    assert list(line.y) == [row["auc"] for row in rows]
    for figure in (curves, calls, lengths, threshold_figure(of_reads)):
        for width in (89, 183):
            assert export_bytes(figure, "png", width).startswith(b"\x89PNG")
        svg = export_bytes(figure, "svg").decode()
        assert "<image" not in svg
    assert "are ancient" in export_bytes(calls, "svg").decode()


def test_a_bin_of_one_class_is_left_out_of_its_line():
    row = {"shortest": 30, "longest": 39, "n": 80, "ones": 80, "accuracy": 0.7, "accuracy_ci": [0.6, 0.8], "auc": None,
           "auc_ci": [None, None]}
    figure = length_score_figure([row])
    assert [trace.name for trace in figure.data if trace.name] == ["accuracy"]


def test_tables_of_the_page_hold_what_is_drawn(runs):
    of_reads = splits(runs / "of-reads")
    table = model_scores.curve_table(of_reads)
    assert set(table["curve"]) == {"roc", "precision_recall"}
    assert {"locus split", "baseline pmd"} <= set(table["model"])
    assert table.groupby(["model", "curve"]).size().max() <= 200
    lengths = model_scores.length_table(of_reads[0]["test"]["by_length"])
    assert lengths["n"].sum() == of_reads[0]["test"]["n"]
    assert (lengths["auc_low"] <= lengths["auc"]).all()
    calls = model_scores.confusion_table(of_reads[0]["test"]["confusion"], ["modern", "ancient"])
    assert calls.columns.tolist() == ["true class", "called modern", "called ancient"]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", ["of-reads", "of-windows"])
def test_the_page_shows_where_a_model_errs(runs, name, old, monkeypatch, tmp_path):
    """Also for a run of a version that stored neither curves nor the choice of a correction."""
    import shutil

    from neandl_core.files import write_json

    shutil.copytree(runs / name, tmp_path / "runs" / name)
    run = tmp_path / "runs" / name
    if old:
        stored, summary = read_json(run / "evaluation.json"), read_json(run / "summary.json")
        for split in stored["splits"]:
            for scores in (split["test"], *split["baselines"].values()):
                for key in ("roc", "precision_recall", "by_length"):
                    scores.pop(key, None)
        write_json(run / "evaluation.json", stored)
        if summary["calibration"]:
            summary["calibration"] = {key: summary["calibration"][key] for key in ("ece_before", "ece_after")}
        write_json(run / "summary.json", summary)
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("NEANDL_DATA", str(tmp_path / "data"))
    assert Workspace.from_environment().runs == tmp_path / "runs"
    app = AppTest.from_file(str(ROOT / "pages" / "shared" / "shell.py"), default_timeout=60)
    app.run()
    app.switch_page(state.PAGES["training"]).run()
    app.session_state["errors-folded"] = True
    app.run()
    assert not app.exception
    captions = "\n".join(str(caption.value) for caption in app.caption)
    assert "Blue is right" in captions
    assert "Calibration error" in captions
    assert ("Each point of a line is a threshold" in captions) is not old
    assert ("with length uses what lies between" in captions) is (name == "of-reads" and not old)
    assert ("Correction:" in captions) is (name == "of-reads" and not old)


def test_published_figures_stand_in_the_presets_text():
    assert "81.5%" in PRESET_TEXT["cnn-shallow"]
    assert "83.6 to 83.9%" in PRESET_TEXT["cnn-deep"]
    assert all(text in PRESET_TEXT[preset] for preset, text in PUBLISHED.items())
    assert all("random split" in text for text in PUBLISHED.values())
