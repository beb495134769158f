"""`doctor`: is everything there that NeanDL needs, and how is it mended if not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.errors import NeanDLError
from neandl_core.workspace import Workspace


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Also bring folders of older versions up to date and remove half-made files.")
    ] = False,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="The workspace to look at; NEANDL_WORKSPACE if none.")
    ] = None,
) -> None:
    """Check installation, devices, compiler, export, fonts and workspace, and say how to mend each.

    Ends with 0 if nothing is broken, else with 1.

    Example: python -m neandl_core doctor
    """
    from neandl_core.checkup import examine

    folders = Workspace.from_environment()
    findings = examine(workspace.resolve() if workspace else folders.folder, mend=mend)
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(f"{finding.mark}  {finding.what:{width}}  {finding.found}")
        if finding.mend:
            print(f"{'':{width + 6}}{finding.mend}")
    broken = sum(finding.level == "broken" for finding in findings)
    if broken:
        raise NeanDLError(f"{broken} of {len(findings)} checks found something broken; see how to mend each above.")
