"""The form that trains a model: a dataset, a preset, and that preset's settings with what each of them does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from neandl_core.config import TrainSettings
from neandl_core.errors import NeanDLError
from neandl_core.files import read_json
from neandl_core.models import ENDS, LAYERS_SEEN, NETWORKS, check_fit
from neandl_core.presets import OPTIONS, PRESET_TEXT, PRESETS
from neandl_core.runs import list_runs, read_summary
from pages.shared import runs_view, show
from pages.shared.device_picker import device_picker, precision_picker, process_picker
from pages.shared.state import workspace

DATASETS = ("windows", "read-set")
NO_LIMIT = "0 = no limit."
_COLUMNS = 3


@st.fragment
def form(commands: Sequence[str] = DATASETS, prefix: str = "train") -> None:
    """Show the form, and start the run when it is sent; settings that cannot work are refused as they are typed.

    Parameters
    ----------
    commands
        Those that made the datasets offered.
    prefix
        Of the keys of the widgets.
    """
    datasets = {
        folder: state for command in commands
        for folder, state in list_runs(workspace().runs, command, "done")
    }
    if not datasets:
        show.empty_state(
            "No dataset yet", "A model learns from a dataset of windows or reads. Make one first.",
            "windows", "Cut windows",
        )
        return
    left, right = st.columns(2, gap="medium")
    with left:
        dataset = st.selectbox(
            "Dataset", list(datasets), key=f"{prefix}-dataset",
            format_func=lambda folder: (
                f"{datasets[folder].title or folder.name} · {runs_view.when_text(datasets[folder].queued)}"
            ),
        )
        kind = datasets[dataset].command
        known = kind == "read-set" and bool((read_summary(dataset) or {}).get("layers"))
        presets, usual = presets_for(kind, known)
        preset = st.selectbox(
            "Model", presets, presets.index(usual), key=f"{prefix}-preset-{kind}-{known}",
            help="Each is offered with its published settings, where there are any.",
        )
        st.caption(PRESET_TEXT[preset])
        if kind == "read-set" and not known:
            st.caption("Models that look at the reference need reads with MD tags or a reference; these have none.")
    try:
        width, k = _shape(dataset)
    except NeanDLError as error:
        show.error_box(error)
        return
    with right:
        values = settings_form(preset, k, prefix)
        controls = st.toggle(
            "Train again under the other split, for comparison", True, key=f"{prefix}-controls",
            help="Takes twice as long and shows whether a high score is memory.",
        )
        device, processes, bf16 = "auto", 1, False
        if preset in NETWORKS:
            device = device_picker(f"{prefix}-device")
            processes = process_picker(f"{prefix}-processes", device)
            bf16 = preset != "bilstm" and precision_picker(f"{prefix}-bf16", device)
    settings = None
    try:
        settings = TrainSettings.preset_of(
            preset, **values, device=device, processes=processes, controls=controls, bf16=bf16,
        )
        check_fit(preset, width, values.get("k") or k)
    except NeanDLError as error:
        settings = None
        show.error_box(error)
    title = st.text_input("Name", preset, key=f"{prefix}-title-{preset}")
    if st.button("Train", type="primary", icon=":material/play_arrow:", disabled=settings is None):
        with show.plain_errors():
            runs_view.start("train", arguments(dataset, settings), title)


def presets_for(command: str, known: bool) -> tuple[list[str], str]:
    """Return the presets for the datasets that a command makes, and the usual one.

    Parameters
    ----------
    command
        ``windows`` or ``read-set``.
    known
        Whether the reads come with their reference bases.
    """
    if command == "windows":
        return [name for name in PRESETS if name not in ENDS], "bilstm"
    fitting = [name for name in PRESETS if name != "bilstm" and (known or not LAYERS_SEEN.get(name))]
    # Those made for reads first.
    return sorted(fitting, key=lambda name: name not in ENDS), "ends-reference" if known else "ends"


def settings_form(preset: str, k: int, prefix: str = "train") -> dict[str, Any]:
    """Show a preset's settings and return what is in them, without checking it.

    Parameters
    ----------
    preset
        One of `PRESETS`.
    k
        The dataset's k-mer length, offered where the preset has none of its own.
    prefix
        Of the keys of the widgets.
    """
    values: dict[str, Any] = {}
    options = [name for name in OPTIONS[preset] if name != "reverse_complements"]
    columns: list[Any] = []
    for place, name in enumerate(options):
        if place % _COLUMNS == 0:
            columns = st.columns(_COLUMNS, vertical_alignment="bottom")
        values[name] = _number(columns[place % _COLUMNS], preset, name, k, prefix)
    if "reverse_complements" in OPTIONS[preset]:
        field = TrainSettings.model_fields["reverse_complements"]
        values["reverse_complements"] = st.toggle(
            field.title, PRESETS[preset].get("reverse_complements", False), help=field.description,
            key=f"{prefix}-reverse_complements-{preset}",
        )
    return values


def arguments(dataset: Path, settings: TrainSettings) -> list[str]:
    """Return the words of the `train` command for a dataset and settings."""
    words = [str(dataset), "--preset", settings.preset, "--device", settings.device]
    for name in OPTIONS[settings.preset]:
        value = getattr(settings, name)
        if name == "reverse_complements":
            words.append("--reverse-complements" if value else "--one-strand")
        elif value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if settings.processes > 1:
        words += ["--processes", str(settings.processes)]
    if settings.bf16:
        words.append("--bf16")
    return words if settings.controls else [*words, "--no-controls"]


def _number(place: Any, preset: str, name: str, k: int, prefix: str) -> float | int | None:
    """Ask for one number. It has no limits here: the settings' own refusal says in words what is allowed."""
    field = TrainSettings.model_fields[name]
    key = f"{prefix}-{name}-{preset}"
    default = PRESETS[preset].get(name)
    if name == "depth":
        return int(place.number_input(field.title, value=0, key=key, help=f"{field.description} {NO_LIMIT}")) or None
    if name == "k":
        return int(place.number_input(field.title, value=default or k, key=f"{key}-{k}", help=field.description))
    if isinstance(default, float):
        form = "%.6f" if default < 1e-4 else "%.5f"
        return float(place.number_input(
            field.title, value=default, step=default / 10, format=form, key=key, help=field.description
        ))
    return int(place.number_input(field.title, value=default, step=1, key=key, help=field.description))


def _shape(dataset: Path) -> tuple[int, int]:
    """Return the width of a dataset's examples and its k; InputError if it cannot be read."""
    described = read_json(dataset / "dataset.json")
    return int(described["width"]), int(described["k"])
