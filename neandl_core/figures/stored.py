"""Figures as plain values and back: what is kept in files, and what is changed colour by colour."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go


def figure_of(plain: Mapping[str, Any]) -> go.Figure:
    """Return the figure of what `plotly.graph_objects.Figure.to_plotly_json` or a JSON file of it says.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it describes no figure.
    """
    return go.Figure(_unpacked(plain))


def _unpacked(value: Any) -> Any:
    """Turn Plotly's packed arrays back into numbers; they are base64 of a numpy type named beside them."""
    if isinstance(value, Mapping):
        if set(value) >= {"dtype", "bdata"}:
            flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
            shape = value.get("shape")
            return flat.reshape([int(part) for part in str(shape).split(",")]) if shape else flat
        return {key: _unpacked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unpacked(item) for item in value]
    return value
