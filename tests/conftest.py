"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data beside the project; tests that use it are marked `shared`."""
    if not SHARED.is_dir():
        pytest.skip("the real data is not beside the project (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def demo_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the finished demo project, made once for all test processes; nobody may change it."""
    # Here, so that tests without a browser do not wait for what drives one.
    from tests.browser import demo_workspace

    own = tmp_path_factory.getbasetemp()
    return demo_workspace(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="module")
def demo_address(demo_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard with a finished run of every step, on a copy that is the module's own."""
    from tests.browser import copy_workspace, served

    folder = tmp_path_factory.mktemp("workspace")
    copy_workspace(demo_project, folder)
    with served(folder) as address:
        yield address
