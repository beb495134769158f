"""What is offered beside a figure or a table, made only when it is asked for."""

from __future__ import annotations

import io

import pandas as pd

FIGURE_FORMATS = {"PNG": "image/png", "SVG": "image/svg+xml", "PDF": "application/pdf"}
TABLE_FORMATS = {
    "TSV": "text/tab-separated-values",
    "XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_EXCEL_ROWS = 1_048_575


def table_bytes(table: pd.DataFrame, form: str) -> bytes:
    """Return a table as a TSV or XLSX file.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, as anybody may name a gene or a
    read; a lone ``+`` or ``-`` is a strand and stays. Excel holds 1,048,575 rows: what is beyond is not written, and
    the last sheet says so.
    """
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]) and not pd.api.types.is_datetime64_any_dtype(safe[name]):
            safe[name] = safe[name].map(_defused)
    safe.columns = [_defused(str(name)) for name in safe.columns]
    if form == "TSV":
        return safe.to_csv(sep="\t", index=False).encode()
    buffer = io.BytesIO()
    options = {"options": {"strings_to_formulas": False, "strings_to_urls": False}}
    with pd.ExcelWriter(buffer, engine="xlsxwriter", engine_kwargs=options) as book:
        safe.head(_EXCEL_ROWS).to_excel(book, sheet_name="table", index=False)
        if len(safe) > _EXCEL_ROWS:
            note = f"{_EXCEL_ROWS:,} of {len(safe):,} rows are here, as Excel holds no more. The TSV file has them all."
            pd.DataFrame({"note": [note]}).to_excel(book, sheet_name="not complete", index=False)
    return buffer.getvalue()


def _defused(value: object) -> object:
    if isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
