"""Routes that igv.js reads: tracks of gene runs, and stretches of files that an `index` run of this workspace knows.

A genome or BAM file is served only while a finished index run names it, it lies in the data folders or the workspace,
and it has not changed since.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from neandl_core.errors import InputError, NeanDLError
from neandl_core.runs import read_summary
from pages.shared.gene_browser.tracks import chromosome_sizes, features, find, finished, tables_of
from pages.shared.state import workspace

_PARTS = {"index": "index", "blocks": "blocks"}
_HEADERS = {"Content-Encoding": "identity", "Cache-Control": "private, no-cache"}


def track(request: Request) -> Response:
    """Answer with the features of a stretch."""
    tables = tables_of(finished(request.path_params["run"], "genes"))
    asked = request.query_params
    place = (int(float(asked.get("start", "0"))), int(float(asked.get("end", "0"))))
    return JSONResponse(features(tables, request.path_params["track"], asked.get("chr", ""), *place))


def sizes(request: Request) -> Response:
    """Answer with the chromosomes of a gene run."""
    return PlainTextResponse(chromosome_sizes(tables_of(finished(request.path_params["run"], "genes"))))


def gene(request: Request) -> Response:
    """Answer with the places of a gene."""
    tables = tables_of(finished(request.path_params["run"], "genes"))
    return JSONResponse(find(tables, request.query_params.get("name", "")))


def data(request: Request) -> Response:
    """Answer with a stretch of an indexed file, or with its index."""
    folder = finished(request.path_params["run"], "index")
    wanted = request.path_params["what"]
    if wanted in _PARTS:
        path = folder / _PARTS[wanted]
    elif wanted == "data":
        path = indexed_file(folder)
    else:
        raise InputError("there is no such part")
    if not path.is_file():
        raise InputError("there is no such part")
    return FileResponse(path, media_type="application/octet-stream", headers=_HEADERS)


def indexed_file(folder: Path) -> Path:
    """Return the file that an index run knows.

    Raises
    ------
    InputError
        If it is not offered any more, or has changed.
    """
    summary = read_summary(folder) or {}
    path = workspace().check_offered(summary.get("file", "/")).resolve()
    workspace().check_offered(path)
    now = path.stat()
    if (summary.get("size"), summary.get("changed")) != (now.st_size, now.st_mtime_ns):
        raise InputError("this file has changed since it was indexed", path=path)
    return path


def plainly(endpoint: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Answer 404 where something is refused; the answer names no path of the server."""

    def answer(request: Request) -> Response:
        try:
            return endpoint(request)
        except (NeanDLError, OSError, ValueError, OverflowError):
            return PlainTextResponse("not offered", status_code=404)

    return answer


ROUTES = [
    Route("/gene-run/{run:path}/sizes", plainly(sizes)),
    Route("/gene-run/{run:path}/gene", plainly(gene)),
    Route("/gene-run/{run:path}/track/{track}", plainly(track)),
    Route("/indexed/{run:path}/{what}", plainly(data), methods=["GET", "HEAD"]),
]
