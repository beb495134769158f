"""``serve``: the dashboard."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import say
from neandl_core.errors import OutputError, SettingsError
from neandl_core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ("localhost", "127.0.0.1")


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets other machines in.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8501,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Further name under which browsers may ask for the dashboard; repeatable."),
    ] = None,
) -> None:
    """Serve the dashboard until interrupted.

    Example: NEANDL_DATA=/data/bams python -m neandl_core serve --port 8600
    """
    require_free(host, port)
    workspace = Workspace.from_environment()
    workspace.prepare()
    arguments = [sys.executable, "-m", "streamlit", "run", "app.py"]
    arguments += [f"--server.address={host}", f"--server.port={port}"]
    arguments += [f"--server.allowedHosts={name}" for name in allowed_hosts(host, allow_host or [])]
    shown = f"[{host}]" if ":" in host else host
    say(
        f"NeanDL is at http://{shown}:{port} (Ctrl+C ends it).\n"
        f"  another address   make run HOST=0.0.0.0 PORT=8600, or serve --host --port\n"
        f"  data folders      {os.pathsep.join(map(str, workspace.data)) or 'none yet'} (NEANDL_DATA)\n"
        f"  runs              {workspace.runs} (NEANDL_WORKSPACE)",
        quiet=False,
    )
    sys.stdout.flush()
    # Streamlit reads its settings from the folder that it starts in; relative folders were meant from this one.
    os.environ["NEANDL_WORKSPACE"] = str(workspace.folder)
    os.environ["NEANDL_DATA"] = os.pathsep.join(map(str, workspace.data))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part
    )
    os.chdir(ROOT)
    os.execv(sys.executable, arguments)


def require_free(host: str, port: int) -> None:
    """Make sure that the address can be listened on.

    Raises
    ------
    SettingsError
        If the address is not one of this machine's.
    OutputError
        If another program listens there, or the port needs rights that this user lacks.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise SettingsError(f"serve: host = {host!r} is no address that this machine knows.") from None
    with socket.socket(family, kind, protocol) as probe:
        # A port that a server left a moment ago is free, as it will be for the server itself.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise OutputError(f"Port {port} needs administrator's rights. Choose one above 1023 with --port.") from None
        except OSError as error:
            raise OutputError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Choose another with --port."
            ) from None


def allowed_hosts(host: str, further: list[str]) -> list[str]:
    """List the names under which browsers may ask for the dashboard, so that no foreign name can be pointed at it."""
    own = [socket.gethostname(), socket.getfqdn()] if host not in LOCAL else []
    return list(dict.fromkeys((*LOCAL, *([] if host in ("0.0.0.0", "::") else [host]), *own, *further)))
