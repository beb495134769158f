"""Gene symbols: what spreadsheets make of them, and under which name two tables mean the same gene."""

from __future__ import annotations

import re
from collections.abc import Iterable

from neandl_core.errors import shorten

_DATE = re.compile(
    r"^(?:(?P<day>\d{1,2})[-/ ](?P<month>[A-Za-z]{3})|(?P<month2>[A-Za-z]{3})[-/ ](?P<day2>\d{1,2}))(?:[-/ ]\d{2,4})?$"
)
_OTHER_DAMAGE = re.compile(r"^(\d(\.\d+)?E[+-]?\d+|\d{5}|\d{4}-\d{2}-\d{2}.*|\d{1,2}/\d{1,2}/\d{2,4})$")
_AT_RISK = re.compile(r"^(SEPT|MARCH|MARC|DEC|OCT|NOV)\d{1,2}$")
_STRANGE = re.compile(r"[^A-Za-z0-9_.@:()/ *'+-]|^[=+@-]")
_ENSEMBL = re.compile(r"^ENS[A-Z]*G\d{11}")
_RENAMED = (("SEPTIN", re.compile(r"^SEPT(\d{1,2})$")), ("MARCHF", re.compile(r"^MARCH(\d{1,2})$")),
            ("MTARC", re.compile(r"^MARC(\d)$")), ("DELEC", re.compile(r"^DEC(1)$")))
_MONTHS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}


def looks_mangled(symbol: str) -> bool:
    """Return whether a symbol looks like a date or number that a spreadsheet made of it (Ziemann et al. 2016)."""
    date = _DATE.match(symbol)
    if date:
        return (date["month"] or date["month2"]).lower() in _MONTHS
    return bool(_OTHER_DAMAGE.match(symbol))


def restored(symbol: str) -> str | None:
    """Return the gene that a date was made of, in its present name; None if it is no date or could be two genes.

    ``1-Sep`` was SEPT1, now SEPTIN1. ``1-Mar`` and ``2-Mar`` may have been MARCH or MARC genes and stay as they are.
    """
    date = _DATE.match(symbol)
    if not date:
        return None
    month, number = (date["month"] or date["month2"]).lower(), int(date["day"] or date["day2"])
    if month == "sep" and 1 <= number <= 14:
        return f"SEPTIN{number}"
    if month == "mar" and 3 <= number <= 11:
        return f"MARCHF{number}"
    return "DELEC1" if month == "dec" and number == 1 else None


def join_key(symbol: str) -> str:
    """Return the name under which a symbol is matched: upper case, its present name where spreadsheets forced one."""
    found = restored(symbol) or symbol.strip().upper()
    for name, old in _RENAMED:
        match = old.match(found)
        if match:
            return name + match[1]
    return found


def ensembl_key(identifier: object) -> str | None:
    """Return an Ensembl gene id without its version; None if it is none."""
    match = _ENSEMBL.match(str(identifier))
    return match[0] if match else None


def symbol_notes(name: str, symbols: Iterable[str]) -> list[str]:
    """Say what is odd about the symbols of a file; nothing is changed.

    Parameters
    ----------
    name
        The file's name.
    symbols
        As listed, in any number.
    """
    distinct = list(dict.fromkeys(symbols))
    notes = []
    mangled = [symbol for symbol in distinct if looks_mangled(symbol)]
    if mangled:
        meant = [f"{symbol} was {restored(symbol)}" for symbol in mangled if restored(symbol)]
        notes.append(
            f"{name}: {len(mangled)} symbols look like dates or numbers made by a spreadsheet "
            f"({', '.join(mangled[:3])}); they were kept as they are."
            + (f" Most likely {', '.join(meant[:3])}." if meant else "")
        )
    old = [symbol for symbol in distinct if _AT_RISK.match(symbol) and join_key(symbol) != symbol]
    if old:
        notes.append(
            f"{name}: {len(old)} symbols are of the kind that spreadsheets turn into dates and that were renamed for "
            f"it ({', '.join(f'{symbol} is now {join_key(symbol)}' for symbol in old[:3])}); tables are joined by both "
            "names."
        )
    strange = [symbol for symbol in distinct if _STRANGE.search(symbol)]
    if strange:
        notes.append(
            f"{name}: {len(strange)} symbols hold characters that no gene symbol has, the first "
            f'"{shorten(strange[0])}"; they were kept as text.'
        )
    return notes
