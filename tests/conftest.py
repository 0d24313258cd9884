"""Being here, this file puts ``tests/`` on the import path: ``from shared_data import shared``."""

from __future__ import annotations

import effort


def pytest_report_header() -> str:
    """Say how hard property tests try, and from which seed."""
    return effort.header()
