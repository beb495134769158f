"""A real HTTP server on this machine for tests of downloads: it serves ranges, and breaks where it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server has and what it saw.

    Attributes
    ----------
    files
        Path without the leading slash -> content.
    cut
        Path -> after how many bytes of the file the connection is cut; used once each.
    moved
        Path -> address that is answered instead.
    ranges
        Whether it honours Range.
    pause
        Seconds of rest after each quarter of a megabyte.
    requests
        (path, Range header) of every request, in order.
    """

    files: dict[str, bytes]
    cut: dict[str, list[int]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    pause: float = 0.0
    version: str = '"v1"'
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Served]:
    """Serve `files` on a free port of this machine."""
    served = Served(dict(files))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            wanted = self.headers.get("Range")
            served.requests.append((name, wanted))
            if name in served.moved:
                self.send_response(302)
                self.send_header("Location", served.moved[name])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if name not in served.files:
                self.send_error(404)
                return
            content, start = served.files[name], 0
            if wanted and served.ranges and self.headers.get("If-Range") in (None, served.version):
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("ETag", served.version)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            cut = served.cut.get(name)
            end = cut.pop(0) if cut else len(content)
            for at in range(start, end, 1 << 18):
                self.wfile.write(content[at : min(at + (1 << 18), end)])
                time.sleep(served.pause)
            if end < len(content):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
