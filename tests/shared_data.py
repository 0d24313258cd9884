"""Places of traces and recordings that are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


def shared(path: str) -> Path:
    """``path`` below the shared data; the test is skipped where it is absent."""
    base = os.environ.get("HAIZEA_SHARED_DATA")
    directory = Path(base) if base else _ROOT.parent / "shared" / "data"
    found = directory / path
    if not found.exists():
        pytest.skip(f"the shared data has no {path} (set HAIZEA_SHARED_DATA to its directory)")
    return found
