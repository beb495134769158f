"""Colours of k-mers as small numbers: one byte a k-mer and a list of what each number looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.figures.style import FAINT, SERIES

STEPS = 48
_SEQUENTIAL = ((0.0, "#0072B2"), (0.35, "#56B4E9"), (0.65, "#F0E442"), (1.0, "#D55E00"))
_DIVERGING = ((0.0, "#0072B2"), (0.5, "#D9D9D9"), (1.0, "#D55E00"))
_BLANKS = {"light": "#C9CED5", "dark": "#3A4653"}
_PAPER = {"light": "#FFFFFF", "dark": "#10171E"}
_MOST_NAMED = len(SERIES) - 1


@dataclass(frozen=True)
class Colouring:
    """How k-mers are coloured.

    Attributes
    ----------
    levels
        (n,) uint8: 0 no colour of its own, 1 and above a place in `palette`.
    palette
        Colours, the first of them for level 0.
    legend
        ``{"kind": "ramp", "low", "high", "colours", "blank"}`` or ``{"kind": "classes", "entries", "blank"}``.
    """

    levels: np.ndarray
    palette: tuple[str, ...]
    legend: dict[str, Any]


def colouring(values: pd.Series, known: np.ndarray, *, kind: str, mode: str = "light", blank: str = "") -> Colouring:
    """Turn the values of k-mers into colours.

    Parameters
    ----------
    values
        (n,) numbers, or names of classes.
    known
        (n,) whether a k-mer has a colour of its own; missing values have none either.
    kind
        ``sequential``, ``log``, ``diverging`` or ``classes``.
    mode
        ``light`` or ``dark``, for the k-mers without a colour.
    blank
        What to call those in the legend.
    """
    known = known & values.notna().to_numpy()
    levels = np.zeros(len(values), np.uint8)
    legend: dict[str, Any] = {"blank": blank if not known.all() else "", "blank_colour": _BLANKS[mode]}
    if kind == "classes":
        names = values[known].value_counts()
        shown = sorted(names.index[:_MOST_NAMED], key=lambda name: (isinstance(name, str), name))
        codes = pd.Index(shown).get_indexer_for(values)
        others = len(names) - len(shown)
        levels[known] = np.where(codes[known] >= 0, codes[known] + 1, len(shown) + 1).astype(np.uint8)
        colours = [*SERIES[: len(shown)], FAINT]
        entries = [{"name": str(name), "colour": colour} for name, colour in zip(shown, colours, strict=False)]
        if others > 0:
            entries.append({"name": f"{others:,} others", "colour": FAINT})
        return Colouring(levels, (_BLANKS[mode], *colours), legend | {"kind": "classes", "entries": entries})
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    if kind == "log":
        numbers = np.log10(np.maximum(numbers, 1))
    inside = numbers[known]
    # The outermost hundredth would leave all others in one colour.
    low, high = (float(edge) for edge in np.percentile(inside, (1, 99))) if len(inside) else (0.0, 1.0)
    if low == high and len(inside):
        low, high = float(inside.min()), float(inside.max())
    if kind == "diverging":
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    spread = (high - low) or 1.0
    place = np.clip((inside - low) / spread, 0, 1)
    levels[known] = 1 + np.minimum((place * STEPS).astype(np.uint8), STEPS - 1)
    ramp = _ramp(_DIVERGING if kind == "diverging" else _SEQUENTIAL)
    legend |= {"kind": "ramp", "colours": ramp[:: STEPS // 8], "log": kind == "log"}
    legend |= {"low": 10**low if kind == "log" else low, "high": 10**high if kind == "log" else high}
    return Colouring(levels, (_BLANKS[mode], *ramp), legend)


def faded(palette: tuple[str, ...], mode: str = "light") -> tuple[str, ...]:
    """Return a palette followed by itself washed out, for k-mers that are not among the chosen."""
    weak = tuple(_mix(colour, _PAPER[mode], 0.86) for colour in palette)
    return palette + weak


def _ramp(stops: tuple[tuple[float, str], ...]) -> list[str]:
    places = np.linspace(0, 1, STEPS)
    parts = np.array([_rgb(colour) for _, colour in stops], float)
    mixed = np.stack([np.interp(places, [at for at, _ in stops], parts[:, part]) for part in range(3)], axis=1)
    return [_hex(row) for row in mixed]


def _mix(colour: str, other: str, share: float) -> str:
    return _hex((1 - share) * np.array(_rgb(colour)) + share * np.array(_rgb(other)))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hex(parts: np.ndarray) -> str:
    return "#" + "".join(f"{round(float(part)):02X}" for part in parts)
