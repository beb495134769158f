"""Routes from which browsers get the points of maps. Nothing but finished embed runs of this workspace is served."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from neandl_core.errors import NeanDLError
from neandl_core.runs import read_summary
from pages.shared.embedding.clouds import OWN, Look, cloud_of, embed_folder, levels, own_column, told

_BYTES = "application/octet-stream"
_AS_IT_IS = {"Content-Encoding": "identity", "Cache-Control": "private, no-cache"}
"""The server would else compress the numbers for seconds, to save little."""


def positions(request: Request) -> Response:
    """Answer with all x, then all y, from -1 to 1: little-endian float32."""
    cloud = cloud_of(embed_folder(request.path_params["run"]))
    return Response(cloud.positions, media_type=_BYTES, headers=_AS_IT_IS)


def colours(request: Request) -> Response:
    """Answer with one byte a k-mer, as `clouds.levels` says."""
    run = request.path_params["run"]
    folder, look = embed_folder(run), Look.read(request.query_params)
    learnt = bool((read_summary(folder) or {}).get("learnt"))
    found = levels(cloud_of(folder), folder, run, look, learnt=learnt)
    return Response(found, media_type=_BYTES, headers=_AS_IT_IS)


def kmer(request: Request) -> Response:
    """Answer with what is known of one k-mer, for the box beside the mouse."""
    folder = embed_folder(request.path_params["run"])
    cloud, look = cloud_of(folder), Look.read(request.query_params)
    own = own_column(cloud, folder, look.own, look.column) if look.by == OWN else None
    row = request.query_params.get("row", "")
    return JSONResponse(told(cloud, int(row) if row.isdecimal() else -1, own))


def plainly(endpoint: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Answer 404 where the core refuses; the sentence names no path of the server."""

    def answer(request: Request) -> Response:
        try:
            return endpoint(request)
        except (NeanDLError, KeyError):
            return PlainTextResponse("not offered", status_code=404)

    return answer


ROUTES = [
    Route("/points/{run:path}/positions", plainly(positions)),
    Route("/points/{run:path}/colours", plainly(colours)),
    Route("/points/{run:path}/kmer", plainly(kmer)),
]
