"""Where a model is trained: what this machine has, with memory and what of it is in use."""

from __future__ import annotations

import streamlit as st

from neandl_core.devices import Gpu, device_choices, list_gpus
from pages.shared.show import safe_label


def device_picker(key: str) -> str:
    """Offer the devices that are there and return the chosen one; no choice where there is only the processor."""
    choices = choices_here()
    if set(choices) == {"auto", "cpu"}:
        st.caption(f"Runs on the {choices['cpu'][0].lower()}{choices['cpu'][1:]}; this machine has no GPU.")
        return "auto"
    chosen = st.segmented_control("Device", list(choices), default="auto", key=key) or "auto"
    st.caption(safe_label(choices[chosen], 200))
    return chosen


def process_picker(key: str, device: str) -> int:
    """Offer to share the work among GPUs and return among how many; where there are not two, show nothing: 1."""
    there = len(gpus()) if device in ("auto", "cuda") else 1
    if there < 2:
        return 1
    return int(st.number_input(
        "GPUs", min_value=1, max_value=there, value=1, key=key,
        help="Each takes its share of every batch. The result is the same; large batches gain most.",
    ))


def precision_picker(key: str, device: str) -> bool:
    """Offer numbers of half the size where there is an NVIDIA GPU to use them, and return whether they are wanted."""
    if device not in ("auto", "cuda") or not gpus():
        return False
    return st.toggle(
        "Faster, less exact arithmetic", key=key,
        help="bfloat16 in the network's layers. Off, a run made again gives the same numbers as far as the GPU allows.",
    )


@st.cache_data(ttl=10, show_spinner=False)
def choices_here() -> dict[str, str]:
    """Return the devices, asked for at most every ten seconds."""
    return device_choices()


@st.cache_data(ttl=3, show_spinner=False)
def gpus() -> list[Gpu]:
    """Return the GPUs with what of them is in use, asked for at most every three seconds."""
    return list_gpus()
