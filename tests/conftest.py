"""Being here, this file puts ``tests/`` on the import path: ``from shared_data import shared``."""

from __future__ import annotations

import os

import effort
import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes examples slowly, which says nothing about what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tests whose expectations are files can write them anew."""
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="write the golden event streams of tests/golden rather than compare with them",
    )


def pytest_report_header() -> str:
    """Say how hard property tests try, and from which seed."""
    return effort.header()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With ``-n auto``, half as many again as there are processors: many tests mostly wait."""
    known = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(2, processors * 3 // 2)
