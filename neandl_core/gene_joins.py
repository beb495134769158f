"""Tables joined to genes by symbol or Ensembl id: expression, traits, and whatever a user brings.

A symbol matches whatever its case, and under its old name too where it was renamed because of spreadsheets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd

from neandl_core.errors import InputError, shorten
from neandl_core.files import require_file
from neandl_core.io.annotation import opened_text, text_lines
from neandl_core.io.symbols import ensembl_key, join_key

BRAIN = (
    "amygdala", "basal ganglia", "caudate", "cerebellum", "cerebellar hemisphere", "cerebral cortex", "cortex",
    "frontal cortex", "hippocampal formation", "hippocampus", "hypothalamus", "midbrain", "nucleus accumbens",
    "putamen", "spinal cord", "substantia nigra", "brain",
)
BRAIN_RULE = (
    "brain-enriched: at least 1 TPM in a tissue of the central nervous system, and four times the highest of all "
    "others (the fourfold rule of the Human Protein Atlas)"
)
TRAIT_COLUMN, GENE_COLUMN = "DISEASE/TRAIT", "MAPPED_GENE"
_FOLD, _LEAST_TPM = 4, 1
_NOT_TISSUES = {"entropy", "rel_entropy", "tau", "level"}
_ROWS, _COLUMNS = 1_000_000, 2_000
_LARGEST_BOOK = 500_000_000


@dataclass(frozen=True)
class Joined:
    """A table put beside genes.

    Attributes
    ----------
    table
        Its columns, one row per gene that matched, with the gene's `symbol` first.
    matched
        Genes that matched.
    rows
        Rows of the table.
    by
        The column that matched, and whether as symbol or Ensembl id.
    note
        How many matched, in one sentence.
    """

    table: pd.DataFrame
    matched: int
    rows: int
    by: str
    note: str


def read_any_table(path: str | Path) -> pd.DataFrame:
    """Read CSV, TSV (plain, gzip or ZIP), GCT, XLSX or parquet; cells stay what the file says, symbols stay text.

    Raises
    ------
    InputError
        If the file cannot be read as one of these, has no rows, or two columns of one name.
    """
    path = require_file(path, "table")
    name = path.name.lower()
    with path.open("rb") as handle:
        magic = handle.read(4)
    try:
        if magic == b"PAR1":
            table = pd.read_parquet(path).reset_index(drop=True)
        elif magic == b"PK\x03\x04" and name.endswith(".xlsx"):
            with ZipFile(path) as book:
                unpacked = sum(member.file_size for member in book.infolist())
            if unpacked > _LARGEST_BOOK:
                raise InputError("this workbook unpacks to more than 500 MB", path=path,
                                 advice="Save it as tab-separated text.")
            table = pd.read_excel(path, engine="openpyxl", dtype=str, keep_default_na=False, na_values=[""])
        else:
            table = _read_text(path)
    except (ValueError, KeyError, OSError, BadZipFile, ParseError) as error:
        raise InputError(f"this table cannot be read ({type(error).__name__})", path=path,
                         advice="Give tab- or comma-separated text, XLSX or parquet.") from None
    if table.empty:
        raise InputError("there is no row in this table", path=path)
    if len(table) > _ROWS or table.shape[1] > _COLUMNS:
        raise InputError(f"this table is larger than {_ROWS:,} rows or {_COLUMNS:,} columns", path=path)
    table.columns = [str(column) for column in table.columns]
    if table.columns.duplicated().any():
        twice = table.columns[table.columns.duplicated()][0]
        raise InputError(f'two columns are called "{shorten(twice)}"', path=path)
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            numbers = pd.to_numeric(table[column], errors="coerce")
            if numbers.notna().sum() and numbers.notna().sum() == table[column].notna().sum():
                table[column] = numbers
    return table


def _read_text(path: Path) -> pd.DataFrame:
    lines = [(number, line) for number, line in text_lines(path, "table") if line.strip()]
    if not lines:
        raise InputError("there is no row in this table", path=path)
    if lines[0][1].startswith("#1.2") and len(lines) > 2:  # GCT, as GTEx gives expression away: version, size, table
        lines = lines[2:]
    header = lines[0][1]
    separator = "\t" if "\t" in header else ","
    if separator not in header:
        raise InputError("expected columns separated by tabs or commas", path=path, place="line 1")
    from csv import reader

    names = [name.strip() for name in next(reader([header], delimiter=separator))]
    while names and not names[-1]:
        names.pop()
    rows = []
    for number, line in lines[1:]:
        if line.count('"') % 2:
            raise InputError("a quotation mark is not closed", path=path, place=f"line {number:,}")
        fields = next(reader([line], delimiter=separator)) if '"' in line else line.split(separator)
        if len(fields) > len(names) and any(fields[len(names):]):
            raise InputError(f"expected {len(names)} columns, got {len(fields)}", path=path, place=f"line {number:,}")
        rows.append([field.strip() or None for field in fields[: len(names)]] + [None] * (len(names) - len(fields)))
    return pd.DataFrame(rows, columns=names)


def join_table(genes: pd.DataFrame, table: pd.DataFrame, name: str) -> Joined:
    """Join a table to genes by the column that matches most of them.

    Parameters
    ----------
    genes
        `symbol`, and `gene_id` if known.
    table
        As `read_any_table` returns it.
    name
        What to call it in the note.

    Raises
    ------
    InputError
        If no column holds symbols or Ensembl ids of these genes.
    """
    keys = {"symbol": genes["symbol"].map(join_key)}
    if "gene_id" in genes:
        keys["Ensembl id"] = genes["gene_id"].map(ensembl_key)
    best = (0, "", "", pd.Series(dtype=object))
    for column in table.columns:
        if pd.api.types.is_numeric_dtype(table[column]):
            continue
        text = table[column].dropna().astype(str)
        for kind, own in keys.items():
            values = text.map(join_key if kind == "symbol" else ensembl_key)
            matched = int(own.isin(set(values.dropna())).sum())
            if matched > best[0]:
                best = (matched, column, kind, values)
    matched, column, kind, values = best
    if not matched:
        raise InputError(f"no column of {name} holds symbols or Ensembl ids of these genes")
    rows = table.loc[values.index].assign(_key=values).dropna(subset="_key")
    copies = int(rows["_key"].duplicated().sum())
    rows = rows.drop_duplicates("_key").set_index("_key").drop(columns=[column, "symbol"], errors="ignore")
    own = keys[kind]
    joined = rows.reindex(own.to_numpy()).set_axis(genes.index)
    joined.insert(0, "symbol", genes["symbol"])
    joined = joined[own.isin(rows.index)]
    twice = f" {copies:,} further rows repeat a gene; the first of each is used." if copies else ""
    note = f"{name}: {matched:,} of {len(genes):,} genes matched, by {kind} in its column \"{column}\".{twice}"
    return Joined(joined, matched, len(table), f"{kind} in {column}", note)


def tissues(table: pd.DataFrame) -> list[str]:
    """Return the columns of an expression table that are tissues: numbers, none of them a summary measure."""
    return [
        column for column in table.columns
        if pd.api.types.is_numeric_dtype(table[column]) and column.lower() not in _NOT_TISSUES
    ]


def brain_enriched(expression: pd.DataFrame) -> pd.Series:
    """Return whether each row is brain-enriched by `BRAIN_RULE`; False without tissues of both kinds."""
    columns = tissues(expression)
    brain = [column for column in columns if is_brain(column)]
    others = [column for column in columns if not is_brain(column) and "pituitary" not in column.lower()]
    if not brain or not others:
        return pd.Series(False, index=expression.index)
    top = expression[brain].max(axis=1)
    return (top >= _LEAST_TPM) & (top >= _FOLD * expression[others].max(axis=1))


def is_brain(column: str) -> bool:
    """Return whether a tissue's name is one of the central nervous system."""
    plain = column.lower().replace("_", " ")
    return any(name in plain for name in BRAIN)


