"""The sample sheet: what is known of each alignment file beside its reads. Kept in the workspace as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from neandl_core.errors import InputError, shorten
from neandl_core.files import read_json, write_json

FILE = "samples.json"
STRANDS = ("", "ds", "ss")
"""Not known, double-stranded, single-stranded library."""
UDG = ("", "none", "half", "full")
LARGEST = 1 << 20
_MOST_ROWS = 10_000
_LONGEST_CELL = 200
_COLUMNS = {
    "file": ("file", "filename", "file name", "bam", "path"),
    "name": ("name", "sample", "sample name", "sample_name", "sample id", "sample_id"),
    "library": ("library", "library id", "library_id", "lib"),
    "strands": ("ss/ds", "strands", "strandedness", "library type", "library_type"),
    "udg": ("udg", "udg treatment", "udg_treatment"),
    "species": ("species", "organism"),
    "note": ("note", "notes", "comment", "remarks"),
}
_STRAND_WORDS = {
    "": "", "ds": "ds", "double": "ds", "double-stranded": "ds", "double stranded": "ds", "dsdna": "ds",
    "ss": "ss", "single": "ss", "single-stranded": "ss", "single stranded": "ss", "ssdna": "ss", "unknown": "",
}
_UDG_WORDS = {
    "": "", "none": "none", "no": "none", "no udg": "none", "non-udg": "none", "minus": "none", "half": "half",
    "half-udg": "half", "udg-half": "half", "partial": "half", "full": "full", "yes": "full", "udg": "full",
    "plus": "full", "unknown": "",
}
READS_LIBRARY = {"ds": "double-stranded", "ss": "single-stranded"}
READS_UDG = {"none": "none", "half": "half", "full": "CpG"}
"""The words of `reads` for a sheet's: after full UDG treatment only CpG sites keep damage."""


@dataclass(frozen=True)
class Sample:
    """A row of the sheet.

    Attributes
    ----------
    name, library, species, note
        As the user writes them.
    strands
        One of `STRANDS`.
    udg
        One of `UDG`.
    """

    name: str = ""
    library: str = ""
    strands: str = ""
    udg: str = ""
    species: str = ""
    note: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return self == Sample()


FIELDS = tuple(field.name for field in fields(Sample))


@dataclass(frozen=True)
class SheetRow:
    """A row of an imported sheet: which file it is about, and its sample."""

    file: str
    sample: Sample


def load_samples(workspace: Path) -> dict[str, Sample]:
    """Return the sheet: path of a file -> its sample.

    Raises
    ------
    InputError
        If it is damaged.
    """
    place = workspace / FILE
    if not place.exists():
        return {}
    try:
        return {path: Sample(**values) for path, values in read_json(place)["samples"].items()}
    except (TypeError, KeyError, AttributeError):
        raise InputError("the sample sheet of this workspace is damaged", path=place) from None


def save_samples(workspace: Path, samples: Mapping[str, Sample]) -> None:
    """Replace the sheet; rows that say nothing are left out."""
    write_json(workspace / FILE, {
        "samples": {path: asdict(sample) for path, sample in samples.items() if not sample.empty}
    })


def sample_of(workspace: Path, path: Path) -> Sample:
    """Return what the sheet says of a file; an empty sample if nothing, or if the sheet cannot be read."""
    try:
        return load_samples(workspace).get(str(path.resolve()), Sample())
    except InputError:
        return Sample()


