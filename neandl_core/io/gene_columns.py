"""Gene tables with named columns (gene, chrom, start, end), as Ensembl, UCSC and spreadsheets make them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

COLUMNS: dict[str, tuple[str, ...]] = {
    "gene": ("gene", "symbol", "gene_symbol", "gene_name", "gene name", "hgnc symbol", "hgnc_symbol", "name2"),
    "chrom": ("chrom", "chr", "chromosome", "contig", "seqname", "chromosome/scaffold name"),
    "start": ("start", "gene_start", "gene start (bp)", "begin"),
    "end": ("end", "gene_end", "gene end (bp)", "stop"),
}
"""Names that a column may have, in any case."""
_COUNTED_FROM_0 = {"chromstart": "start", "txstart": "start", "chromend": "end", "txend": "end"}
_WHOLE_AS_DECIMAL = re.compile(r"^(\d{1,2})\.0$")


@dataclass
class GeneColumns:
    """Where the columns of one table stand, and what was mended while its rows were read.

    Attributes
    ----------
    places
        Column -> its place.
    width
        Fields in the header.
    from_0
        Whether starts count from 0, as UCSC's `txStart` and `chromStart` do; else from 1 with the end included.
    decimal
        Chromosome names such as 1.0 that were read as 1.
    tabs
        Rows that began with a tab, which was skipped.
    """

    places: dict[str, int]
    width: int
    from_0: bool
    decimal: set[str] = field(default_factory=set)
    tabs: int = 0

    def row(self, fields: Sequence[str]) -> tuple[str, str, int, int]:
        """Return symbol, chromosome, start and end (0-based half-open) of a row's fields.

        Raises
        ------
        ValueError
            Saying what is wrong with the row.
        """
        if len(fields) == self.width + 1 and not fields[0]:
            fields = fields[1:]
            self.tabs += 1
        if len(fields) != self.width:
            raise ValueError(f"expected {self.width} columns as in the header, got {len(fields)}")
        if sum(text.count('"') for text in fields) % 2:
            raise ValueError("a quotation mark is opened and not closed")
        symbol, contig, first, last = (
            fields[self.places[name]].strip() for name in ("gene", "chrom", "start", "end")
        )
        if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal()):
            raise ValueError("expected whole numbers as start and end")
        if not contig:
            raise ValueError("expected a chromosome name")
        whole = _WHOLE_AS_DECIMAL.match(contig)
        if whole:
            self.decimal.add(contig)
            contig = whole[1]
        start, end = int(first) - (not self.from_0), int(last)
        if start < 0:
            raise ValueError("positions count from 1")
        if end <= start:
            raise ValueError("the end lies before the start")
        return symbol, contig, start, end

    def notes(self, name: str) -> list[str]:
        """Say how positions were counted and what was mended, in sentences that begin with the file's name."""
        counted = "from 0, with the end left out" if self.from_0 else "from 1, with the end included"
        notes = [f"{name}: positions were taken to count {counted}."]
        if self.decimal:
            shown = ", ".join(sorted(self.decimal)[:3])
            notes.append(f"{name}: chromosomes that a spreadsheet made decimal ({shown}) were read as whole numbers.")
        if self.tabs:
            notes.append(f"{name}: {self.tabs:,} rows began with a tab, which was skipped.")
        return notes


def find_columns(fields: Sequence[str]) -> GeneColumns | None:
    """Return the columns of a table whose first line is `fields`; None if that line is no header of such a table.

    Raises
    ------
    ValueError
        If it is a header that lacks one of `COLUMNS`.
    """
    named = [text.strip().lower() for text in fields]
    places: dict[str, int] = {}
    for column, known in COLUMNS.items():
        zero_based = [name for name, stands_for in _COUNTED_FROM_0.items() if stands_for == column]
        place = next((named.index(name) for name in (*known, *zero_based) if name in named), None)
        if place is not None:
            places[column] = place
    if len(named) < 3 or len(places) < 2:
        return None
    missing = [column for column in COLUMNS if column not in places]
    if missing:
        raise ValueError(f'the header has no "{missing[0]}" column')
    from_0 = named[places["start"]] in _COUNTED_FROM_0
    return GeneColumns(places, len(named), from_0)
