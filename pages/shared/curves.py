"""Learning curves, while a model is trained and afterwards."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from neandl_core.figures.training import curve_figure
from neandl_core.runs import read_metrics
from pages.shared import cached, show
from pages.shared.device_picker import gpus


def live_curves(folder: Path) -> None:
    """Draw the curves of a model at work; called again at each refresh."""
    records = read_metrics(folder)
    names = list(dict.fromkeys(record.get("run", "main") for record in records))
    if not names:
        st.caption("The first numbers come after a few seconds.")
        return
    current = names[-1]
    said = ["The model itself" if current == "main" else f"The same model again, under the {current} split"]
    paces = [record["samples_per_second"] for record in records if record.get("samples_per_second")]
    said += [f"{paces[-1]:,.0f} examples per second"] if paces else []
    said += [f"{gpu.label}{'' if gpu.busy is None else f', {gpu.busy}% busy'}" for gpu in gpus()]
    st.caption(" · ".join(said))
    drawn = cached.Drawn(curve_figure(records, current))
    show.on_screen(drawn, f"live-{folder.name}", "learning curves", simulated=False, bar=False)


def learning_curves(folder: Path, *, simulated: bool) -> None:
    """Show how a finished model learnt; nothing for one that is not trained in epochs."""
    records = read_metrics(folder)
    if not any("train_loss" in record for record in records):
        return
    table = pd.DataFrame([record for record in records if record.get("kind") == "epoch"])
    show.figure(
        cached.drawn(folder / "summary.json", curve_figure, records), table, "learning-curves", "curves",
        "Left the loss, right the scores. Training that improves while the validation part does not is learning by "
        "heart.",
        simulated=simulated,
    )
