"""Names of what is kept between reruns, and the folders that this server works on."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from neandl_core.uploads import shown_name
from neandl_core.workspace import Workspace

GENE = "gene"
"""Query parameter and key: the gene searched for."""
RUN = "run"
"""Query parameter: name of the run folder that a page shows."""
STARTED = "started"
"""Prefix of the keys that hold the folder of the run last started from this tab, one per command."""

PAGES: dict[str, str] = {
    "home": "../home.py",
    "runs": "../runs.py",
    "data": "../data.py",
    "reads": "../reads.py",
    "decontaminate": "../decontaminate.py",
    "windows": "../windows.py",
    "training": "../training.py",
    "results": "../results.py",
    "interpretation": "../interpretation.py",
    "embeddings": "../embeddings.py",
    "genes": "../genes.py",
    "overlap": "../overlap.py",
    "presentation": "../presentation.py",
}
"""Pages by name, as paths from the shell: what st.page_link and st.switch_page want."""


def workspace() -> Workspace:
    """Return the folders of this server, or of the user who is logged in; they exist."""
    found = Workspace.from_environment()
    user = user_identity()
    if user is not None:
        found = found.of_user(user)
    found.prepare()
    return found


def user_identity() -> str | None:
    """Return what tells the logged-in user from others; None where the server has no login."""
    if not st.user.get("is_logged_in"):
        return None
    return str(st.user.get("email") or st.user.get("sub"))


def login_missing() -> bool:
    """Return whether this server wants a login and the visitor has not logged in."""
    return "is_logged_in" in st.user and not st.user["is_logged_in"]


def run_from_address(names: list[str], wanted: str | None) -> int:
    """Return the index of the run folder that the page's address names, 0 (the newest) if it names none of them."""
    return names.index(wanted) if wanted in names else 0


def size_text(size: int) -> str:
    """Write a file's size as people do: ``12.3 MB``."""
    value, unit = float(size), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def file_labels(paths: list[Path], simulated: set[Path]) -> dict[Path, str]:
    """Name files in a list: name, size, folder; of simulated ones the folder only where names repeat."""
    labels = {}
    for path in paths:
        parts = [shown_name(path), size_text(path.stat().st_size)]
        if path in simulated:
            parts.append("simulated")
        if path not in simulated or sum(other.name == path.name for other in simulated) > 1:
            parts.append(path.parent.name)
        labels[path] = " · ".join(parts)
    return labels
