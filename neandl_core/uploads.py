"""Files that browsers send: written to disk piece by piece, gone on with after a break, never held in memory.

An upload is two files in the workspace's folder of uploads: `ID.part`, the bytes so far, and `ID.json`, what the user
called it. A complete one becomes ``ID`` with the ending that its content has. The ID is a random number: no part of
a path ever comes from outside, and the user's name for the file is text that is shown and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
import unicodedata
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock

from neandl_core.errors import InputError, NeanDLError, OutputError, SettingsError
from neandl_core.files import read_json, write_json
from neandl_core.io.recognition import recognise

SPARE_BYTES = 256 << 20
"""Disk space that is left free."""
USUAL_LIMIT_GB = 50.0
LIMIT_VARIABLE = "NEANDL_UPLOAD_LIMIT_GB"
_IDENTITY = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME = 200


class WrongOffsetError(NeanDLError):
    """A piece does not begin where the file ends so far."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The next piece has to begin at byte {offset:,}.")
        self.offset = offset


@dataclass(frozen=True)
class Upload:
    """One upload.

    Attributes
    ----------
    identity
        32 hexadecimal digits.
    name
        What the user's file was called; for showing only.
    size
        Bytes announced.
    begun
        Unix time.
    stored
        File name in the folder of uploads once it is complete, else empty.
    sha256, kind, format, problem
        Of the complete file: checksum, and what it is by its content.
    """

    identity: str
    name: str
    size: int
    begun: float
    stored: str = ""
    sha256: str = ""
    kind: str = ""
    format: str = ""
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return bool(self.stored)


def upload_limit() -> int:
    """Return the largest upload in bytes: ``NEANDL_UPLOAD_LIMIT_GB``, 50 GB if unset.

    Raises
    ------
    SettingsError
        If the variable is no positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    try:
        limit = float(text) if text else USUAL_LIMIT_GB
    except ValueError:
        limit = -1.0
    if not 0 < limit < 1e6:
        raise SettingsError(f"{LIMIT_VARIABLE} = {text!r} is refused: it should be a number of gigabytes, such as 20.")
    return int(limit * 1e9)


def plain_name(name: str) -> str:
    """Return what a user's file is called: without folders and without characters that cannot be seen."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").strip()
    return seen[:_LONGEST_NAME] or "unnamed"


