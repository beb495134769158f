"""One file over HTTP: resumed where it broke, from public addresses only, without trusting what the server claims."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import requests
import urllib3

from neandl_core.errors import InputError, SettingsError
from neandl_core.files import write_json

PIECE = 1 << 18
REDIRECTS = 5
WAITS = (0.5, 2.0, 5.0)
"""Seconds before each further attempt after a broken connection."""
MOST_ATTEMPTS = 20
TIMEOUT = (20, 60)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_REDIRECTS = {301, 302, 303, 307, 308}


def check_mirror(mirror: str) -> None:
    """Refuse a mirror's address that is neither https nor, on this machine itself, http.

    Raises
    ------
    SettingsError
        Saying what a mirror may be.
    """
    parts = urlsplit(mirror)
    plain_here = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain_here):
        raise SettingsError(
            f"data: mirror = {mirror!r} is refused: it should be a folder, an https address, or http on this machine."
        )


def check_public(url: str, trusted: str | None = None) -> None:
    """Refuse an address that is not https, or that leads into a private network.

    The name is looked up here and again by the connection. A name that changes in between to a private address is
    stopped there: no server inside has a certificate for it.

    Parameters
    ----------
    url
        Where the next request would go.
    trusted
        A mirror that the user named: addresses of the same scheme, host and port are let through.

    Raises
    ------
    InputError
        Naming the host.
    """
    parts = urlsplit(url)
    if trusted is not None and _origin(url) == _origin(trusted):
        return
    if parts.scheme != "https" or not parts.hostname or parts.username:
        raise InputError(f"the address leads to {parts.scheme}://{parts.hostname}, and only https is followed")
    try:
        addresses = [ipaddress.ip_address(parts.hostname)]
    except ValueError:
        if getproxies().get("https") and not proxy_bypass(parts.hostname):
            return  # The proxy looks the name up, from where it stands.
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        except OSError:
            raise InputError(
                f"the host {parts.hostname} cannot be found",
                advice="Is this machine connected to the internet? A folder or server that has the files can be given "
                "as --mirror.",
            ) from None
        addresses = [ipaddress.ip_address(entry[4][0].partition("%")[0]) for entry in found]
    if not all(address.is_global for address in addresses):
        raise InputError(f"the address leads to {parts.hostname}, inside a private network, and is not followed")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Transfer:
    """Fetch an address into a partial file, and go on with it the next time.

    Parameters
    ----------
    part
        The partial file; ``PART.json`` beside it says of which version of the published file it is a part.
    size
        Bytes of the whole file, None if not known.
    largest
        A server that sends more is stopped.
    on_bytes
        Told how many bytes are there, after each piece.
    trusted
        A mirror that the user named.
    """

    def __init__(
        self, part: Path, size: int | None, largest: int, on_bytes: Callable[[int], None], trusted: str | None = None
    ) -> None:
        self.part = part
        self.size = size
        self.largest = largest
        self._on_bytes = on_bytes
        self._trusted = trusted
        self._marks = part.with_name(f"{part.name}.json")
        self.resumed_at = 0

    def run(self, url: str) -> None:
        """Fetch the rest of the file.

        Raises
        ------
        InputError
            If the server refuses, or the connection breaks time and again; the partial file stays.
        """
        self.resumed_at = self._have()
        failures = 0
        for _ in range(MOST_ATTEMPTS):
            before = self._have()
            try:
                self._attempt(url)
            except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
                # As long as bytes keep coming, it goes on.
                failures = 1 if self._have() > before else failures + 1
                if failures > len(WAITS):
                    raise self._broken(url, error) from None
                time.sleep(WAITS[failures - 1])
                continue
            self._marks.unlink(missing_ok=True)
            return
        raise self._broken(url, ConnectionError())

    def _broken(self, url: str, error: Exception) -> InputError:
        return InputError(
            f"the connection to {urlsplit(url).hostname} broke after {self._have():,} bytes ({type(error).__name__})",
            path=self.part.name.removeprefix(".").removesuffix(".part"),
            advice="Run the same again: it goes on from there.",
        )

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _attempt(self, url: str) -> None:
        have, marks = self._have(), self._read_marks(url)
        if have and not marks:
            self.part.unlink()
            have = 0
        if have and have == self.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": marks["version"]}
        with self._open(url, headers) as answer:
            if answer.status_code == 416:
                self.part.unlink()
                raise ConnectionError("the partial file does not fit")
            if answer.status_code not in (200, 206):
                raise self._refused(answer)
            start = self._start(answer, have)
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            if version and not version.startswith("W/"):
                write_json(self._marks, {"url": url, "version": version})
            self._receive(answer, start)

    def _read_marks(self, url: str) -> dict[str, str] | None:
        try:
            marks = json.loads(self._marks.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return marks if isinstance(marks, dict) and marks.get("url") == url and marks.get("version") else None

    def _open(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Follow redirects one by one, each of them checked."""
        session = requests.Session()
        for _ in range(REDIRECTS + 1):
            check_public(url, self._trusted)
            session.trust_env = urlsplit(url).hostname not in _LOOPBACK
            answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False)
            if answer.status_code not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            url = urljoin(url, answer.headers["Location"])
            answer.close()
        raise InputError(f"the address is passed on more than {REDIRECTS} times", path=url)

    def _refused(self, answer: requests.Response) -> InputError:
        host = urlsplit(answer.url).hostname
        return InputError(
            f"{host} answered {answer.status_code} {answer.reason}", path=urlsplit(answer.url).path,
            advice="The file may have moved; a folder or server that has it can be given as --mirror.",
        )

    def _start(self, answer: requests.Response, have: int) -> int:
        """Return at which byte of the file the answer begins; a server may well begin again at 0."""
        if answer.status_code == 200:
            return 0
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            self.part.unlink(missing_ok=True)
            raise ConnectionError("the server sent another part than was asked for")
        return have

    def _receive(self, answer: requests.Response, start: int) -> None:
        promised = answer.headers.get("Content-Length")
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            done = start
            for piece in answer.raw.stream(PIECE, decode_content=False):
                done += len(piece)
                if done > self.largest:
                    raise InputError(
                        f"the server sends more than the {self.largest:,} bytes that this file may have",
                        path=self.part.name.removeprefix(".").removesuffix(".part"),
                    )
                file.write(piece)
                self._on_bytes(done)
        if promised is not None and done - start < int(promised):
            raise ConnectionError("the transfer ended early")
