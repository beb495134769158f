"""A run at work: its curves by batch and epoch, its pace, the GPU's load."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.figures.style import for_screen
from neandl_core.figures.training import curve_figure
from neandl_core.runs import read_metrics
from pages.shared.device_picker import gpus


def live_curves(folder: Path) -> None:
    """Draw the learning curves of a training so far, with its pace; of other runs nothing is drawn."""
    records = read_metrics(folder)
    names = list(dict.fromkeys(record.get("run", "main") for record in records))
    if not names:
        st.caption("The first numbers come after a few seconds.")
        return
    current = names[-1]
    said = ["The model itself" if current == "main" else f"The same model again, under the {current} split"]
    paces = [record["samples_per_second"] for record in records if record.get("samples_per_second")]
    if paces:
        said.append(f"{paces[-1]:,.0f} examples per second")
    said += [
        f"{gpu.label}{'' if gpu.busy is None else f', {gpu.busy} % busy'}" for gpu in gpus()
    ]
    st.caption(" · ".join(said))
    st.plotly_chart(
        for_screen(curve_figure(records, current), st.context.theme.type == "dark"), theme=None,
        key=f"live-{folder.name}", width="stretch", config={"displayModeBar": False},
    )
