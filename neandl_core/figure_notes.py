"""What belongs beside a figure of a run: the method, on how much it rests, the settings, the inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neandl_core import __version__
from neandl_core.errors import InputError
from neandl_core.runs import read_config, read_state, read_summary

_DATED = re.compile(r"\d{8}-\d{6}-")
_SECONDARY = ("threads", "device", "title")


@dataclass(frozen=True)
class RunNote:
    """A run in the words of a methods section.

    Attributes
    ----------
    command, title
        What was done, and what the user called it; empty if nothing.
    method
        Sentences on how.
    n
        How many it rests on, ``n = 12,345 reads``; empty if the run does not say.
    settings
        Name -> value, as saved with the run.
    inputs
        Name of each file with the beginning of its SHA-256.
    simulated
        Whether it rests on NeanDL's own simulation.
    """

    command: str
    title: str
    method: str
    n: str
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    simulated: bool = False


def run_note(folder: str | Path) -> RunNote:
    """Describe a run by what its folder says; a run of another version is described as far as it can be.

    Raises
    ------
    InputError
        If the folder holds no run.
    """
    folder = Path(folder)
    state, summary = read_state(folder), read_summary(folder) or {}
    try:
        config = read_config(folder)
    except InputError:
        config = {}
    settings = dict(config.get("settings") or {})
    return RunNote(
        state.command, run_title(folder), _method(state.command, summary, settings, config),
        _said(_N.get(state.command), summary, settings), settings, tuple(map(_input, config.get("inputs") or ())),
        is_simulated_run(summary),
    )


def run_title(folder: str | Path) -> str:
    """Return what the user called a run; empty if nobody did, as a name of time and command says nothing.

    Raises
    ------
    InputError
        If the folder holds no run.
    """
    title = read_state(folder).title or Path(folder).name
    return "" if _DATED.match(title) else title


def is_simulated_run(summary: Mapping[str, Any]) -> bool:
    """Return whether a run's summary says that it rests on simulated data."""
    dataset = summary.get("dataset")
    return bool(summary.get("simulated") or (isinstance(dataset, Mapping) and dataset.get("simulated")))


def settings_text(settings: Mapping[str, Any]) -> str:
    """Write settings in one line; what cannot change a result is left out."""
    return ", ".join(
        f"{name.replace('_', ' ')} {_value(value)}" for name, value in settings.items()
        if name not in _SECONDARY and value is not None and value != ()  and value != []
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _input(described: Any) -> str:
    if not isinstance(described, Mapping):
        return str(described)
    name, digest = Path(str(described.get("path", "?"))).name, described.get("sha256")
    return f"{name} (SHA-256 {digest[:12]})" if isinstance(digest, str) else name


def _method(
    command: str, summary: Mapping[str, Any], settings: Mapping[str, Any], config: Mapping[str, Any]
) -> str:
    version = (config.get("software") or {}).get("neandl") or __version__
    said = _said(_METHODS.get(command), summary, settings)
    return " ".join(filter(None, (said, f"Made with NeanDL {version}, command {command}.")))


def _said(
    write: Callable[[Mapping[str, Any], Mapping[str, Any]], str] | None, summary: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> str:
    if write is None:
        return ""
    try:
        return write(summary, settings)
    except (KeyError, TypeError, ValueError):
        # A run of another version may count other things.
        return ""


_N: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "reads": lambda s, _: f"n = {s['reads_used']:,} of {s['reads_total']:,} reads",
    "windows": lambda s, _: f"n = {s['windows']['total']:,} windows",
    "read-set": lambda s, _: f"n = {s['examples']:,} reads",
    "train": lambda s, _: f"n = {s['test']['n']:,} test examples",
    "controls": lambda s, _: f"n = {s['test']['examples']:,} test examples in {s['test']['loci']:,} loci",
    "classify": lambda s, _: f"n = {s['reads_scored']:,} reads scored",
    "interpret": lambda s, _: f"n = {s['windows']['shuffled']:,} test windows",
    "embed": lambda s, _: f"n = {s['points']:,} k-mers",
    "genes": lambda s, _: f"n = {s['scored']:,} of {s['genes']:,} genes",
    "overlap": lambda s, _: f"n = {s['segments']:,} segments, {s['genes']:,} gene places",
}

_METHODS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "reads": lambda s, _: (
        f"Misincorporations were counted by distance from the read's ends, definition {s['definition']}, over "
        f"{s['reads_used']:,} of {s['reads_total']:,} reads; bands are 95% intervals."
    ),
    "windows": lambda s, x: (
        f"Windows of {x['window']} bases were cut from introgressed and depleted intervals and divided by "
        f"{x['split']}; the audit counts test windows that share place or sequence with training windows."
    ),
    "read-set": lambda s, _: "Reads of both classes were drawn with equal lengths; test reads lie on other stretches.",
    "train": lambda s, x: (
        f"The preset {s['preset']} was trained on the {s['dataset']['split']} split and tested on "
        f"{s['test']['n']:,} held-out examples; intervals are 95%, by resampling loci."
    ),
    "controls": lambda s, _: (
        f"The model was trained again on labels shuffled by locus ({s['shuffled']['runs']} times) and under the split "
        "that leaks; intervals are 95%, by resampling loci."
    ),
    "classify": lambda s, _: (
        "Each read was scored by the network; contamination is the share of modern reads in the mixture of both "
        "classes' score distributions that fits best, with a 95% interval."
    ),
    "interpret": lambda s, _: (
        f"Positions were shuffled between {s['windows']['shuffled']:,} test windows, {s['repeats']} times each, and "
        "the loss measured."
    ),
    "embed": lambda s, _: f"K-mer vectors were placed by {s['method'].upper()}, fitted to {s['fitted_to']}.",
    "genes": lambda s, _: (
        f"Windows over {s['genes']:,} genes were scored by the model and combined by gene; called introgressed from a "
        f"probability of {s['threshold']:g}."
    ),
    "overlap": lambda s, x: (
        f"Segments were placed {x['permutations']:,} times at random ({s['null_text']}) and compared with the real "
        "places."
    ),
}
