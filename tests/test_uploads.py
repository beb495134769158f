"""Uploads through the real server: flat memory, going on after a break, and nobody writes where he should not."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.uploads import UploadStore, WrongOffsetError, plain_name, shown_name, token, upload_limit
from neandl_core.workspace import Workspace
from pages.shared.state import file_labels
from pages.shared.upload_route import HEADER, PATH
from tests.browser import served

PIECE = np.random.default_rng(3).bytes(1 << 20)
BED = b"chr1\t10\t200\nchr1\t300\t420\n"


class Client:
    """What the uploader in the browser does, without one."""

    def __init__(self, address: str, key: str) -> None:
        self.host = urlsplit(address).netloc
        self.key = key

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, object]]:
        connection = HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, {HEADER: self.key} | (headers or {}))
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else {"text": text.decode(errors="replace")}
        finally:
            connection.close()

    def begin(self, name: str, size: int) -> str:
        status, upload = self.ask("POST", PATH, json.dumps({"name": name, "size": size}))
        assert status == 200, upload
        return str(upload["id"])

    def send(self, identity: str, offset: int, body: object, **headers: str) -> tuple[int, dict[str, object]]:
        return self.ask(
            "PUT", f"{PATH}/{identity}?offset={offset}", body,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    with served(folder) as address:
        yield Client(address, token(folder / "uploads"))


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_large_file_goes_to_disk_and_not_into_memory(client: Client, folder: Path) -> None:
    pieces = 300
    server = next(child for child in psutil.Process().children() if "streamlit" in " ".join(child.cmdline()))
    client.send(client.begin("warm.bin", 1 << 20), 0, PIECE)
    before = server.memory_info().rss
    identity = client.begin("large.bin", pieces << 20)
    highest = 0

    def body() -> Iterator[bytes]:
        nonlocal highest
        for number in range(pieces):
            if number % 10 == 0:
                highest = max(highest, server.memory_info().rss)
            yield PIECE

    status, answer = client.send(identity, 0, body(), Content_Length=str(pieces << 20))
    assert status == 200, answer
    assert answer["offset"] == pieces << 20
    assert highest - before < 40 << 20, "the server holds the upload in memory"
    status, answer = client.ask("POST", f"{PATH}/{identity}/finish")
    whole = hashlib.sha256()
    for _ in range(pieces):
        whole.update(PIECE)
    assert answer["sha256"] == whole.hexdigest()
    assert (answer["complete"], answer["kind"]) == (True, "unknown")
    stored = folder / "uploads" / f"{identity}.other"
    assert stored.stat().st_size == pieces << 20
    assert client.ask("DELETE", f"{PATH}/{identity}")[0] == 200
    assert not stored.exists()


def test_an_upload_goes_on_after_a_break_in_the_middle_of_a_piece(client: Client, folder: Path) -> None:
    content = PIECE * 6
    identity = client.begin("sample.bin", len(content))
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            f"PUT {PATH}/{identity}?offset=0 HTTP/1.1\r\nHost: {client.host}\r\n{HEADER}: {client.key}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode() + content[: 3 << 20]
        )
    for _ in range(100):
        status, answer = client.ask("GET", f"{PATH}/{identity}")
        offset = int(str(answer["offset"]))
        if offset >= 2 << 20:
            break
    assert 0 < offset < len(content)
    assert content.startswith((folder / "uploads" / f"{identity}.part").read_bytes())
    status, answer = client.send(identity, offset, content[offset:])
    while status == 507:  # The server has not yet noticed that the first connection is gone.
        status, answer = client.send(identity, offset, content[offset:])
    if status == 409:  # Some more bytes were still on their way.
        status, answer = client.send(identity, int(str(answer["offset"])), content[int(str(answer["offset"])):])
    assert status == 200, answer
    assert client.ask("POST", f"{PATH}/{identity}/finish")[1]["sha256"] == hashlib.sha256(content).hexdigest()


def test_wrong_offsets_too_many_bytes_and_damaged_pieces_are_refused(client: Client) -> None:
    identity = client.begin("a.bed", len(BED))
    assert client.send(identity, 5, BED)[0] == 409
    assert client.send(identity, 0, BED + b"x")[0] == 422
    assert client.ask("GET", f"{PATH}/{identity}")[1]["offset"] == 0
    for offset in ("-1", "x", "", "1e3", "٣"):
        assert client.ask("PUT", f"{PATH}/{identity}?offset={offset.encode().hex() if offset == '٣' else offset}")[0] \
            in (409, 422)
    half = len(BED) // 2
    digest = hashlib.sha256(BED[:half]).hexdigest()
    status, answer = client.send(identity, 0, BED[:half][::-1], x_piece_sha256=digest)
    assert (status, "damaged" in str(answer["error"])) == (422, True)
    assert client.send(identity, 0, BED[:half], x_piece_sha256=digest)[0] == 200
    status, answer = client.ask("POST", f"{PATH}/{identity}/finish")
    assert (status, answer["offset"]) == (409, half)
    assert client.send(identity, half, BED[half:])[0] == 200
    status, answer = client.ask("POST", f"{PATH}/{identity}/finish")
    assert (answer["kind"], answer["sha256"]) == ("intervals", hashlib.sha256(BED).hexdigest())
    assert client.send(identity, len(BED), b"x")[0] == 409, "a complete file is never written to"
    client.ask("DELETE", f"{PATH}/{identity}")


@pytest.mark.parametrize(
    "headers",
    [{HEADER: ""}, {HEADER: "wrong"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
def test_only_a_page_of_this_server_may_write(client: Client, folder: Path, headers: dict[str, str]) -> None:
    before = everything(folder)
    body = json.dumps({"name": "a.bed", "size": 3})
    assert client.ask("POST", PATH, body, headers)[0] == 403
    assert everything(folder) == before


def test_a_page_of_this_server_may(client: Client) -> None:
    headers = {"Origin": f"http://{client.host}", "Sec-Fetch-Site": "same-origin"}
    status, upload = client.ask("POST", PATH, json.dumps({"name": "a.bed", "size": 3}), headers)
    assert status == 200
    assert client.ask("DELETE", f"{PATH}/{upload['id']}", None, headers)[0] == 200


@pytest.mark.parametrize(
    "name",
    ["../../evil.bam", "/etc/passwd", "..\\..\\evil.bam", "a\x00b.bam", "http://x.example/y.bam", "x.bam##idx##y",
     "-rf", "a\u202emab.exe", "." * 300, "é" * 300, "", "con.bam", "|ls", "~/x.bam"],
)
def test_a_name_is_text_and_never_a_path(client: Client, folder: Path, name: str) -> None:
    before = everything(folder.parent)
    identity = client.begin(name, len(BED))
    client.send(identity, 0, BED)
    answer = client.ask("POST", f"{PATH}/{identity}/finish")[1]
    new = everything(folder.parent) - before
    assert new == {f"{folder.name}/uploads/{identity}.json", f"{folder.name}/uploads/{identity}.bed"}
    assert "/" not in str(answer["name"])
    assert len(str(answer["name"])) <= 200
    client.ask("DELETE", f"{PATH}/{identity}")
    assert everything(folder.parent) == before


@pytest.mark.parametrize("identity", ["..", "../../x", "%2e%2e%2f%2e%2e%2fstate", "a" * 32, "A" * 32, ".token", "0"])
def test_an_identity_is_no_path(client: Client, folder: Path, identity: str) -> None:
    before = everything(folder)
    for method in ("GET", "PUT", "DELETE"):
        body = b"x" if method == "PUT" else None
        assert client.ask(method, f"{PATH}/{identity}?offset=0", body)[0] in (400, 403, 404, 405)
    assert everything(folder) == before


@pytest.mark.parametrize("body", [
    "", "[]", "{", '{"name": "a"}', '{"name": 3, "size": 3}', '{"name": "a", "size": 1.5}',
    '{"name": "a", "size": true}', '{"name": "a", "size": 0}', '{"name": "a", "size": -1}',
    '{"name": "a", "size": 1e99}', '{"name": "' + "a" * 5000 + '", "size": 3}',
])
def test_announcements_that_make_no_sense(client: Client, folder: Path, body: str) -> None:
    before = everything(folder)
    status, answer = client.ask("POST", PATH, body)
    assert status == 422
    assert answer["error"]
    assert everything(folder) == before


# ------------------------------------------------------------------------------------------------- the store itself


def test_size_and_disk_space_are_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = UploadStore(tmp_path / "uploads", limit=1000)
    with pytest.raises(InputError, match=r"big\.bam.*allowed.*data folder"):
        uploads.begin("big.bam", 1001)
    plenty = UploadStore(tmp_path / "uploads", limit=1 << 60)
    with pytest.raises(OutputError, match="GB free"):
        plenty.begin("big.bam", 1 << 59)
    assert not list((tmp_path / "uploads").glob("*"))
    monkeypatch.setenv("NEANDL_UPLOAD_LIMIT_GB", "2.5")
    assert upload_limit() == 2_500_000_000
    for wrong in ("many", "-1", "0", "nan"):
        monkeypatch.setenv("NEANDL_UPLOAD_LIMIT_GB", wrong)
        with pytest.raises(SettingsError, match="NEANDL_UPLOAD_LIMIT_GB"):
            upload_limit()


def test_a_new_server_goes_on_with_what_an_old_one_has_and_keeps_the_checksum(tmp_path: Path) -> None:
    first = UploadStore(tmp_path, 1 << 30)
    upload = first.begin("x", 3 << 20)
    with first.writer(upload, 0) as writer:
        writer.write(PIECE)
    with pytest.raises(OutputError, match="other tab"), first.writer(upload, 1 << 20):
        first.writer(upload, 1 << 20)
    second = UploadStore(tmp_path, 1 << 30)
    upload = second.all()[0]
    assert second.offset(upload) == 1 << 20
    with pytest.raises(WrongOffsetError):
        second.finish(upload)
    with second.writer(upload, 1 << 20) as writer:
        writer.write(PIECE * 2)
    assert second.finish(upload).sha256 == hashlib.sha256(PIECE * 3).hexdigest()


def test_a_finished_upload_is_offered_under_the_name_its_user_gave(tmp_path: Path) -> None:
    workspace = Workspace((), tmp_path)
    uploads = UploadStore(workspace.uploads, 1 << 30)
    for name, content in (("My regions.xyz", gzip.compress(BED)), ("half.bed", BED)):
        upload = uploads.begin(name, len(content))
        with uploads.writer(upload, 0) as writer:
            writer.write(content if name != "half.bed" else content[:5])
        if name != "half.bed":
            uploads.finish(upload)
    path, = workspace.files("intervals")
    assert path.suffixes == [".bed", ".gz"], "the ending is that of the content"
    assert shown_name(path) == "My regions.xyz"
    assert file_labels([path], set())[path].startswith("My regions.xyz · ")
    assert not workspace.files("table"), "records and partial files are no data"
    assert shown_name(tmp_path / "plain.bed") == "plain.bed"


def test_names_and_the_secret(tmp_path: Path) -> None:
    assert plain_name("/a/b\\c\u202e\x07.bam ") == "c.bam"
    key = token(tmp_path / "uploads")
    assert len(key) > 30
    assert token(tmp_path / "uploads") == key
    assert os.stat(tmp_path / "uploads" / ".token").st_mode & 0o077 == 0
