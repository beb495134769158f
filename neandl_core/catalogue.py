"""The public data catalogue: what can be fetched, from where, under which licence. The list is `catalogue.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neandl_core.errors import SettingsError

FILE = Path(__file__).with_name("catalogue.toml")
FOLDERS = {"maps": "maps", "support": "maps", "deserts": "maps"}
"""Sets whose files are read together lie in one folder; every other set has a folder of its own name."""
INTROGRESSION = ("akey", "genes", "maps", "deserts", "sizes")
"""What the introgression side needs, besides a genome."""


@dataclass(frozen=True)
class CatalogueFile:
    """A published file.

    Attributes
    ----------
    name
        What it is called, here and there.
    url
        Its address.
    bytes, sha256
        As measured when the catalogue was made; None if they were not.
    about_bytes
        Its size, exact if `bytes` is known.
    """

    name: str
    url: str
    bytes: int | None
    sha256: str | None
    about_bytes: int


@dataclass(frozen=True)
class DataSet:
    """Files that are fetched together, with one licence and one citation.

    Attributes
    ----------
    name, title, about
        Its word on the command line, what it is called, and what it is for.
    role
        What pages use it as: genome, intervals, genes, maps, sizes or table.
    licence, citation
        What a user accepts, and has to cite.
    files
        Its files.
    """

    name: str
    title: str
    about: str
    role: str
    licence: str
    citation: str
    files: tuple[CatalogueFile, ...]

    @property
    def folder(self) -> str:
        """Name of the folder its files lie in."""
        return FOLDERS.get(self.name, self.name)

    @property
    def about_bytes(self) -> int:
        """Size of all files, as well as it is known."""
        return sum(file.about_bytes for file in self.files)

    @property
    def exact(self) -> bool:
        """Whether every size is known to the byte."""
        return all(file.bytes is not None for file in self.files)

    @property
    def verified(self) -> bool:
        """Whether every file's SHA-256 is known before it is fetched."""
        return all(file.sha256 is not None for file in self.files)


@cache
def catalogue() -> dict[str, DataSet]:
    """Return the catalogue: name -> data set, in the order of the list."""
    return read_catalogue(FILE)


def read_catalogue(path: Path) -> dict[str, DataSet]:
    """Read a catalogue file."""
    listed = tomllib.loads(path.read_text(encoding="utf-8"))["set"]
    sets = {}
    for entry in listed:
        files = tuple(
            CatalogueFile(
                file["name"], file["url"], file.get("bytes"), file.get("sha256"),
                file.get("bytes") or file["about_bytes"],
            )
            for file in entry.pop("file")
        )
        sets[entry["name"]] = DataSet(**entry, files=files)
    return sets


def choose(names: Iterable[str], offered: dict[str, DataSet] | None = None) -> tuple[DataSet, ...]:
    """Return the data sets of these names, each once.

    Raises
    ------
    SettingsError
        If there is no such set; the message lists those there are.
    """
    offered = catalogue() if offered is None else offered
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in offered]
    if unknown:
        raise SettingsError(
            f"data: there is no data set {unknown[0]!r} in the catalogue; it has {', '.join(offered)}."
        )
    if not wanted:
        raise SettingsError(f"data: name at least one data set of {', '.join(offered)}.")
    return tuple(offered[name] for name in wanted)


def terms(data_set: DataSet) -> str:
    """Say what accepting a data set's licence means, in one paragraph."""
    return f"{data_set.title}. Licence: {data_set.licence.rstrip('.')}. Cite: {data_set.citation}"