class UploadStore:
    """The folder of uploads.

    Parameters
    ----------
    folder
        Made when the first upload begins.
    limit
        Largest file in bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._writers: dict[str, _Writer] = {}
        self._lock = Lock()

    def begin(self, name: str, size: int) -> Upload:
        """Announce a file and return its upload.

        Raises
        ------
        InputError
            If it is empty or larger than the limit.
        OutputError
            If the disk has too little space for it and those that are under way.
        """
        name = plain_name(name)
        if not 0 < size <= self.limit:
            problem = "this file is empty" if size <= 0 else (
                f"it has {size / 1e9:,.1f} GB and {self.limit / 1e9:,.1f} GB are allowed"
            )
            raise InputError(
                problem, path=name, advice="" if size <= 0 else
                "Put it into a data folder of the server instead, where any size is read without copying.",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_space(size)
        upload = Upload(secrets.token_hex(16), name, size, time.time())
        self._part(upload).touch()
        self._save(upload)
        return upload

    def find(self, identity: str) -> Upload:
        """Return an upload.

        Raises
        ------
        InputError
            If there is none of this identity.
        """
        place = self.folder / f"{identity}.json"
        if not _IDENTITY.fullmatch(identity) or not place.is_file():
            raise InputError("there is no such upload", advice="Add the file again.")
        try:
            return Upload(**read_json(place))
        except TypeError:
            raise InputError("the record of this upload is damaged", advice="Remove it.") from None

    def offset(self, upload: Upload) -> int:
        """Return how many bytes are there."""
        if upload.complete:
            return upload.size
        part = self._part(upload)
        return part.stat().st_size if part.exists() else 0

    def writer(self, upload: Upload, offset: int) -> _Writer:
        """Return what writes the piece that begins at `offset`; use it as a context.

        Raises
        ------
        WrongOffsetError
            If the file does not end there.
        OutputError
            If another piece of it is being written, or the disk is nearly full.
        """
        have = self.offset(upload)
        if upload.complete or offset != have:
            raise WrongOffsetError(have)
        self._check_space(upload.size - have, but=upload.identity)
        with self._lock:
            writer = self._writers.get(upload.identity)
            if writer is None or writer.done != have:
                writer = self._writers[upload.identity] = _Writer(self._part(upload), upload)
            writer.claim()
        return writer

    def finish(self, upload: Upload) -> Upload:
        """Close a complete upload: its checksum, what it is, and its final name.

        Raises
        ------
        WrongOffsetError
            If bytes are missing.
        """
        if upload.complete:
            return upload
        have, part = self.offset(upload), self._part(upload)
        if have != upload.size:
            raise WrongOffsetError(have)
        with self._lock:
            writer = self._writers.pop(upload.identity, None)
        if writer is None or writer.done != have:
            writer = _Writer(part, upload)
        digest = writer.digest()
        found = recognise(part)
        stored = f"{upload.identity}{found.ending or '.other'}"
        os.replace(part, self.folder / stored)
        finished = replace(
            upload, stored=stored, sha256=digest, kind=found.kind, format=found.format, problem=found.problem
        )
        self._save(finished)
        return finished

    def remove(self, upload: Upload) -> None:
        """Remove an upload, complete or not."""
        with self._lock:
            self._writers.pop(upload.identity, None)
        for path in (self._part(upload), *([self.folder / upload.stored] if upload.complete else [])):
            path.unlink(missing_ok=True)
        (self.folder / f"{upload.identity}.json").unlink(missing_ok=True)

    def all(self) -> list[Upload]:
        """List the uploads, newest first; damaged records are left out."""
        found = []
        for place in self.folder.glob("*.json"):
            try:
                found.append(self.find(place.stem))
            except InputError:
                continue
        return sorted(found, key=lambda upload: upload.begun, reverse=True)

    def _part(self, upload: Upload) -> Path:
        return self.folder / f"{upload.identity}.part"

    def _save(self, upload: Upload) -> None:
        write_json(self.folder / f"{upload.identity}.json", asdict(upload))

    def _check_space(self, needed: int, but: str = "") -> None:
        """Make sure that the disk holds what is still to come, of the other uploads too."""
        others = sum(
            one.size - self.offset(one) for one in self.all() if not one.complete and one.identity != but
        )
        free = shutil.disk_usage(self.folder).free
        if needed + others + SPARE_BYTES > free:
            raise OutputError(
                f"The server's disk has {free / 1e9:,.1f} GB free and {(needed + others + SPARE_BYTES) / 1e9:,.1f} GB "
                "are needed. Remove files that are not needed any more, or uploads that were not finished."
            )


class _Writer:
    """Writes the pieces of one upload in order and keeps the running checksum, so that it is not read again."""

    def __init__(self, part: Path, upload: Upload) -> None:
        self._part = part
        self._upload = upload
        self._hash = hashlib.sha256()
        self.done = 0
        self._busy = Lock()
        if part.exists() and part.stat().st_size:
            with part.open("rb") as handle:
                while piece := handle.read(1 << 20):
                    self._hash.update(piece)
                    self.done += len(piece)

    def claim(self) -> None:
        """Take the writer for one piece."""
        if not self._busy.acquire(blocking=False):
            raise OutputError("Another piece of this file is being written. Close the other tab that sends it.")

    def __enter__(self) -> _Writer:
        self._start, self._before = self.done, self._hash.copy()
        self._piece = hashlib.sha256()
        try:
            self._file = self._part.open("r+b")
        except OSError as error:
            self._busy.release()
            raise OutputError(f"The upload cannot be written ({error.strerror}).") from None
        self._file.seek(self.done)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._busy.release()

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises
        ------
        InputError
            If they are more than was announced.
        OutputError
            If the disk does not take them.
        """
        if self.done + len(data) > self._upload.size:
            raise InputError(f"more bytes came than the {self._upload.size:,} announced", path=self._upload.name)
        try:
            self._file.write(data)
        except OSError as error:
            self.take_back()
            raise OutputError(f"The upload cannot be written ({error.strerror}).") from None
        self._hash.update(data)
        self._piece.update(data)
        self.done += len(data)

    def check(self, expected: str | None) -> None:
        """Hold the piece to the checksum that the sender took of it; a piece that differs is taken back.

        Raises
        ------
        InputError
            If it differs.
        """
        if expected is not None and self._piece.hexdigest() != expected.lower():
            self.take_back()
            raise InputError("a piece was damaged on its way", path=self._upload.name, advice="It is sent again.")

    def take_back(self) -> None:
        """Forget the piece: the file ends where it began."""
        self._file.truncate(self._start)
        self.done, self._hash = self._start, self._before

    def digest(self) -> str:
        """Return the SHA-256 of all that was written, after making sure that the disk has it."""
        with self._part.open("rb") as handle:
            os.fsync(handle.fileno())
        return self._hash.hexdigest()


def shown_name(path: Path) -> str:
    """Return what a user calls a file: an upload's own name, else the file's."""
    record = path.with_name(f"{path.name[:32]}.json")
    if _IDENTITY.fullmatch(path.name[:32]) and record.is_file():
        try:
            return Upload(**read_json(record)).name
        except (InputError, TypeError):
            return path.name
    return path.name


def token(folder: Path) -> str:
    """Return the secret that a page hands to its own browser and the upload route asks for; made at first use."""
    place = folder / ".token"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(secrets.token_urlsafe(32))
    except FileExistsError:
        pass
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written ({error.strerror}).") from None
    text = place.read_text(encoding="utf-8")
    if not text:
        raise OutputError(f"{place} is empty. Delete it and open the page again.")
    return text
