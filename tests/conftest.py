"""Fixtures that several test modules share."""

from __future__ import annotations

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
