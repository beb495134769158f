"""The routes by which a browser sends a file: begin, ask, write at an offset, finish, remove.

They write to disk, so only a page of this server may use them: the request carries the token that the page was given
over its own connection, which no other site can read, and where the browser says who asks it has to be this site.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from functools import cache
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from neandl_core.errors import InputError, NeanDLError, OutputError
from neandl_core.uploads import Upload, UploadStore, WrongOffsetError, token, upload_limit
from neandl_core.workspace import Workspace

PATH = "/api/uploads"
HEADER = "x-neandl-token"
AT_ONCE = 1 << 20
_LONGEST_ANNOUNCEMENT = 4096

Handler = Callable[[Request, UploadStore], Awaitable[JSONResponse]]


@cache
def store() -> UploadStore:
    """Return the server's folder of uploads."""
    return UploadStore(Workspace.from_environment().uploads, upload_limit())


def guarded(handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Let a request through if it comes from a page of this server, and turn errors into answers."""

    async def answer(request: Request) -> JSONResponse:
        try:
            uploads = store()
            given = request.headers.get(HEADER, "")
            known = await run_in_threadpool(token, uploads.folder)
            if not secrets.compare_digest(given.encode(), known.encode()) or not same_site(request):
                return JSONResponse({"error": "This page may not send files. Load it again."}, 403)
            return await handler(request, uploads)
        except WrongOffsetError as error:
            return JSONResponse({"error": str(error), "offset": error.offset}, 409)
        except InputError as error:
            status = 404 if "no such upload" in str(error) else 422
            return JSONResponse({"error": str(error)}, status)
        except OutputError as error:
            return JSONResponse({"error": str(error)}, 507)
        except NeanDLError as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


def same_site(request: Request) -> bool:
    """Return whether the browser, if it says who asks, names this server."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return False
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def begin(request: Request, uploads: UploadStore) -> JSONResponse:
    """Announce a file: its name and its size."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_ANNOUNCEMENT:
            raise InputError("the announcement is too long")
    try:
        announced = json.loads(body)
    except ValueError:
        announced = None
    if not isinstance(announced, dict) or not isinstance(announced.get("name"), str) \
            or type(announced.get("size")) is not int:
        raise InputError("expected a name and a size")
    upload = await run_in_threadpool(uploads.begin, announced["name"], announced["size"])
    return described(upload, uploads)


async def ask(request: Request, uploads: UploadStore) -> JSONResponse:
    """Say how much of a file is there."""
    return described(uploads.find(request.path_params["identity"]), uploads)


async def write(request: Request, uploads: UploadStore) -> JSONResponse:
    """Write a piece where the file ends so far."""
    upload = uploads.find(request.path_params["identity"])
    offset = request.query_params.get("offset", "")
    if not (offset.isascii() and offset.isdecimal()):
        raise InputError("expected the offset of the piece, a number")
    expected = request.headers.get("x-piece-sha256")
    writer = await run_in_threadpool(uploads.writer, upload, int(offset))
    with writer:
        waiting = bytearray()
        try:
            async for piece in request.stream():
                waiting += piece
                if len(waiting) >= AT_ONCE:
                    await run_in_threadpool(writer.write, bytes(waiting))
                    waiting.clear()
            await run_in_threadpool(writer.write, bytes(waiting))
        except ClientDisconnect:
            # What came without a fault is kept, if nobody can say that it has one.
            if expected is not None:
                writer.take_back()
            return JSONResponse({"error": "The connection broke."}, 400)
        writer.check(expected)
    return described(upload, uploads)


async def finish(request: Request, uploads: UploadStore) -> JSONResponse:
    """Close a file of which every byte came."""
    upload = uploads.find(request.path_params["identity"])
    return described(await run_in_threadpool(uploads.finish, upload), uploads)


async def remove(request: Request, uploads: UploadStore) -> JSONResponse:
    """Forget a file."""
    upload = uploads.find(request.path_params["identity"])
    await run_in_threadpool(uploads.remove, upload)
    return JSONResponse({"removed": upload.identity})


def described(upload: Upload, uploads: UploadStore) -> JSONResponse:
    """Answer with the state of an upload."""
    return JSONResponse({
        "id": upload.identity, "name": upload.name, "size": upload.size, "offset": uploads.offset(upload),
        "complete": upload.complete, "sha256": upload.sha256, "kind": upload.kind, "format": upload.format,
        "problem": upload.problem,
    })


ROUTES = [
    Route(PATH, guarded(begin), methods=["POST"]),
    Route(f"{PATH}/{{identity}}", guarded(ask), methods=["GET"]),
    Route(f"{PATH}/{{identity}}", guarded(write), methods=["PUT"]),
    Route(f"{PATH}/{{identity}}", guarded(remove), methods=["DELETE"]),
    Route(f"{PATH}/{{identity}}/finish", guarded(finish), methods=["POST"]),
]
