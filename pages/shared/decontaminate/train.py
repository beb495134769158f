"""Step 2: train a model of reads."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.config import TrainSettings
from neandl_core.presets import PRESET_TEXT, PRESETS
from neandl_core.runs import list_runs, read_summary
from pages.shared import runs_view, show
from pages.shared.curves import learning_curves, live_curves
from pages.shared.decontaminate import steps
from pages.shared.state import workspace

KINDS = ("ends", "cnn", "logistic")
"""How the names of the presets begin that work on reads."""
NEED_REFERENCE = ("ends-reference", "ends-quality")


def step() -> None:
    """Show the form, what is at work, and how the chosen model learnt."""
    at_work = runs_view.active("train", live_curves)
    folder = runs_view.run_picker("train", "Model", steps.MODEL_KEY, accept=steps.of_reads)
    with st.expander("Train a model", expanded=folder is None and not at_work, icon=":material/add:"):
        form()
    if folder is not None:
        summary = read_summary(folder) or {}
        if summary["dataset"]["simulated"]:
            show.simulated_badge()
        st.markdown(f"**{show.safe_label(summary['preset'])}**: {PRESET_TEXT.get(summary['preset'], '')}")
        learning_curves(folder, simulated=summary["dataset"]["simulated"])
        steps.next_button("evaluate", "See what it is worth", key="train-next")


def form() -> None:
    """Ask for dataset, preset and how long to train."""
    datasets = dict(list_runs(workspace().runs, "read-set", "done"))
    left, right = st.columns(2, gap="medium")
    with left:
        dataset = st.selectbox("Dataset", list(datasets), key="reads-train-dataset", format_func=lambda folder: (
            f"{datasets[folder].title or folder.name} · {runs_view.when_text(datasets[folder].queued)}"
        ))
        known = bool((read_summary(dataset) or {}).get("layers"))
        presets = [name for kind in KINDS for name in PRESETS if name.startswith(kind)]
        presets = [name for name in presets if known or name not in NEED_REFERENCE]
        usual = presets.index("ends-reference") if known else 0
        preset = st.selectbox("Model", presets, usual, key=f"reads-train-preset-{known}")
        st.caption(PRESET_TEXT[preset])
        if not known:
            st.caption("Models that look at the reference need reads with MD tags; these have none.")
    with right:
        one, two = st.columns(2)
        epochs = one.number_input("Epochs", 1, 10_000, PRESETS[preset]["epochs"], key=f"reads-train-epochs-{preset}",
                                  help="Times the model sees all training reads.")
        device = two.selectbox("Device", ["auto", "cpu", "cuda"], key="reads-train-device",
                               help="auto takes the GPU if there is one.")
        controls = st.toggle(
            "Train again under a random split, for comparison", True, key="reads-train-controls",
            help="Takes twice as long and shows whether a high score is memory.",
        )
    title = st.text_input("Name", preset, key=f"reads-train-title-{preset}")
    if st.button("Train", type="primary", icon=":material/play_arrow:"):
        with show.plain_errors():
            settings = TrainSettings.preset_of(preset, epochs=int(epochs), device=device, controls=controls)
            arguments = [
                str(Path(dataset)), "--preset", preset, "--epochs", str(settings.epochs), "--device", device,
            ]
            runs_view.start("train", arguments if controls else [*arguments, "--no-controls"], title)
