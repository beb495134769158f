"""Interval files and gene lists, read strictly: a bad line is named by number and text, nothing is guessed.

BED is 0-based half-open already. Gene lists of the form ``chr:start-end SYMBOL`` are converted from 1-based with the
end included. Gzip is recognised by content, whatever the file is called.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from neandl_core.errors import InputError, shorten
from neandl_core.files import SMALL_UNPACKED, check_unpacked, require_file
from neandl_core.intervals import ContigMatch, match_contigs, merge, parse_locus
from neandl_core.io.recognition import TEXT_ENDINGS, ZIP_MAGIC
from neandl_core.io.symbols import symbol_notes

_LARGEST_POSITION = 2**31 - 1
_STANDARD_CONTIG = re.compile(r"^(chr)?(\d{1,2}|[XYM]|MT)$", re.IGNORECASE)
_HEADER_STARTS = {"start", "chromstart", "begin", "txstart"}


@dataclass(frozen=True)
class IntervalSet:
    """The intervals of one BED file.

    Attributes
    ----------
    path
        Where they came from.
    table
        Columns `contig` (text), `start`, `end` (int64, 0-based half-open), in file order.
    notes
        What a user should know: duplicates, empty intervals, header lines.
    """

    path: Path
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def bases(self) -> int:
        """Bases covered, each counted once."""
        total = 0
        for _, rows in self.table.groupby("contig", sort=False):
            starts, ends, _ = merge(rows["start"].to_numpy(), rows["end"].to_numpy())
            total += int((ends - starts).sum())
        return total


@dataclass(frozen=True)
class PlacedIntervals:
    """Intervals put on a reference.

    Attributes
    ----------
    table
        Columns `contig` (the reference's spelling), `start`, `end`, `interval` (row in the file), ends clipped to
        the chromosome.
    match
        How the contig names were matched.
    dropped
        Intervals left out, by reason.
    past_end
        Intervals that run past the end of their chromosome; they were clipped.
    notes
        Sentences for the user.
    """

    table: pd.DataFrame
    match: ContigMatch
    dropped: dict[str, int] = field(default_factory=dict)
    past_end: int = 0
    notes: tuple[str, ...] = ()


def text_lines(path: str | Path, what: str) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a text file: plain, gzip, or alone in a ZIP archive.

    Raises
    ------
    InputError
        If the file is missing, is UTF-16, binary or another kind of archive, or its compressed data are cut.
    """
    path = require_file(path, what)
    with path.open("rb") as handle:
        start = handle.read(16)
    _refuse_variants(path, what, start)
    if start.startswith((ZIP_MAGIC, b"\xd0\xcf\x11\xe0")) and not _only_text(path):
        raise InputError(f"expected a {what} (text), got a spreadsheet or zip archive", path=path,
                         advice="Save it as tab-separated text.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"this {what} is UTF-16 text", path=path, advice="Save it as UTF-8 text.")
    number = unpacked = 0
    packed = start.startswith((b"\x1f\x8b", ZIP_MAGIC))
    next_check = SMALL_UNPACKED if packed else math.inf
    try:
        with opened_text(path) as handle:
            while True:
                line = handle.readline(1_000_001)
                if not line:
                    return
                unpacked += len(line)
                if unpacked > next_check:
                    check_unpacked(path, unpacked)
                    next_check += SMALL_UNPACKED
                number += 1
                if len(line) > 1_000_000:
                    raise InputError("this line has more than a million characters", path=path, place=f"line {number}")
                if number == 1:
                    _refuse_variants(path, what, line)
                if b"\x00" in line:
                    raise InputError(f"expected a {what} (text), got binary data", path=path, place=f"line {number}")
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise InputError("this line is not UTF-8 text", path=path, place=f"line {number}",
                                     advice="Save the file as UTF-8 text.") from None
                yield number, text.rstrip("\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile, BadZipFile):
        raise InputError(f"the compressed data end or break after line {number:,}", path=path,
                         advice="Copy or download the file again.") from None


def _only_text(path: Path) -> str | None:
    """Return the name of a text that is alone in a ZIP archive, as the GWAS Catalog gives its table away."""
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError):
        return None
    return names[0] if len(names) == 1 and names[0].lower().endswith(TEXT_ENDINGS) else None


@contextmanager
def opened_text(path: Path) -> Iterator[IO[bytes]]:
    """Open a text as bytes: plain, gzip, or alone in a ZIP archive."""
    with path.open("rb") as handle:
        start = handle.read(4)
    if start == ZIP_MAGIC and (member := _only_text(path)):
        with ZipFile(path) as archive, archive.open(member) as handle:
            check_unpacked(path, archive.getinfo(member).file_size)
            yield handle
    else:
        with gzip.open(path, "rb") if start.startswith(b"\x1f\x8b") else path.open("rb") as handle:
            yield handle


def text_notes(path: str | Path) -> list[str]:
    """Return what is odd and harmless about a text file as a whole: gzip by another name, a byte order mark."""
    path = Path(path)
    with path.open("rb") as handle:
        start = handle.read(3)
    notes = []
    if start[:2] == b"\x1f\x8b" and path.suffix.lower() not in (".gz", ".bgz"):
        notes.append(f"{path.name} is gzip by its content, not by its name; it was unpacked.")
    if start == b"\xef\xbb\xbf":
        notes.append(f"The byte order mark at the beginning of {path.name} was skipped.")
    return notes


def _refuse_variants(path: Path, what: str, start: bytes) -> None:
    """Refuse a VCF or BCF file, told by its name or by how its content starts."""
    named = path.name.lower().endswith((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf"))
    if named or start.startswith((b"##fileformat=VCF", b"BCF\2")):
        raise InputError(
            f"expected a {what}, got variants (VCF), which are not used yet", path=path,
            advice="Give intervals as BED: chromosome, start and end.",
        )


def read_bed(path: str | Path) -> IntervalSet:
    """Read the first three columns of a BED or bedGraph file, plain or gzip.

    Comment, ``track`` and ``browser`` lines and one header line of column names are passed over. Empty intervals
    (start = end) are left out and counted.

    Raises
    ------
    InputError
        At the first line that is not three tab-separated columns with whole numbers 0 <= start <= end, quoting it;
        or if no interval is left.
    """
    path = Path(path)
    contigs: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    headers = empty = 0
    for number, line in text_lines(path, "BED file"):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            headers += bool(line.strip())
            continue
        fields = line.split("\t")
        if len(fields) < 3:
            fields = line.split()
        if len(fields) < 3:
            raise _bad_line(path, number, line, f"expected chromosome, start and end, got {len(fields)} column(s)")
        if not contigs and not fields[1].isdecimal() and fields[1].strip().lower() in _HEADER_STARTS:
            headers += 1
            continue
        start, end = fields[1], fields[2]
        if not (start.isdecimal() and end.isdecimal() and start.isascii() and end.isascii()):
            raise _bad_line(path, number, line, "expected whole numbers from 0 as start and end")
        if not fields[0] or fields[0] != fields[0].strip() or '"' in fields[0]:
            raise _bad_line(path, number, line, "expected a chromosome name without quotes or blanks")
        first, last = int(start), int(end)
        if last > _LARGEST_POSITION:
            raise _bad_line(path, number, line, "no chromosome is that long")
        if last < first:
            raise _bad_line(path, number, line, "the end lies before the start")
        if last == first:
            empty += 1
            continue
        contigs.append(fields[0])
        starts.append(first)
        ends.append(last)
    if not contigs:
        raise InputError("there is no interval in this BED file", path=path)
    table = pd.DataFrame({
        "contig": contigs, "start": np.array(starts, np.int64), "end": np.array(ends, np.int64),
    })
    notes = text_notes(path)
    if empty:
        notes.append(f"{path.name}: {empty:,} empty intervals (start = end) were left out.")
    if headers:
        notes.append(f"{path.name}: {headers:,} header or comment lines were passed over.")
    copies = int(table.duplicated().sum())
    if copies:
        notes.append(f"{path.name}: {copies:,} intervals are exact copies of others.")
    return IntervalSet(path, table, tuple(notes))


def _bad_line(path: Path, number: int, line: str, problem: str) -> InputError:
    return InputError(f'{problem}; the line is "{shorten(line)}"', path=path, place=f"line {number:,}")


def place_on_reference(intervals: IntervalSet, lengths: dict[str, int], reference_name: str) -> PlacedIntervals:
    """Match the intervals' chromosomes to a reference's and clip them to its ends.

    Parameters
    ----------
    intervals
        As read from a BED file.
    lengths
        Chromosome -> length in bases, in the reference's spelling.
    reference_name
        The reference's file name, for messages.

    Raises
    ------
    InputError
        If not one chromosome matches, or an interval starts past the end of its chromosome, which means that the
        coordinates belong to another genome build.
    """
    name = intervals.path.name
    match = match_contigs(intervals.table["contig"].unique(), list(lengths))
    if not match.to_reference:
        have = ", ".join(list(lengths)[:3])
        got = ", ".join(match.unmatched[:3])
        raise InputError(
            f"none of its chromosomes ({shorten(got)}) is in {reference_name} ({have})", path=intervals.path,
            advice="Give the genome that the intervals were made on.",
        )
    table = intervals.table.assign(interval=np.arange(len(intervals.table)))
    table["contig"] = table["contig"].map(match.to_reference)
    absent = int(table["contig"].isna().sum())
    table = table.dropna(subset="contig").reset_index(drop=True)
    limit = table["contig"].map(lengths).to_numpy(np.int64)
    beyond = np.flatnonzero(table["start"].to_numpy() >= limit)
    if beyond.size:
        row = table.iloc[beyond[0]]
        raise InputError(
            f"{beyond.size:,} intervals start past the end of their chromosome, the first at {row['contig']}:"
            f"{row['start']:,} while {reference_name} ends at {limit[beyond[0]]:,}",
            path=intervals.path, place=f"interval {int(row['interval']) + 1:,}",
            advice="They seem to belong to another genome build.",
        )
    past_end = int((table["end"].to_numpy() > limit).sum())
    table["end"] = np.minimum(table["end"].to_numpy(), limit)
    notes = list(intervals.notes)
    if match.renamed:
        example = next(pair for pair in match.to_reference.items() if pair[0] != pair[1])
        notes.append(
            f"{name}: chromosome names differ from {reference_name}'s and were matched without \"chr\" "
            f"({example[0]} is {example[1]}; {match.renamed} names)."
        )
    if past_end:
        notes.append(f"{name}: {past_end:,} intervals run past the end of their chromosome and were clipped.")
    if absent:
        shown = ", ".join(match.unmatched[:5]) + (" ..." if len(match.unmatched) > 5 else "")
        notes.append(
            f"{name}: {absent:,} intervals lie on {len(match.unmatched)} chromosomes that {reference_name} does not "
            f"have ({shorten(shown, 80)})."
        )
    dropped = {"chromosome not in the genome": absent} if absent else {}
    return PlacedIntervals(table[["contig", "start", "end", "interval"]], match, dropped, past_end, tuple(notes))


@dataclass(frozen=True)
class GeneList:
    """Genes of one list, one row per symbol.

    Attributes
    ----------
    table
        `symbol`, `contig`, `start`, `end` (0-based half-open), `rows` (list rows merged into the gene) and
        `other_places` (rows of the same symbol elsewhere, left out); `gene_id` and `strand` where the file has them.
    rows
        Rows in the file.
    notes
        Sentences for the user.
    listed
        The rows as they are in the file, before merging: `symbol`, `contig`, `start`, `end`.
    exons
        `symbol`, `contig`, `start`, `end` of each gene's exons, those of its isoforms merged; empty without.
    """

    path: Path
    table: pd.DataFrame
    rows: int
    notes: tuple[str, ...]
    listed: pd.DataFrame = field(default_factory=pd.DataFrame)
    exons: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["symbol", "contig", "start", "end"]))


MERGE_RULE = (
    "Rows of one symbol that overlap on the same chromosome are merged into their union. A symbol with several such "
    "places keeps one: on a standard chromosome rather than an alternative contig, then with the most rows, then the "
    "longest, then the leftmost."
)


def read_gene_list(path: str | Path) -> GeneList:
    """Read a list of ``chr:start-end SYMBOL`` rows and merge them by `MERGE_RULE`.

    Converts from 1-based with the end included. One header line is allowed. Symbols that a spreadsheet has turned
    into dates or numbers are kept and named in a note; rows without one are left out and counted.

    Raises
    ------
    InputError
        At the first line of another shape, quoting it; or if no gene is left.
    """
    path = Path(path)
    symbols: list[str] = []
    loci = []
    blank = 0
    for number, line in text_lines(path, "gene list"):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        if number == 1 and fields and fields[0].strip().lower() in {"locus", "gene", "region", "position"}:
            continue
        if len(fields) != 2:
            raise _bad_line(path, number, line, 'expected two columns such as "chr10:61786056-61900774" and "ANK3"')
        try:
            locus = parse_locus(fields[0])
        except InputError:
            raise _bad_line(path, number, line, 'expected a locus such as "chr10:61786056-61900774" first') from None
        symbol = fields[1].strip()
        if not symbol:
            blank += 1
            continue
        symbols.append(symbol)
        loci.append(locus)
    if not symbols:
        raise InputError("there is no gene in this list", path=path)
    rows = pd.DataFrame({
        "symbol": symbols, "contig": [locus.contig for locus in loci],
        "start": np.array([locus.start for locus in loci], np.int64),
        "end": np.array([locus.end for locus in loci], np.int64),
    })
    return gene_list_of(path, rows, blank=blank)


def gene_list_of(
    path: Path, rows: pd.DataFrame, *, blank: int = 0, notes: Sequence[str] = (), exons: pd.DataFrame | None = None
) -> GeneList:
    """Merge the rows of a gene table by `MERGE_RULE` and say what is odd about it.

    Parameters
    ----------
    rows
        `symbol`, `contig`, `start`, `end`, at least one row; `gene_id` and `strand` if known.
    blank
        Rows without a symbol, left out already.
    notes
        What the reader has to say.
    exons
        `symbol`, `contig`, `start`, `end` of every isoform.
    """
    said = [*text_notes(path), *notes]
    if blank:
        said.append(f"{path.name}: {blank:,} rows without a symbol were left out.")
    said.extend(symbol_notes(path.name, rows["symbol"]))
    table = merge_gene_rows(rows)
    extra = [name for name in ("gene_id", "strand") if name in rows]
    if extra:
        first = rows.drop_duplicates(["symbol", "contig"]).set_index(["symbol", "contig"])[extra]
        table = table.join(first, on=["symbol", "contig"])
    moved = int((table["other_places"] > 0).sum())
    if moved:
        said.append(f"{path.name}: {moved:,} symbols are listed at more than one place; one place each was kept.")
    listed = rows[["symbol", "contig", "start", "end"]]
    if exons is None or exons.empty:
        return GeneList(path, table, len(rows), tuple(said), listed)
    return GeneList(path, table, len(rows), tuple(said), listed, _merged_exons(exons, table))


def _merged_exons(exons: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Return the exons inside each gene's place, those of its isoforms merged."""
    spans = genes.set_index("symbol")[["contig", "start", "end"]].add_prefix("gene_")
    inside = exons.join(spans, on="symbol", how="inner")
    inside = inside[
        (inside["contig"] == inside["gene_contig"])
        & (inside["start"] >= inside["gene_start"]) & (inside["end"] <= inside["gene_end"])
    ].sort_values(["symbol", "start", "end"], kind="stable")
    fresh = inside["symbol"] != inside["symbol"].shift()
    reach = inside.groupby("symbol")["end"].cummax().groupby(inside["symbol"]).shift(fill_value=-1)
    block = (fresh | (inside["start"] >= reach)).cumsum().rename("block")
    return inside.groupby(block, sort=False).agg(
        symbol=("symbol", "first"), contig=("contig", "first"), start=("start", "min"), end=("end", "max")
    ).reset_index(drop=True)


def merge_gene_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per symbol by `MERGE_RULE`, in the order in which symbols first appear.

    Parameters
    ----------
    rows
        `symbol`, `contig`, `start`, `end`.
    """
    rows = rows.assign(order=np.arange(len(rows)))
    rows = rows.sort_values(["symbol", "contig", "start", "end"], kind="stable")
    same = (rows["symbol"] == rows["symbol"].shift()) & (rows["contig"] == rows["contig"].shift())
    key = (~same).cumsum()
    reach = rows.groupby(key)["end"].cummax().groupby(key).shift(fill_value=-1)
    place = (~same | (rows["start"] >= reach)).cumsum()
    places = rows.groupby(place, sort=False).agg(
        symbol=("symbol", "first"), contig=("contig", "first"), start=("start", "min"), end=("end", "max"),
        rows=("order", "size"), order=("order", "min"),
    )
    places["alternative"] = [not _STANDARD_CONTIG.match(contig) for contig in places["contig"]]
    places["span"] = places["end"] - places["start"]
    places["all_rows"] = places.groupby("symbol")["rows"].transform("sum")
    first_seen = rows.groupby("symbol")["order"].min()
    best = places.sort_values(
        ["symbol", "alternative", "rows", "span", "start"], ascending=[True, True, False, False, True], kind="stable"
    ).drop_duplicates("symbol")
    best["other_places"] = best["all_rows"] - best["rows"]
    best = best.assign(order=best["symbol"].map(first_seen)).sort_values("order")
    return best[["symbol", "contig", "start", "end", "rows", "other_places"]].reset_index(drop=True)
