"""A report in one HTML file that asks nothing of any other host: figures, tables, methods."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from neandl_core import __version__
from neandl_core.errors import OutputError
from neandl_core.export.plates import Plate, Style, file_names, picture
from neandl_core.export.tables import table_bytes
from neandl_core.figure_notes import settings_text
from neandl_core.presentation import unmarked

SHOWN_ROWS = 20
LARGEST_TABLE = 3_000_000
"""Bytes of a table that is put into the report as a whole."""
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 Inter, "Liberation Sans", Arial, sans-serif; color: #1D2430; background: #fff;
  max-width: 1000px; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 2rem; margin: 0; } h2 { font-size: 1.3rem; margin: 0 0 .75rem; }
.quiet { color: #5B6472; } nav ol { padding-left: 1.3rem; } a { color: #00588c; }
section { border-top: 1px solid #DDE1E7; padding: 2rem 0 1rem; break-inside: avoid; }
img { width: min(100%, 900px); height: auto; display: block; } img.single { width: min(100%, 450px); }
figcaption { margin: .4rem 0 .6rem; }
.simulated { display: inline-block; background: #FEF3E2; color: #92400E; border-radius: 4px; padding: 0 .5rem;
  font-size: .85rem; font-weight: 600; vertical-align: middle; }
.rows { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #EEF0F3; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; } dt { font-weight: 600; margin-top: .4rem; } dd { margin: 0; }
@media print { details:not([open]) { display: none; } nav { display: none; } }
"""


def report_bytes(plates: Sequence[Plate], style: Style, *, title: str, subtitle: str = "") -> bytes:
    """Return an HTML file with every plate's figure, caption, method and table.

    Its own policy forbids the browser to load anything, so it looks the same offline.

    Parameters
    ----------
    plates
        In order.
    style
        Letters and colours.
    title, subtitle
        On top.

    Raises
    ------
    OutputError
        If there is no plate, or one cannot be drawn.
    """
    if not plates:
        raise OutputError("There is no figure to export.")
    names = file_names(plates)
    contents = "".join(
        f'<li><a href="#figure-{number}">{escape(plate.title)}</a></li>' for number, plate in enumerate(plates, 1)
    )
    sections = "".join(
        _section(number, plate, name, style) for number, (plate, name) in enumerate(zip(plates, names, strict=True), 1)
    )
    below = f'<p class="quiet">{escape(subtitle)}</p>' if subtitle else ""
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><header><h1>{escape(title)}</h1>{below}"
        f'<p class="quiet">NeanDL {__version__} · {len(plates)} figure{"s" * (len(plates) != 1)}</p></header>'
        f"<nav><ol>{contents}</ol></nav>\n<main>{sections}</main></body></html>\n"
    )
    return page.encode("utf-8", "replace")


def _section(number: int, plate: Plate, name: str, style: Style) -> str:
    drawn = base64.b64encode(picture(plate, "svg", style)).decode()
    size = ' class="single"' if plate.width == "89" else ""
    badge = ' <span class="simulated">Simulated</span>' if plate.simulated else ""
    caption = " ".join(filter(None, (unmarked(plate.caption), f"{plate.n}." if plate.n else "")))
    return (
        f'<section id="figure-{number}"><h2>{number}. {escape(plate.title)}{badge}</h2>'
        f'<figure style="margin:0"><img{size} alt="{escape(plate.title)}" src="data:image/svg+xml;base64,{drawn}">'
        f'<figcaption class="quiet">{escape(caption)}</figcaption></figure>{_methods(plate)}'
        f"{_table(plate.table, name)}</section>\n"
    )


def _methods(plate: Plate) -> str:
    parts = {
        "Method": unmarked(plate.method), "Settings": settings_text(plate.settings), "Inputs": ", ".join(plate.inputs)
    }
    said = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in parts.items() if text)
    return f"<details><summary>Method and settings</summary><dl>{said}</dl></details>" if said else ""


def _table(table: pd.DataFrame | None, name: str) -> str:
    if table is None or table.empty:
        return ""
    whole = table_bytes(table, "TSV") if table.memory_usage().sum() < 4 * LARGEST_TABLE else b""
    link = ""
    if 0 < len(whole) <= LARGEST_TABLE:
        data = base64.b64encode(whole).decode()
        link = (f'<p><a download="{escape(name)}.tsv" href="data:text/tab-separated-values;base64,{data}">'
                "Whole table as TSV</a></p>")
    head = "".join(f"<th>{escape(str(column))}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.head(SHOWN_ROWS).itertuples(index=False, name=None)
    )
    shown = f"first {SHOWN_ROWS} of {len(table):,} rows" if len(table) > SHOWN_ROWS else f"{len(table):,} rows"
    return (
        f'<details><summary>Numbers ({shown})</summary><div class="rows"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{link}</details>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.6g}</td>' if value == value else "<td></td>"
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="number">{value}</td>'
    return f"<td>{escape('' if value is None else str(value))}</td>"
