"""What the Training page offers on a machine with two GPUs, by what the driver's own program would print."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

from neandl_core.config import TrainSettings
from pages.shared.model_form import arguments
from tests.test_app import texts
from tests.test_model_form import chosen, page  # noqa: F401 - a fixture

LINES = "0, NVIDIA H100 80GB HBM3, 81559, 12000, 37\n1, NVIDIA H100 80GB HBM3, 81559, 0, 0\n"


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An nvidia-smi that lists two GPUs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{LINES}'\n".replace("\n'", "\\n'").replace("37\n", "37\\n"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    st.cache_data.clear()
    yield
    st.cache_data.clear()


def test_devices_their_number_and_their_arithmetic_are_offered(two_gpus, page) -> None:  # noqa: F811
    app = chosen(page, "cnn-windows")
    assert not app.exception
    app.segmented_control(key="train-device").set_value("cuda").run()
    assert "NVIDIA H100 80GB HBM3, 80 GB, 11.7 GB in use" in texts(app).replace("\\", "")
    number = app.number_input(key="train-processes")
    assert (number.min, number.max, number.value) == (1, 2, 1)
    assert app.toggle(key="train-bf16").value is False, "off unless asked for: numbers should come again"
    app.segmented_control(key="train-device").set_value("cpu").run()
    assert "train-processes" not in {field.key for field in app.number_input}
    assert "train-bf16" not in {field.key for field in app.toggle}
    app.segmented_control(key="train-device").set_value("auto").run()
    app = chosen(app, "bilstm")
    assert "train-bf16" not in {field.key for field in app.toggle}, "it gains nothing"


def test_a_machine_without_gpu_offers_no_choice(page) -> None:  # noqa: F811
    st.cache_data.clear()
    assert not [one for one in page.segmented_control if one.key == "train-device"]
    assert "Runs on the processor" in texts(page)


def test_what_is_chosen_reaches_the_command(tmp_path: Path) -> None:
    settings = TrainSettings.preset_of("cnn-deep", processes=2, device="cuda", bf16=True)
    words = arguments(tmp_path, settings)
    assert words[words.index("--processes") + 1] == "2"
    assert words[words.index("--device") + 1] == "cuda"
    assert "--bf16" in words
    assert "--bf16" not in arguments(tmp_path, TrainSettings.preset_of("cnn-deep"))
