"""Gene tables of every common format, told apart by their content; coordinates become 0-based half-open here.

GTF and GFF3 count from 1 with the end included, and so do lists of ``chr:start-end SYMBOL``; BED and UCSC's refGene,
genePred and refFlat are half-open already. A table with a header is read as 1-based unless its columns are named as
UCSC's (chromStart, txStart) or as NeanDL's own (contig), which are half-open.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from neandl_core.errors import InputError, shorten
from neandl_core.files import require_file
from neandl_core.io.annotation import GeneList, gene_list_of, read_gene_list, text_lines
from neandl_core.io.gff import read_gff
from neandl_core.io.symbols import ensembl_key

FORMATS = 'rows of "chr:start-end SYMBOL", BED, GTF, GFF3, refGene or a table with a header'
_LOCUS = re.compile(r"^[^\s:]+:[\d,]+-[\d,]+$")
_NAMES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "gene_symbol", "gene_name", "hgnc_symbol", "gene name", "gene", "name", "name2"),
    "contig": ("contig", "chrom", "chr", "chromosome", "seqname", "seqnames", "chromosome/scaffold name", "_labels"),
    "start": ("start", "chromstart", "txstart", "gene_start", "gene start (bp)", "start_position", "_starts"),
    "end": ("end", "chromend", "txend", "gene_end", "gene end (bp)", "end_position", "_ends", "stop"),
    "gene_id": ("gene_id", "ensembl_gene_id", "gene stable id", "ensembl", "ensembl_id"),
    "strand": ("strand",),
}
_HALF_OPEN = {"chromstart", "txstart"}
_STRANDS = {"+", "-", ".", "?"}


@dataclass
class _Rows:
    """Rows as they are read, and what is left out."""

    values: list[tuple[str, str, int, int, str, str]] = field(default_factory=list)
    exons: list[tuple[str, str, int, int]] = field(default_factory=list)
    blank: int = 0

    def add(self, symbol: str, contig: str, start: int, end: int, gene_id: str = "", strand: str = "") -> None:
        if symbol:
            self.values.append((symbol, contig, start, end, gene_id, strand))
        else:
            self.blank += 1


def read_genes(path: str | Path) -> GeneList:
    """Read a gene table, whatever its format, and merge its rows by `annotation.MERGE_RULE`.

    Exons are kept where the format has them: GTF, GFF3, refGene and BED12.

    Raises
    ------
    InputError
        If no known format fits, at the first bad line, or if no gene is left.
    """
    path = require_file(path, "gene table")
    with path.open("rb") as handle:
        magic = handle.read(4)
    if magic == b"PAR1":
        return _read_parquet(path)
    first = list(itertools.islice(_content(path), 2))
    if not first:
        raise InputError("there is no gene in this table", path=path)
    if any(_LOCUS.match(line.split()[0]) for _, line in first):
        return read_gene_list(path)
    fields = first[0][1].split("\t")
    offset = _gene_prediction(fields)
    notes: list[str] = []
    if len(fields) >= 8 and fields[3].isdecimal() and fields[4].isdecimal() and fields[6] in _STRANDS:
        rows, exons, blank = read_gff(path)
        return _list_of(path, rows, exons, blank, notes)
    if offset is not None:
        found = _read_gene_predictions(path, offset)
    elif len(fields) >= 4 and fields[1].isdecimal() and fields[2].isdecimal():
        found = _read_bed_genes(path)
    elif first[0][1].count(";") >= 2 and "\t" not in first[0][1]:
        raise InputError("its columns are separated by semicolons", path=path, place=f"line {first[0][0]}",
                         advice="Save it as tab-separated text.")
    else:
        found, notes = _read_headed(path, first[0][1])
    return _list_of(path, found.values, found.exons, found.blank, notes)


def _list_of(
    path: Path, rows: list[tuple[str, str, int, int, str, str]], exons: list[tuple[str, str, int, int]], blank: int,
    notes: list[str],
) -> GeneList:
    if not rows:
        raise InputError("there is no gene in this table", path=path)
    table = pd.DataFrame(rows, columns=["symbol", "contig", "start", "end", "gene_id", "strand"])
    table = table.astype({"start": np.int64, "end": np.int64})
    for name in ("gene_id", "strand"):
        if not table[name].astype(bool).any():
            table = table.drop(columns=name)
    return gene_list_of(
        path, table, blank=blank, notes=notes, exons=pd.DataFrame(exons, columns=["symbol", "contig", "start", "end"])
    )


def _content(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold something; UCSC's commented header is no content."""
    for number, line in text_lines(path, "gene table"):
        if line.strip() and not line.startswith(("#", "track", "browser")):
            yield number, line


