"""Caches around the core's readers. A file that changed has another time stamp and is read again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.io import to_json

from neandl_core.errors import InputError
from neandl_core.figures.style import for_screen
from neandl_core.files import read_json as read_json_file
from neandl_core.schemas import Table, read_table

Loaded = TypeVar("Loaded")


def table(path: Path) -> pd.DataFrame:
    """Return a table written by a run (``.parquet``, ``.tsv`` or ``.tsv.gz``). The copy is the caller's own.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    return _table(str(path), _changed(path))


def contract_table(path: Path, contract: Table, name: str) -> pd.DataFrame:
    """Return a tab-separated table that a run wrote, checked against its contract.

    Raises
    ------
    InputError
        If it is missing, cannot be read or breaks the contract.
    """
    return _contract_table(str(path), _changed(path), contract, name)


def shared_table(path: Path, contract: Table, name: str) -> pd.DataFrame:
    """Return a large checked table that all pages share without copying: it must not be changed.

    Raises
    ------
    InputError
        If it is missing, cannot be read or breaks the contract.
    """
    return _shared_table(str(path), _changed(path), contract, name)


def gene_rows(path: Path, symbol: str) -> pd.DataFrame:
    """Return the rows of one gene from a parquet table that a run wrote, without reading the rest.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    return _gene_rows(str(path), _changed(path), symbol)


def json_file(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    InputError
        If it is missing or is not JSON.
    """
    return _json(str(path), _changed(path))


def shared_parquet(path: Path) -> pd.DataFrame:
    """Return a large parquet table that all readers share and none may change; it is not copied.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    return _shared_parquet(str(path), _changed(path))


@dataclass(frozen=True)
class Drawn:
    """A figure that all tabs share, so nobody may change it, with its copies for light and dark pages.

    Attributes
    ----------
    figure
        As it was drawn, for paper.
    screens
        JSON of copies by dark and simulated, made when they are first shown.
    """

    figure: go.Figure
    screens: dict[tuple[bool, bool], str] = field(default_factory=dict)

    def on_screen(self, dark: bool, simulated: bool) -> str:
        """Return the copy for a page, as JSON."""
        if (dark, simulated) not in self.screens:
            copy = for_screen(self.figure, dark, simulated=simulated)
            self.screens[dark, simulated] = to_json(copy, validate=False)
        return self.screens[dark, simulated]


def drawn(path: Path, make: Callable[..., go.Figure], *given: Any, also: Hashable = (), **named: Any) -> Drawn:
    """Return a figure of a run's tables, drawn once as long as they stay.

    Parameters
    ----------
    path
        The run's file that tells when it was made again, mostly its ``summary.json``.
    make
        Of `neandl_core.figures`.
    given, named
        For `make`; all of them must follow from the run, and from what `also` holds.
    also
        Whatever else changes the figure: what the user chose.
    """
    return _drawn(str(path), _changed(path), f"{make.__module__}.{make.__qualname__}", also, make, given, named)


def shared_array(path: Path) -> np.ndarray:
    """Return a memory-mapped array, read-only.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    _changed(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InputError(f"this array cannot be read ({type(error).__name__})", path=path) from None


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        raise InputError("this result is missing", path=path, advice="Run the step again.") from None


@st.cache_data(max_entries=32, show_spinner=False)
def _table(path: str, changed: int) -> pd.DataFrame:
    try:
        if path.endswith(".parquet"):
            return pd.read_parquet(path)
        # Gene symbols such as NA and NaN are text, so only empty cells are missing.
        return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise InputError(f"this table cannot be read ({type(error).__name__})", path=path) from None


@st.cache_data(max_entries=32, show_spinner=False)
def _contract_table(path: str, changed: int, _contract: Table, name: str) -> pd.DataFrame:
    return read_table(path, _contract, name)


@st.cache_resource(max_entries=8, show_spinner=False)
def _shared_table(path: str, changed: int, _contract: Table, name: str) -> pd.DataFrame:
    return read_table(path, _contract, name)


@st.cache_resource(max_entries=3, show_spinner="Reading the table")
def _shared_parquet(path: str, changed: int) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"this table cannot be read ({type(error).__name__})", path=path) from None


@st.cache_data(max_entries=64, show_spinner=False)
def _gene_rows(path: str, changed: int, symbol: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, filters=[("symbol", "==", symbol)])
    except (ValueError, OSError) as error:
        raise InputError(f"this table cannot be read ({type(error).__name__})", path=path) from None


@st.cache_data(max_entries=1024, show_spinner=False)
def _json(path: str, changed: int) -> Any:
    return read_json_file(path)


@st.cache_resource(max_entries=128, show_spinner=False)
def _drawn(
    path: str, changed: int, name: str, also: Hashable, _make: Callable[..., go.Figure], _given: tuple[Any, ...],
    _named: dict[str, Any],
) -> Drawn:
    return Drawn(_make(*_given, **_named))


def resource(path: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """Return what `load` makes of a file; all tabs share it, so nobody may change it.

    Raises
    ------
    InputError
        If the file is missing, or `load` refuses it.
    """
    return _resource(str(path), _changed(path), load)


@st.cache_resource(max_entries=8, show_spinner=False)
def _resource(path: str, changed: int, _load: Callable[[Path], Loaded]) -> Loaded:
    return _load(Path(path))
