"""Tables as files: TSV, and XLSX without formulas."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_EXCEL_ROWS = 1_048_575


def table_bytes(table: pd.DataFrame, form: str) -> bytes:
    """Return a table as a TSV or XLSX file.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, as anybody may name a gene or a
    read; a lone ``+`` or ``-`` is a strand and stays. Excel holds 1,048,575 rows: what is beyond is not written, and
    the last sheet says so.
    """
    safe = _safe(table)
    if form == "TSV":
        return safe.to_csv(sep="\t", index=False).encode()
    return _book([("table", safe)])


def workbook_bytes(tables: Iterable[tuple[str, pd.DataFrame]]) -> bytes:
    """Return several tables as one XLSX file, a sheet each, as safe as `table_bytes`.

    Parameters
    ----------
    tables
        Name and table of each sheet; a name is cut to Excel's 31 letters and made unlike the others.
    """
    sheets: list[tuple[str, pd.DataFrame]] = []
    taken: set[str] = {"not complete"}
    for name, table in tables:
        plain = re.sub(r"[\[\]:*?/\\']", " ", name).strip()[:31] or "table"
        free = next(one for one in _tries(plain) if one.lower() not in taken)
        taken.add(free.lower())
        sheets.append((free, _safe(table)))
    return _book(sheets)


def _tries(name: str) -> Iterable[str]:
    yield name
    for number in range(2, 10_000):
        yield f"{name[:26]} {number}"


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]) and not pd.api.types.is_datetime64_any_dtype(safe[name]):
            safe[name] = safe[name].map(_defused)
    safe.columns = [_defused(str(name)) for name in safe.columns]
    return safe


def _book(sheets: list[tuple[str, pd.DataFrame]]) -> bytes:
    buffer = io.BytesIO()
    options = {"options": {"strings_to_formulas": False, "strings_to_urls": False}}
    notes = []
    with pd.ExcelWriter(buffer, engine="xlsxwriter", engine_kwargs=options) as book:
        for name, table in sheets:
            table.head(_EXCEL_ROWS).to_excel(book, sheet_name=name, index=False)
            if len(table) > _EXCEL_ROWS:
                notes.append(
                    f"{_EXCEL_ROWS:,} of {len(table):,} rows are in {name}, as Excel holds no more. "
                    "The TSV file has them all."
                )
        if notes:
            pd.DataFrame({"note": notes}).to_excel(book, sheet_name="not complete", index=False)
    return buffer.getvalue()


def _defused(value: object) -> object:
    if isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