def _gene_prediction(fields: list[str]) -> int | None:
    """Return how many columns stand before the transcript's chromosome, less one; None if it is no genePred row."""
    for offset in (0, 1):
        if (
            len(fields) >= offset + 10 and fields[offset + 2] in {"+", "-"}
            and fields[offset + 3].isdecimal() and fields[offset + 4].isdecimal()
            and fields[offset + 8].rstrip(",").replace(",", "").isdecimal()
        ):
            return offset
    return None


def _read_gene_predictions(path: Path, offset: int) -> _Rows:
    """Read UCSC's genePred (``offset`` 0), or refGene and refFlat (1: a bin or the gene's name comes first)."""
    rows = _Rows()
    for number, line in _content(path):
        fields = line.split("\t")
        if _gene_prediction(fields) != offset:
            _bad(path, number, line, "expected a transcript of the same layout as the first line's")
        named = fields[offset + 11] if len(fields) > offset + 11 else ""
        if not named:
            named = fields[0] if offset == 0 or not fields[0].isdecimal() else fields[1]
        contig, strand = fields[offset + 1], fields[offset + 2]
        start, end = _span(path, number, line, fields[offset + 3], fields[offset + 4])
        rows.add(named, contig, start, end, "", strand)
        starts, ends = (fields[offset + place].rstrip(",").split(",") for place in (8, 9))
        if len(starts) != len(ends) or not all(text.isdecimal() for text in ends):
            _bad(path, number, line, "expected as many exon starts as exon ends")
        rows.exons.extend((named, contig, int(low), int(high)) for low, high in zip(starts, ends, strict=True))
    return rows


def _read_bed_genes(path: Path) -> _Rows:
    rows = _Rows()
    for number, line in _content(path):
        fields = line.split("\t")
        if len(fields) < 4:
            _bad(path, number, line, "expected chromosome, start, end and the gene's name")
        start, end = _span(path, number, line, fields[1], fields[2])
        strand = fields[5] if len(fields) > 5 and fields[5] in _STRANDS else ""
        symbol = fields[3].strip()
        rows.add(symbol, fields[0], start, end, ensembl_key(symbol) or "", strand)
        if len(fields) >= 12 and fields[9].isdecimal():
            sizes, offsets = ([int(part) for part in fields[place].rstrip(",").split(",")] for place in (10, 11))
            rows.exons.extend(
                (symbol, fields[0], start + offset, start + offset + size)
                for size, offset in zip(sizes, offsets, strict=False)
            )
    return rows


