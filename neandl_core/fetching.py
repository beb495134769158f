"""Fetch data sets of the catalogue: licences accepted, checksums held to, from the publisher or a mirror.

Beside the files lies `fetched.json`: which licence was accepted when, and the SHA-256 of every file. A file whose
SHA-256 the catalogue does not know has it recorded there at its first download and is held to it from then on.
"""

from __future__ import annotations

import gzip
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from neandl_core.catalogue import CatalogueFile, DataSet, terms
from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.files import read_json, sha256, write_json
from neandl_core.recording import Progress, no_progress
from neandl_core.transfer import Transfer, check_mirror

RECORD = "fetched.json"
SPARE_BYTES = 256 << 20
"""Disk space that is left free."""
_UNKNOWN_FACTOR = 4


@dataclass(frozen=True)
class Fetched:
    """A file that is here now.

    Attributes
    ----------
    data_set, name, path, size, sha256
        Which it is.
    source
        Where it came from: ``already here``, the mirror, or the publisher's host.
    note
        What a user should know of it; empty if nothing.
    """

    data_set: str
    name: str
    path: Path
    size: int
    sha256: str
    source: str
    note: str = ""


def fetch(
    sets: Sequence[DataSet],
    folder: Path,
    *,
    accept_licence: bool,
    mirror: str | None = None,
    offline: bool = False,
    progress: Progress = no_progress,
) -> list[Fetched]:
    """Fetch data sets into `folder`, each set's files in a folder of its own.

    Parameters
    ----------
    sets
        From `catalogue.choose`.
    folder
        Made if it is not there.
    accept_licence
        Whether the user accepts the licences; those accepted before for this folder need not be accepted again.
    mirror
        A folder that has files of the same names (also gzipped, also in sub-folders), or a server's address.
    offline
        Use what is here and in a mirror folder, and never the network.
    progress
        Called with bytes done and in all.

    Raises
    ------
    SettingsError
        If a licence is not accepted, or the mirror is not allowed.
    InputError
        If a file cannot be had or is not the one that was published.
    OutputError
        If it cannot be written or the disk has too little space.
    """
    at_mirror = _mirror(mirror)
    if offline and isinstance(at_mirror, str):
        raise SettingsError("data: --offline and the address of a mirror contradict each other; give a folder.")
    record = _read_record(folder)
    _accept(sets, record, accept_licence)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}).") from None
    write_json(folder / RECORD, record)
    wanted = [(data_set, file) for data_set in sets for file in data_set.files]
    _check_space(folder, wanted)
    total = sum(file.about_bytes for _, file in wanted)
    done, fetched = 0, []
    for data_set, file in wanted:
        def tell(have: int, before: int = done, name: str = file.name) -> None:
            progress(min(before + have, total), total, f"Fetching {name}")

        tell(0)
        place = _Place(folder, data_set, file, record["files"].get(file.name, {}).get("sha256"))
        one = place.bring(at_mirror, offline, tell)
        record["files"][file.name] = {
            "set": data_set.name, "sha256": one.sha256, "size": one.size, "source": one.source,
            "in_catalogue": file.sha256 is not None, "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        write_json(folder / RECORD, record)
        fetched.append(one)
        done += file.about_bytes
    progress(total, total, "All files are here")
    return fetched


def here(data_set: DataSet, folder: Path) -> bool:
    """Return whether every file of a set lies in `folder`, as it was fetched."""
    files = _read_record(folder)["files"]
    for file in data_set.files:
        path = folder / data_set.folder / file.name
        if not path.is_file() or path.stat().st_size != files.get(file.name, {}).get("size"):
            return False
    return True


def accepted(data_set: DataSet, folder: Path) -> bool:
    """Return whether this wording of the set's licence was accepted for `folder`."""
    return _read_record(folder)["accepted"].get(data_set.name, {}).get("licence") == data_set.licence


def as_rows(fetched: Sequence[Fetched]) -> list[dict[str, Any]]:
    """Return what was fetched as plain values, for a summary."""
    return [asdict(one) | {"path": str(one.path)} for one in fetched]


def _read_record(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / RECORD
    found = read_json(path) if path.exists() else {}
    return {"accepted": found.get("accepted", {}), "files": found.get("files", {})}


def _accept(sets: Sequence[DataSet], record: dict[str, dict[str, Any]], accept_licence: bool) -> None:
    """Note the acceptance of every licence, or name those that are missing."""
    missing = [one for one in sets if record["accepted"].get(one.name, {}).get("licence") != one.licence]
    if missing and not accept_licence:
        listed = "\n".join(f"  {terms(one)}" for one in missing)
        raise SettingsError(
            f"data: accept these licences first, with --accept-licence:\n{listed}"
        )
    for one in missing:
        record["accepted"][one.name] = {"licence": one.licence, "when": time.strftime("%Y-%m-%d %H:%M:%S")}


def _mirror(mirror: str | None) -> Path | str | None:
    if not mirror:
        return None
    if "://" in mirror:
        check_mirror(mirror)
        return mirror.rstrip("/") + "/"
    folder = Path(mirror).expanduser()
    if not folder.is_dir():
        raise InputError("there is no such mirror folder", path=folder, advice=f"Looked for {folder}.")
    return folder


def _check_space(folder: Path, wanted: Sequence[tuple[DataSet, CatalogueFile]]) -> None:
    missing = sum(
        file.about_bytes for data_set, file in wanted if not (folder / data_set.folder / file.name).exists()
    )
    free = shutil.disk_usage(folder).free
    if missing + SPARE_BYTES > free:
        raise OutputError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free, and {(missing + SPARE_BYTES) / 1e9:.1f} GB are needed."
        )


class _Place:
    """Where one file goes, and by which of the ways it gets there."""

    def __init__(self, folder: Path, data_set: DataSet, file: CatalogueFile, recorded: str | None) -> None:
        self.folder = folder / data_set.folder
        self.data_set = data_set
        self.file = file
        self.recorded = recorded
        self.path = self.folder / file.name
        self.part = self.folder / f".{file.name}.part"

    def bring(self, mirror: Path | str | None, offline: bool, tell: Any) -> Fetched:
        import pooch

        pooch.get_logger().setLevel(logging.ERROR)  # Progress and notes go through the run.
        self.folder.mkdir(exist_ok=True)
        expected = self.file.sha256 or self.recorded
        if self.path.is_file() and expected is not None and sha256(self.path) == expected:
            return self._fetched("already here")
        note = ""
        if self.path.is_file():
            note = "The file that lay here was another one and was replaced. "
            self.path.unlink()
        copy = _in_folder(mirror, self.file.name) if isinstance(mirror, Path) else None
        if copy is not None:
            url, source, get = copy.as_uri(), f"mirror folder {mirror}", partial(self._copy, copy, tell)
        elif offline:
            raise InputError(
                "this file is not here" + (f" and not in {mirror}" if mirror else ""), path=self.file.name,
                advice="Leave out --offline, or give a --mirror folder that has it.",
            )
        else:
            url = f"{mirror}{quote(self.file.name)}" if isinstance(mirror, str) else self.file.url
            source = url.split("/")[2]
            get = partial(self._download, url, mirror if isinstance(mirror, str) else None, tell)

        def downloader(_: str, target: str, __: Any) -> None:
            get()
            self.part.replace(target)

        keeper = pooch.create(
            self.folder, base_url="", registry={self.file.name: expected}, urls={self.file.name: url},
        )
        try:
            keeper.fetch(self.file.name, downloader=downloader)
        except ValueError:
            raise InputError(
                f"the file from {source} is not the one that was published: expected SHA-256 {expected}, got "
                f"{self._got}; it was removed", path=self.file.name,
                advice="Try again, or another mirror." if self.file.sha256 else
                f"If its publisher has brought out a new version, delete its entry in {RECORD} and get it again.",
            ) from None
        except OSError as error:
            raise OutputError(f"{self.file.name} cannot be written ({error.strerror or error}).") from None
        if expected is None:
            note += "Its SHA-256 was not known; the one that came is recorded, and later downloads are held to it."
        return self._fetched(source, note.strip())

    def _fetched(self, source: str, note: str = "") -> Fetched:
        return Fetched(
            self.data_set.name, self.file.name, self.path, self.path.stat().st_size, sha256(self.path) or "", source,
            note,
        )

    def _copy(self, copy: Path, tell: Any) -> None:
        """Copy from a mirror folder, unpacked if it is gzipped there and not as published."""
        packed = copy.name == f"{self.file.name}.gz"
        done = 0
        with (gzip.open(copy) if packed else copy.open("rb")) as source, self.part.open("wb") as target:
            while piece := source.read(1 << 20):
                done += len(piece)
                if done > self._largest:
                    break  # It is another file; its checksum will say so.
                target.write(piece)
                tell(done)
        self._got = sha256(self.part)

    def _download(self, url: str, trusted: str | None, tell: Any) -> None:
        try:
            Transfer(self.part, self.file.bytes, self._largest, tell, trusted).run(url)
        except InputError as error:
            if error.path is None:
                raise InputError(str(error), path=self.file.name) from None
            raise
        self._got = sha256(self.part)

    @property
    def _largest(self) -> int:
        return self.file.bytes + 1 if self.file.bytes is not None else _UNKNOWN_FACTOR * self.file.about_bytes


def _in_folder(folder: Path, name: str) -> Path | None:
    """Find a file, or its gzipped copy, in a mirror folder and its sub-folders, two levels deep."""
    for wanted in (name, f"{name}.gz"):
        for depth in ("", "*/", "*/*/"):
            found = sorted(path for path in folder.glob(f"{depth}{wanted}") if path.is_file())
            if found:
                return found[0].resolve()
    return None
