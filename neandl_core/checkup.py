"""What `doctor` looks at: installation, devices, compiler, export, fonts, workspace; each with how to mend it."""

from __future__ import annotations

import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from neandl_core.devices import has_mps, list_gpus
from neandl_core.errors import InputError
from neandl_core.resources import free_disk, free_memory, size_text
from neandl_core.runs import CHECKPOINTS, LIVE_FILES, RESULTS, list_runs, raw_state, run_folders, supervisor_alive
from neandl_core.slots import cpu_slots
from neandl_core.stopping import clear_partial
from neandl_core.upgrades import outdated, upgrade

ROOT = Path(__file__).resolve().parents[1]
LITTLE_DISK = 2 << 30
LITTLE_MEMORY = 2 << 30
_NEEDED = "# What they bring"
_FOR_TESTS = "# For tests"


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, what was found, and how to mend it.

    Attributes
    ----------
    level
        ``good``, ``notice`` (works, but less well) or ``broken``.
    """

    level: str
    what: str
    found: str
    mend: str = ""

    @property
    def mark(self) -> str:
        """The level as a word of four letters."""
        return {"good": "ok  ", "notice": "note", "broken": "FAIL"}[self.level]


def examine(workspace: Path, *, mend: bool = False) -> list[Finding]:
    """Look at everything that NeanDL needs.

    Parameters
    ----------
    workspace
        The workspace's folder; it may not exist yet.
    mend
        Whether to upgrade old run folders and remove what interrupted runs left half-made.
    """
    return [
        _python(), _packages(ROOT / "requirements.txt"), _compiler(), _devices(), _memory(), _browser(), _fonts(),
        _place(workspace), *_runs(workspace / "runs", mend),
    ]


def _python() -> Finding:
    # An older Python than 3.11 does not get as far as this.
    return Finding("good", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def required_versions(text: str) -> dict[str, str]:
    """Return the versions that a requirements file pins for use; those for tests, and what they bring, are left out."""
    wanted = text.partition(_FOR_TESTS)[0].partition(_NEEDED)[0]
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([A-Za-z0-9.+]+)", wanted, re.MULTILINE))


def _packages(requirements: Path) -> Finding:
    if not requirements.exists():
        return Finding("notice", "Packages", "requirements.txt is not here, so versions cannot be compared")
    missing, other, wanted = [], [], required_versions(requirements.read_text(encoding="utf-8"))
    for name, version in wanted.items():
        try:
            # A local build tag, as of torch for the processor alone, is the same version.
            found = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != version:
            other.append(f"{name} {found} instead of {version}")
    if missing:
        return Finding("broken", "Packages", f"missing: {', '.join(missing)}", "make setup")
    if other:
        return Finding("notice", "Packages", "; ".join(other), "make setup brings the versions that were tested")
    return Finding("good", "Packages", f"all {len(wanted)} as pinned")


def _compiler() -> Finding:
    from neandl_core.models.compiling import obstacle

    problem = obstacle()
    if problem:
        return Finding(
            "notice", "Compiled loops", f"{problem}; networks train several times slower",
            "make setup; if the home folder is read-only, set NUMBA_CACHE_DIR to a folder that can be written",
        )
    return Finding("good", "Compiled loops", "numba compiles and keeps what it compiled")


def _devices() -> Finding:
    gpus = list_gpus()
    cores = f"processor with {os.cpu_count()} cores, {cpu_slots()} runs at a time"
    if not gpus:
        return Finding("good", "Devices", f"{cores}; {'this Mac has a GPU' if has_mps() else 'no GPU'}")
    import torch

    listed = "; ".join(gpu.label for gpu in gpus)
    if not torch.cuda.is_available():
        return Finding(
            "notice", "Devices", f"{listed}, which torch {torch.__version__} cannot use",
            "Install the CUDA build of torch, see the top of requirements.txt",
        )
    return Finding("good", "Devices", f"{cores}; {listed}")


def _memory() -> Finding:
    free = free_memory()
    if free < LITTLE_MEMORY:
        return Finding("notice", "Memory", f"{size_text(free)} available", "End other programs before a large run")
    return Finding("good", "Memory", f"{size_text(free)} available")


def _browser() -> Finding:
    names = (os.environ.get("NEANDL_BROWSER"), "chromium", "chromium-browser", "google-chrome", "chrome")
    for name in filter(None, names):
        found = shutil.which(name)
        if found:
            return Finding("good", "Browser for export", found)
    return Finding(
        "notice", "Browser for export", "none found; figures are drawn by matplotlib instead",
        "Install Chromium (Debian, Ubuntu: apt-get install chromium), or name one with NEANDL_BROWSER",
    )


def _fonts() -> Finding:
    missing = [] if list((ROOT / "assets" / "vendor" / "inter").glob("*.woff2")) else ["Inter for the pages"]
    from matplotlib import get_data_path

    if not list(Path(get_data_path(), "fonts", "ttf").glob("DejaVuSans.ttf")):
        missing.append("DejaVu Sans for print")
    if missing:
        return Finding("notice", "Fonts", f"missing: {', '.join(missing)}; the system's are used", "make setup")
    return Finding("good", "Fonts", "Inter for the pages, DejaVu Sans for print")


def _place(workspace: Path) -> Finding:
    there = workspace
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding(
            "broken", "Workspace", f"{workspace} is read-only; nothing can be started",
            "Make it writable, or set NEANDL_WORKSPACE to a folder of yours",
        )
    free = free_disk(there)
    if free < LITTLE_DISK:
        return Finding(
            "notice", "Workspace", f"{workspace}, {size_text(free)} of disk left", "Delete runs on the Runs page"
        )
    return Finding("good", "Workspace", f"{workspace}, {size_text(free)} of disk left")


def _runs(runs: Path, mend: bool) -> list[Finding]:
    listed = list_runs(runs)
    states = {name: sum(state.state == name for _, state in listed) for name in ("running", "queued", "interrupted")}
    counted = f"{len(listed):,} runs, {states['running']} at work, {states['queued']} waiting"
    findings = [Finding("good", "Runs", counted)]
    interrupted = [folder for folder, state in listed if state.state == "interrupted"]
    if interrupted:
        findings.append(Finding(
            "notice", "Interrupted runs", _few(interrupted), "python -m neandl_core resume RUN, or delete them"
        ))
    broken = _unreadable(runs)
    if broken:
        findings.append(Finding(
            "broken", "Damaged run folders", _few(broken),
            "Their state.json is not readable, or of a newer NeanDL: install that, or move them away",
        ))
    half = [
        folder for folder, state in listed
        if state.ended and state.state != "done" and not supervisor_alive(folder) and _half_made(folder)
    ]
    old = list(outdated(runs))
    if mend:
        for folder in half:
            clear_partial(folder)
        for folder in old:
            upgrade(folder)
    for what, folders, how in (
        ("Half-made files", half, "left by interrupted runs"), ("Older layout", old, "of earlier versions of NeanDL"),
    ):
        if folders:
            done = "mended" if mend else "python -m neandl_core doctor --mend"
            findings.append(Finding("notice", what, f"{how}: {_few(folders)}", done))
    return findings


def _few(folders: list[Path], most: int = 3) -> str:
    names = ", ".join(folder.name for folder in folders[:most])
    return names if len(folders) <= most else f"{names} and {len(folders) - most} more"


def _unreadable(runs: Path) -> list[Path]:
    found = []
    for folder in run_folders(runs):
        try:
            raw_state(folder)
        except InputError:
            found.append(folder)
    return found


def _half_made(folder: Path) -> bool:
    """Return whether an ended run left results of which some may be missing."""
    kept = {*LIVE_FILES, *CHECKPOINTS}
    return any(
        entry.name == RESULTS or (entry.is_file() and entry.name not in kept) for entry in folder.iterdir()
    )
