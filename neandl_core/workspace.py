"""Where things lie: the data folders that users may read from, and the workspace that holds their runs.

Both come from the environment: ``NEANDL_DATA`` (one or more folders, separated by ``:``) and ``NEANDL_WORKSPACE``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from neandl_core.errors import InputError, OutputError

KINDS: dict[str, tuple[str, ...]] = {
    "alignment": (".bam", ".cram", ".sam"),
    "genome": (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".2bit"),
    "intervals": (".bed", ".bed.gz"),
    "genes": (
        ".tsv", ".txt", ".txt.gz", ".tsv.gz", ".csv", ".gtf", ".gtf.gz", ".gff", ".gff.gz", ".gff3", ".gff3.gz",
        ".parquet",
    ),
    "sizes": (".sizes", ".fai", ".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".2bit"),
    "table": (
        ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".xlsx", ".parquet", ".gct", ".gct.gz", ".zip",
    ),
}
"""File name endings by what a page asks for. What a file really is, its reader finds out."""


@dataclass(frozen=True)
class Workspace:
    """The folders of one server.

    Attributes
    ----------
    data
        Folders on this machine from which files may be chosen; nothing outside them can be.
    folder
        Holds ``runs/``, one folder each. A finished run of ``simulate`` offers its files as a data folder does.
    shared
        The server's own folder where each user has one below it; None if there is one workspace for all.
    """

    data: tuple[Path, ...]
    folder: Path
    shared: Path | None = None

    @classmethod
    def from_environment(cls) -> Workspace:
        """Read ``NEANDL_DATA`` and ``NEANDL_WORKSPACE``; the workspace is ``./workspace`` if unset."""
        listed = os.environ.get("NEANDL_DATA", "")
        data = tuple(Path(part).expanduser().resolve() for part in listed.split(os.pathsep) if part.strip())
        folder = Path(os.environ.get("NEANDL_WORKSPACE") or "workspace").expanduser().resolve()
        return cls(data, folder)

    def of_user(self, identity: str) -> Workspace:
        """Return the workspace of one of several users of a server, a folder of their own below this one.

        Parameters
        ----------
        identity
            What tells the user from others, such as an e-mail address; never taken as a path.
        """
        plain = re.sub(r"[^a-z0-9]+", "-", identity.lower()).strip("-")[:40]
        mark = hashlib.sha256(identity.strip().lower().encode()).hexdigest()[:12]
        return Workspace(self.data, self.folder / "users" / f"{plain}-{mark}", self.folder)

    @property
    def queue(self) -> Path:
        """Folder of the queue and its slots, one for all users of the server."""
        return (self.shared or self.folder) / "queue"

    @property
    def read_only(self) -> bool:
        """Whether runs can be looked at and none can be started."""
        return self.runs.is_dir() and not os.access(self.runs, os.W_OK)

    @property
    def runs(self) -> Path:
        """Folder that holds one folder per run."""
        return self.folder / "runs"

    @property
    def downloads(self) -> Path:
        """Folder of the public data that were fetched; its files are offered as those of a data folder."""
        return self.folder / "data"

    @property
    def uploads(self) -> Path:
        """Folder of the files that browsers sent; see `uploads.py`."""
        return self.folder / "uploads"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders whose files are offered, besides the simulated projects."""
        return (*self.data, self.uploads, self.downloads)

    def simulated(self) -> list[Path]:
        """List the folders of the simulated projects that are finished, newest first; a demo holds one as a step."""
        found = (*self.runs.glob("*/state.json"), *self.runs.glob("*/*/state.json"))
        return sorted((path.parent for path in found if _simulated(path)), reverse=True)

    def prepare(self) -> None:
        """Make the workspace's folders; one that is there and read-only stays as it is, see `read_only`.

        Raises
        ------
        OutputError
            If they cannot be made.
        """
        try:
            if self.shared is not None:
                # What one user's runs hold is nobody else's business on the machine either.
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.runs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if self.runs.is_dir():
                return
            raise OutputError(
                f"The workspace {self.folder} cannot be written ({error.strerror}). "
                "Set NEANDL_WORKSPACE to a folder of yours."
            ) from None

    def files(self, kind: str) -> list[Path]:
        """List the files of a kind that are offered, two levels deep, sorted by name.

        They lie in the data folders, among the uploads, the fetched public data and the simulated projects.

        Links that lead out of their folder are left out, so that a page can only read what the server's owner offers.
        """
        endings = KINDS[kind]
        found: list[Path] = []
        simulated = self.simulated()
        for root in (*self.roots, *simulated):
            for depth in ("*", "*/*"):
                for path in root.glob(depth):
                    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
                    if hidden or not path.name.lower().endswith(endings) or not path.is_file():
                        continue
                    if root in simulated and ("truth" in path.name or path.name in ("log.txt", "methods.txt")):
                        continue  # The truth is there to compare results with; it is no input of a step.
                    if path.resolve().is_relative_to(root):
                        found.append(path)
        return sorted(set(found), key=lambda path: (path.parent, path.name.lower()))

    def everything(self) -> list[Path]:
        """List every file that lies where files are offered from, whatever its name; sorted by folder and name.

        Of a simulated project only what `files` offers is listed, of the uploads only complete ones.
        """
        found = {path for kind in KINDS for path in self.files(kind)}
        for root in self.roots:
            for depth in ("*", "*/*"):
                for path in root.glob(depth):
                    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
                    own = root in (self.uploads, self.downloads) and path.suffix in (".json", ".part")
                    if not hidden and not own and path.is_file() and path.resolve().is_relative_to(root):
                        found.add(path)
        return sorted(found, key=lambda path: (path.parent, path.name.lower()))

    @property
    def checks(self) -> Path:
        """Folder of the verdicts on files that were read through; see `checking.py`."""
        return self.folder / "checks"

    def check_offered(self, path: str | Path) -> Path:
        """Return `path` if it lies in a data folder or the workspace.

        Raises
        ------
        InputError
            If it does not, also when a link leads out.
        """
        resolved = Path(path).resolve()
        if not any(resolved.is_relative_to(root) for root in (*self.data, self.folder)):
            raise InputError(
                "this file is outside the data folders", path=path, advice="Set NEANDL_DATA to its folder."
            )
        return Path(path)


def is_simulated(path: str | Path) -> bool:
    """Return whether a file is one of NeanDL's own simulation, which every page has to say."""
    return _simulated(Path(path).parent / "state.json")


def _simulated(state_file: Path) -> bool:
    try:
        state = json.loads(state_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and state.get("command") == "simulate" and state.get("state") == "done"
