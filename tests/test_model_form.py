"""The form that trains a model: every preset's settings, explained, and impossible ones refused before a run starts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.config import TrainSettings
from neandl_core.presets import OPTIONS, PRESET_TEXT
from neandl_core.runs import RunState, write_state
from neandl_core.workspace import Workspace
from pages.shared import model_form, state

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The Training page beside one dataset of windows of 30 bases."""
    monkeypatch.setenv("NEANDL_WORKSPACE", str(tmp_path))
    folder = Workspace.from_environment().runs / "windows-1"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"width": 30, "k": 7}))
    write_state(folder, RunState(state="done", command="windows", title="mine", queued=time.time()))
    app = AppTest.from_file(str(ROOT / "pages" / "shared" / "shell.py"), default_timeout=60).run()
    return app.switch_page(state.PAGES["training"]).run()


def chosen(page: AppTest, preset: str) -> AppTest:
    return page.selectbox(key="train-preset-windows-False").select(preset).run()


@pytest.mark.parametrize("preset", [name for name in OPTIONS if not name.startswith("ends")])
def test_every_setting_of_a_preset_is_offered_and_explained(page: AppTest, preset: str) -> None:
    app = chosen(page, preset)
    assert not app.exception
    assert not app.error
    shown = {field.label: field for field in (*app.number_input, *app.toggle)}
    for name in OPTIONS[preset]:
        title = TrainSettings.model_fields[name].title
        assert shown[title].proto.help
    assert any(PRESET_TEXT[preset] == caption.value for caption in app.caption)
    assert not next(button for button in app.button if button.label == "Train").disabled


@pytest.mark.parametrize(
    ("preset", "title", "value", "words"),
    [
        ("bag-of-kmers-forest", "Trees", 0, "trees \\= 0 is refused"),
        ("bilstm", "Batch size", 0, "batch\\-size \\= 0 is refused"),
        ("word2vec", "k-mer length", 12, ""),
        ("bilstm", "k-mer length", 31, "k \\= 31 is refused"),
        ("logistic", "k-mer length", 9, "counts all k\\-mers of 1 to 6 bases"),
        ("cnn-windows", "Filters", -1, "filters \\= \\-1 is refused"),
    ],
)
def test_impossible_settings_are_refused_as_they_are_typed(page: AppTest, preset, title, value, words) -> None:
    app = chosen(page, preset)
    next(field for field in app.number_input if field.label == title).set_value(value)
    app.run()
    assert not app.exception
    button = next(button for button in app.button if button.label == "Train")
    if words:
        assert words in app.error[0].value
    assert button.disabled == bool(words)


def test_words_of_the_command_give_the_settings_back() -> None:
    settings = TrainSettings.preset_of("boosting", trees=7, learning_rate=0.2, reverse_complements=True, controls=False)
    words = model_form.arguments(Path("data"), settings)
    assert words == [
        "data", "--preset", "boosting", "--device", "auto", "--k", "5", "--trees", "7", "--leaves", "31",
        "--learning-rate", "0.2", "--most-examples", "100000", "--reverse-complements", "--no-controls",
    ]
