"""Presentations in the workspace: figures put aside, with all that a slide needs.

A presentation is a folder: `deck.json` (name, title, order, font, colours) and in `items/`, for each figure, `ID.json`
(title, caption, method, n, settings), `ID.figure.json` (the Plotly figure) and `ID.parquet` (its table). Each file is
replaced as a whole, and adding a figure touches no file of another, so two tabs cannot lose each other's figures.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.figure_notes import run_note
from neandl_core.figures.stored import figure_of
from neandl_core.files import read_json, write_json, write_text

FORMAT = 1
FOLDER = "presentations"
"""Name of the folder of presentations in a workspace."""
Width = Literal["89", "183", "slide"]
WIDTHS: tuple[Width, ...] = ("89", "183", "slide")
"""How wide a figure is: millimetres of one or two columns of a journal, or a slide of 16:9."""
LARGEST_TABLE = 2_000_000
"""Rows of a table that are kept with a figure."""
_ID = re.compile(r"[0-9]{13}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Item:
    """A figure of a presentation.

    Attributes
    ----------
    id
        Its file name; the time it was added comes first.
    title, caption
        Above and below it.
    name
        Name of its files, without ending.
    width
        One of `WIDTHS`.
    run, command
        Folder of the run that it shows and what that did; empty if it shows several.
    method, n, settings, inputs
        As of `figure_notes.RunNote`.
    simulated
        Whether it rests on NeanDL's own simulation.
    """

    id: str
    title: str
    caption: str = ""
    name: str = "figure"
    width: Width = "183"
    run: str = ""
    command: str = ""
    method: str = ""
    n: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True)
class Deck:
    """What holds for a whole presentation: what it is called, its title slide, letters and colours."""

    name: str
    title: str = ""
    author: str = ""
    font: str = "Liberation Sans"
    palette: str = "Okabe-Ito"
    order: tuple[str, ...] = ()


class Presentation:
    """One presentation on disk. Nothing is kept in memory: every call reads what is there now.

    Parameters
    ----------
    folder
        Its folder; made when something is first written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def deck(self) -> Deck:
        """Return what holds for the whole.

        Raises
        ------
        InputError
            If the file is broken or of a later version of NeanDL.
        """
        path = self.folder / "deck.json"
        if not path.exists():
            return Deck(name=self.folder.name.replace("-", " "))
        return _read(path, Deck)

    def change(self, **values: Any) -> None:
        """Replace attributes of `Deck`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "deck.json", replace(self.deck, **values))

    def items(self) -> list[Item]:
        """Return its figures in order; those added since the order was last changed come last, oldest first.

        Raises
        ------
        InputError
            If a file is broken or of a later version of NeanDL.
        """
        there = {path.stem for path in (self.folder / "items").glob("*.json") if _ID.fullmatch(path.stem)}
        order = [name for name in self.deck.order if name in there]
        return [_read(self._path(name, ".json"), Item) for name in (*order, *sorted(there - set(order)))]

    def add(
        self, figure: go.Figure, table: pd.DataFrame | None, *, title: str, caption: str = "", name: str = "figure",
        run: str | Path | None = None, simulated: bool = False, width: Width = "183",
    ) -> Item:
        """Put a figure aside, and with it what its run says of itself.

        Parameters
        ----------
        figure
            A figure of `neandl_core.figures`, drawn for paper.
        table
            What was drawn; None if there is nothing to give away.
        title, caption, name, width, simulated
            As of `Item`.
        run
            Folder of the run that it shows; None if there is none, or several.

        Raises
        ------
        OutputError
            If the disk is full or the folder cannot be written.
        """
        note = run_note(run) if run is not None else None
        # Two figures of one millisecond still differ, and the names keep the order in which they came.
        item = Item(
            f"{time.time_ns() // 1_000_000:013d}-{uuid.uuid4().hex[:8]}", title, caption, name, width, str(run or ""),
            *((note.command, note.method, note.n, note.settings, note.inputs) if note else ("", "", "", {}, ())),
            simulated or bool(note and note.simulated),
        )
        try:
            (self.folder / "items").mkdir(parents=True, exist_ok=True)
            if table is not None and len(table) <= LARGEST_TABLE:
                _write_table(self._path(item.id, ".parquet"), table)
            write_text(self._path(item.id, ".figure.json"), figure.to_json())
            if not (self.folder / "deck.json").exists():
                self.change()
            # Last, as an item is there when this file is.
            _write(self._path(item.id, ".json"), item)
        except OSError as error:
            raise OutputError(f"The figure cannot be kept in {self.folder} ({error.strerror}).") from None
        return item

    def figure(self, name: str) -> go.Figure:
        """Return the figure of an item.

        Raises
        ------
        InputError
            If it is missing or broken.
        """
        path = self._path(name, ".figure.json")
        plain = read_json(path)
        try:
            return figure_of(plain)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"this is not a figure ({type(error).__name__})", path=path) from None

    def table(self, name: str) -> pd.DataFrame | None:
        """Return the table of an item, None if it has none.

        Raises
        ------
        InputError
            If it is broken.
        """
        path = self._path(name, ".parquet")
        if not path.exists():
            return None
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise InputError(f"this table cannot be read ({type(error).__name__})", path=path) from None

    def update(self, name: str, *, title: str | None = None, caption: str | None = None,
               width: Width | None = None) -> None:
        """Change what an item is called, says or measures; what is None stays.

        Raises
        ------
        SettingsError
            If the width is none of `WIDTHS`.
        InputError
            If there is no such item any more.
        """
        if width is not None and width not in WIDTHS:
            raise SettingsError(f"A figure is {', '.join(WIDTHS)} wide, not {width!r}.")
        given = {"title": title, "caption": caption, "width": width}
        path = self._path(name, ".json")
        _write(path, replace(_read(path, Item), **{key: value for key, value in given.items() if value is not None}))

    def move(self, name: str, by: int) -> None:
        """Move an item towards the end by so many places, towards the beginning if negative."""
        order = [item.id for item in self.items()]
        if name in order:
            at = order.index(name)
            order.insert(max(0, min(len(order) - 1, at + by)), order.pop(at))
            self.change(order=tuple(order))

    def reorder(self, names: Sequence[str]) -> None:
        """Put the items into this order; those not named come last."""
        self.change(order=tuple(names))

    def remove(self, name: str) -> None:
        """Take an item away with all its files; one that is gone already is no error."""
        for ending in (".json", ".figure.json", ".parquet"):
            self._path(name, ending).unlink(missing_ok=True)

    def delete(self) -> None:
        """Delete the whole presentation."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, ending: str) -> Path:
        if not _ID.fullmatch(name):
            raise InputError("there is no such figure", path=self.folder / "items" / name)
        return self.folder / "items" / f"{name}{ending}"