def read_sheet(content: bytes, name: str) -> list[SheetRow]:
    """Read a sheet from CSV, TSV or XLSX.

    Parameters
    ----------
    content
        The file.
    name
        What it is called, for messages; what it is, its content says.

    Raises
    ------
    InputError
        If it is none of these, has no column of file names, an unknown column or value; row and value are named.
    """
    if len(content) > LARGEST:
        raise InputError(f"a sample sheet has at most {LARGEST / 1e6:.0f} MB", path=name)
    rows = _workbook(content, name) if content.startswith(b"PK\x03\x04") else _text(content, name)
    rows = [[cell.strip() for cell in row] for row in rows]
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)]
    if len(numbered) < 2:
        raise InputError("there is no sample in this sheet", path=name,
                         advice="The first row names the columns: file, name, library, ss/ds, UDG, species, note.")
    columns = _header(numbered[0][1], name)
    read: list[SheetRow] = []
    for number, row in numbered[1:]:
        values = {column: row[place] for column, place in columns.items() if place < len(row)}
        file = values.pop("file", "")
        if not file:
            raise InputError("this row names no file", path=name, place=f"row {number}")
        read.append(SheetRow(file, _sample(values, name, number)))
    names = [row.file for row in read]
    twice = next((file for file in names if names.count(file) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise InputError(f"the file {shorten(twice)} is there twice", path=name)
    return read


def make_sample(values: Mapping[str, object], place: str = "") -> Sample:
    """Return a sample of cells as people write them: ``half-UDG``, ``single-stranded``.

    Raises
    ------
    InputError
        If ss/ds or UDG is no word that is known.
    """
    plain = {key: " ".join(str(values.get(key) or "").split())[:_LONGEST_CELL] for key in FIELDS}
    for key, words, allowed in (("strands", _STRAND_WORDS, "ss or ds"), ("udg", _UDG_WORDS, "none, half or full")):
        found = words.get(plain[key].lower())
        if found is None:
            label = "ss/ds" if key == "strands" else "UDG"
            problem = f'{label} is "{shorten(plain[key])}" and should be {allowed}, or empty'
            raise InputError(problem, place=place or None)
        plain[key] = found
    return Sample(**plain)


def match_rows(rows: Sequence[SheetRow], files: Mapping[str, Path]) -> tuple[dict[str, Sample], list[str]]:
    """Match a sheet's rows to files by what the files are called.

    Parameters
    ----------
    rows
        From `read_sheet`.
    files
        Shown name -> file; a name that several files have is matched by its path alone.

    Returns
    -------
    samples : dict
        Path -> sample.
    unmatched : list of str
        Names in the sheet that no file has.
    """
    by_path = {str(path): path for path in files.values()}
    matched, unmatched = {}, []
    for row in rows:
        path = by_path.get(row.file) or files.get(row.file) or files.get(Path(row.file).name)
        if path is None:
            unmatched.append(row.file)
        else:
            matched[str(path.resolve())] = row.sample
    return matched, unmatched


def merged(old: Sample, new: Sample) -> Sample:
    """Return a sample in which what a sheet leaves empty stays as it was."""
    return replace(old, **{key: value for key, value in asdict(new).items() if value})


def _sample(values: Mapping[str, str], name: str, number: int) -> Sample:
    try:
        return make_sample(values, f"row {number}")
    except InputError as error:
        raise InputError(str(error).rstrip("."), path=name) from None


def _header(cells: Sequence[str], name: str) -> dict[str, int]:
    known = {word: column for column, words in _COLUMNS.items() for word in words}
    columns: dict[str, int] = {}
    for place, cell in enumerate(cells):
        if not cell:
            continue
        column = known.get(cell.lower().replace("\ufeff", ""))
        if column is None:
            raise InputError(f'there is a column "{shorten(cell)}", which a sample sheet does not have', path=name,
                             advice="It has file, name, library, ss/ds, UDG, species and note.")
        if column in columns:
            raise InputError(f'two columns stand for "{column}"', path=name)
        columns[column] = place
    if "file" not in columns:
        raise InputError("there is no column of file names", path=name, advice='Call it "file".')
    return columns


def _text(content: bytes, name: str) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("this is neither UTF-8 text nor an Excel workbook", path=name,
                         advice="Save it as CSV (UTF-8), tab-separated text or XLSX.") from None
    if "\0" in text:
        raise InputError("this is binary data", path=name, advice="Save it as CSV, tab-separated text or XLSX.")
    head = text.split("\n", 1)[0]
    separator = max("\t;,", key=head.count)
    try:
        return _limited(csv.reader(io.StringIO(text), delimiter=separator, strict=True), name)
    except csv.Error as error:
        raise InputError(f"this table cannot be read ({error})", path=name) from None


def _workbook(content: bytes, name: str) -> list[list[str]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with ZipFile(io.BytesIO(content)) as book:
            if sum(member.file_size for member in book.infolist()) > 50 * LARGEST:
                raise InputError("this workbook unpacks to far more than a sample sheet has", path=name)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        try:
            rows = book.worksheets[0].iter_rows(values_only=True)
            return _limited((["" if cell is None else str(cell) for cell in row] for row in rows), name)
        finally:
            book.close()
    except (BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, OSError) as error:
        raise InputError(f"this workbook cannot be read ({type(error).__name__})", path=name) from None


def _limited(rows: Iterable[list[str]], name: str) -> list[list[str]]:
    read = []
    for row in rows:
        read.append(row)
        if len(read) > _MOST_ROWS:
            raise InputError(f"there are more than {_MOST_ROWS:,} rows in this sheet", path=name)
    return read