def read_traits(path: str | Path) -> pd.DataFrame:
    """Read traits and their genes: one trait a line (GMT layout), or the GWAS Catalog's table of associations.

    GMT: the trait, an empty or free column, then symbols. GWAS Catalog: the column DISEASE/TRAIT, and the genes of
    MAPPED_GENE that a variant lies in; of a variant between two genes (written ``A - B``) neither counts.

    Returns
    -------
    DataFrame
        `key` (a symbol's name for joining) and `trait`, one row per pair.

    Raises
    ------
    InputError
        If no line has that layout.
    """
    path = Path(path)
    lines = text_lines(path, "table of traits")
    header = next(lines, (1, ""))[1].split("\t")
    if is_gwas_catalog(header):
        return _pairs_of_catalog(path)
    pairs = []
    for fields in chain((header,), (line.split("\t") for _, line in lines)):
        if len(fields) >= 3 and fields[0].strip():
            pairs.extend((join_key(symbol), fields[0].strip()) for symbol in fields[2:] if symbol.strip())
    if not pairs:
        raise InputError("expected lines of a trait, a free column and gene symbols, separated by tabs", path=path)
    return pd.DataFrame(pairs, columns=["key", "trait"]).drop_duplicates(ignore_index=True)


def is_gwas_catalog(columns: Sequence[str]) -> bool:
    """Return whether these are the columns of the GWAS Catalog's table of associations."""
    return TRAIT_COLUMN in columns and GENE_COLUMN in columns


def _pairs_of_catalog(path: Path) -> pd.DataFrame:
    from pyarrow import ArrowInvalid, csv

    wanted = csv.ConvertOptions(
        include_columns=[TRAIT_COLUMN, GENE_COLUMN], column_types=dict.fromkeys((TRAIT_COLUMN, GENE_COLUMN), "string")
    )
    try:
        with opened_text(path) as handle:
            table = csv.read_csv(
                handle, parse_options=csv.ParseOptions(delimiter="\t", quote_char=False), convert_options=wanted
            )
    except ArrowInvalid as error:
        raise InputError(f"this table of associations is damaged ({shorten(str(error), 120)})", path=path,
                         advice="Download it again.") from None
    pairs = table.group_by([TRAIT_COLUMN, GENE_COLUMN]).aggregate([]).to_pandas()
    pairs = pairs[~pairs[GENE_COLUMN].str.contains(" - ", regex=False)]
    pairs = pairs.assign(key=pairs[GENE_COLUMN].str.split(r"[,;]", regex=True)).explode("key")
    pairs = pd.DataFrame({"key": pairs["key"].str.strip(), "trait": pairs[TRAIT_COLUMN].str.strip()})
    pairs = pairs[(pairs["key"] != "") & (pairs["trait"] != "")]
    return pairs.assign(key=pairs["key"].map(join_key)).drop_duplicates(ignore_index=True)


def traits_of(symbol: str, traits: pd.DataFrame) -> list[str]:
    """Return the traits of a gene, sorted."""
    return sorted(traits.loc[traits["key"] == join_key(symbol), "trait"])


def count_traits(symbols: pd.Series, traits: pd.DataFrame) -> np.ndarray:
    """Return how many traits each symbol has."""
    counts = traits["key"].value_counts()
    return symbols.map(join_key).map(counts).fillna(0).to_numpy(int)