def presentations(root: str | Path) -> list[Presentation]:
    """List the presentations in a folder, the one last changed first."""
    found = [path.parent for path in Path(root).glob("*/deck.json")]
    return [Presentation(folder) for folder in sorted(found, key=_changed, reverse=True)]


def new_presentation(root: str | Path, name: str) -> Presentation:
    """Make a presentation of a name; its folder's name is made of it.

    Raises
    ------
    SettingsError
        If the name holds no letter or number, or there is one of that name.
    """
    plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")[:60]
    if not plain:
        raise SettingsError("A presentation needs a name with a letter or number in it.")
    made = Presentation(Path(root) / plain)
    if (made.folder / "deck.json").exists():
        raise SettingsError(f"There is a presentation {name} already.")
    made.change(name=name.strip())
    return made


def _changed(folder: Path) -> tuple[float, str]:
    items = folder / "items"
    times = [path.stat().st_mtime for path in (folder / "deck.json", items) if path.exists()]
    return max(times, default=0.0), folder.name


def _write(path: Path, value: Item | Deck) -> None:
    write_json(path, {"format": FORMAT, **asdict(value)})


def _read(path: Path, kind: type[Any]) -> Any:
    stored = read_json(path)
    if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
        raise InputError("this is no file of a presentation", path=path)
    if stored["format"] > FORMAT:
        raise InputError(
            f"this presentation is of format {stored['format']}, known up to {FORMAT}", path=path,
            advice="Use the version of NeanDL that made it, or a later one.",
        )
    names = {one.name for one in fields(kind)}
    try:
        made = kind(**{
            key: tuple(value) if isinstance(value, list) else value for key, value in stored.items() if key in names
        })
    except TypeError:
        raise InputError("this file of a presentation lacks something", path=path) from None
    if kind is Item and (made.width not in WIDTHS or made.id != path.stem):
        raise InputError("this file of a presentation was changed by hand", path=path)
    return made


def _write_table(path: Path, table: pd.DataFrame) -> None:
    plain = table.reset_index(drop=True)
    plain.columns = [str(name) for name in plain.columns]
    for name in [name for name in plain.columns if plain[name].dtype.kind == "O"]:
        # A column of mixed things has no type in parquet; text it is, and nothing stays nothing.
        plain[name] = plain[name].map(str, na_action="ignore")
    temporary = path.with_suffix(".part")
    try:
        plain.to_parquet(temporary, index=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def figure_digest(presentation: Presentation, item: Item) -> str:
    """Return a word that changes when the picture of an item would: for caches."""
    path = presentation.folder / "items" / f"{item.id}.figure.json"
    deck = presentation.deck
    return json.dumps([item.id, path.stat().st_mtime_ns if path.exists() else 0, item.width, deck.font, deck.palette])


def unmarked(text: str) -> str:
    """Return text that was written for a page without its backslashes, stars and invisible spaces."""
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text).replace("**", "").replace("\N{ZERO WIDTH SPACE}", "")
