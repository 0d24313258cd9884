"""Being here, this file puts ``tests/`` on the import path: ``from shared_data import shared``."""

from __future__ import annotations

import os

import effort
import pytest
from hypothesis import HealthCheck, settings
from working_order import slow_tests_first

# A busy machine makes examples slowly, which says nothing about what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

#: The tests of a folder that is called so are slow: they start processes and wait for them.
SLOW_FOLDERS = {"service"}


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
    """With ``-n auto``, twice as many as there are processors: many tests mostly wait."""
    known = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(2, processors * 2)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each worker begin with its share of the slow tests.

    What is begun last decides when all is over; that should be something short. It is the
    same order in every worker, which xdist asks for.
    """
    for item in items:
        if item.path.parent.name in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = slow_tests_first(
        items, lambda item: "slow" in item.keywords, lambda item: item.path, workers
    )