def _read_headed(path: Path, header: str) -> tuple[_Rows, list[str]]:
    """Read a table whose first line names its columns, separated by tabs or commas."""
    separator = "\t" if "\t" in header else ","
    names = [name.strip().strip('"').casefold() for name in header.split(separator)]
    places = {key: next((names.index(name) for name in known if name in names), None) for key, known in _NAMES.items()}
    for key in ("symbol", "contig", "start", "end"):
        if places[key] is None:
            raise InputError(
                f'no column is named as the {key} (such as "{_NAMES[key][0]}"); the first line is '
                f'"{shorten(header)}"', path=path, place="line 1", advice=f"Expected {FORMATS}.",
            )
    half_open = names[places["start"]] in _HALF_OPEN or names[places["contig"]] == "contig"
    shift = 0 if half_open else 1
    rows, floats, stray = _Rows(), 0, 0
    for number, line in itertools.islice(_content(path), 1, None):
        if line.count('"') % 2:
            _bad(path, number, line, "a quotation mark is not closed")
        fields = next(csv.reader([line], delimiter=separator)) if '"' in line else line.split(separator)
        if len(fields) == len(names) + 1 and not fields[0]:
            fields, stray = fields[1:], stray + 1
        if len(fields) != len(names):
            _bad(path, number, line, f"expected {len(names)} columns as in the first line, got {len(fields)}")
        contig = fields[places["contig"]].strip()
        if re.fullmatch(r"\d{1,2}\.0", contig):
            contig, floats = contig[:-2], floats + 1
        start, end = _span(path, number, line, fields[places["start"]], fields[places["end"]], shift)
        more = [fields[places[key]].strip() if places[key] is not None else "" for key in ("gene_id", "strand")]
        rows.add(fields[places["symbol"]].strip(), contig, start, end, ensembl_key(more[0]) or "", more[1])
    notes = [
        f"{path.name}: positions were taken as {'0-based, end excluded' if half_open else '1-based, end included'}, "
        f"as the columns are named {names[places['start']]} and {names[places['end']]}."
    ]
    if floats:
        notes.append(f"{path.name}: {floats:,} chromosomes were written as 1.0 and read as 1.")
    if stray:
        notes.append(f"{path.name}: {stray:,} rows begin with a stray tab, which was passed over.")
    return rows, notes


def _read_parquet(path: Path) -> GeneList:
    """Read a parquet table by the same column names as a headed text table."""
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"this parquet file cannot be read ({type(error).__name__})", path=path) from None
    by_name = {str(name).casefold(): name for name in table.columns}
    columns = {key: next((by_name[name] for name in known if name in by_name), None) for key, known in _NAMES.items()}
    for key in ("symbol", "contig", "start", "end"):
        if columns[key] is None:
            raise InputError(f'no column of this table is named as the {key} (such as "{_NAMES[key][0]}")', path=path)
    half_open = str(columns["start"]).casefold() in _HALF_OPEN or str(columns["contig"]).casefold() == "contig"
    rows = pd.DataFrame({
        key: table[name].astype(object).fillna("").astype(str) for key, name in columns.items()
        if name is not None and key not in ("start", "end")
    })
    for key in ("start", "end"):
        values = pd.to_numeric(table[columns[key]], errors="coerce")
        if values.isna().any() or (values < 0).any():
            raise InputError(f"column {columns[key]} should hold positions", path=path)
        rows[key] = values.astype(np.int64)
    rows["start"] -= 0 if half_open else 1
    backwards = int(((rows["end"] <= rows["start"]) | (rows["start"] < 0)).sum())
    if backwards:
        raise InputError(f"{backwards:,} genes end before they start", path=path)
    blank = rows["symbol"] == ""
    if blank.all():
        raise InputError("there is no gene in this table", path=path)
    how = "0-based, end excluded" if half_open else "1-based, end included"
    return gene_list_of(
        path, rows[~blank].reset_index(drop=True), blank=int(blank.sum()),
        notes=[f"{path.name}: positions were taken as {how}."],
    )


def _span(path: Path, number: int, line: str, start: str, end: str, shift: int = 0) -> tuple[int, int]:
    """Return a 0-based half-open span; `shift` is 1 for positions that count from 1."""
    start, end = start.strip(), end.strip()
    if not (start.isascii() and start.isdecimal() and end.isascii() and end.isdecimal()):
        _bad(path, number, line, "expected whole numbers as start and end")
    first, last = int(start) - shift, int(end)
    if first < 0 or last <= first:
        _bad(path, number, line, "the end lies before the start" if first >= 0 else "positions count from 1")
    if last > 2**31 - 1:
        _bad(path, number, line, "no chromosome is that long")
    return first, last


def _bad(path: Path, number: int, line: str, problem: str) -> NoReturn:
    raise InputError(f'{problem}; the line is "{shorten(line)}"', path=path, place=f"line {number:,}")
