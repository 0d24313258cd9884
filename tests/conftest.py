"""Being here, this file puts ``tests/`` on the import path: ``from shared_data import shared``."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import effort
import pytest
from chromium import running_browser
from hypothesis import HealthCheck, settings
from working_order import WAITING_WORKERS, after_the_first, in_lanes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine makes examples slowly, which says nothing about what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Where Python is to leave no bytecode beside sources, every worker and every service that is
# started would compile all of them anew, which takes longer than most tests. What begins later
# keeps it elsewhere.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    bytecode = Path(__file__).parent.parent / "build/bytecode"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(bytecode))

# A shell that runs the tests in the background has them ignore interrupts, and all that they start:
# tests of interrupts would wait for what never ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Tests that wait are slow in a folder that is called so: they start processes, and kill them.
SLOW_FOLDERS = {"service"}

#: Tests that use one of these wait: for a service, a cloud or a browser that goes its own pace.
WAITING_HELPERS = {
    "browser",
    "opennebula_service",
    "opennebula_tap",
    "quick_service",
    "real_service",
    "service_process",
}


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
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """With ``-n auto``, as many as there are processors, and some more for tests that wait.

    With ``-n logical`` these are left out, for runs in which none does.
    """
    known = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    waiting = 0 if config.option.numprocesses == "logical" else WAITING_WORKERS
    return processors + waiting


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have no garbage looked for while tests are collected, and none later among what they are.

    Each of many workers imports every module and keeps every test. There is next to no garbage
    in that, and looking for it took a third of the time. Nor do all compile the same: where a
    checkout is new, that would take three times as long as the rest.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    gc.disable()
    try:
        with after_the_first(run) if run else nullcontext():
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of all tests that a worker runs."""
    with running_browser() as browser:
        yield browser


@cache
def _waits(module: ModuleType) -> bool:
    """Tell whether a module of tests uses something that goes its own pace."""
    used = vars(module).values()
    names = {getattr(thing, "__module__", None) for thing in used}
    names |= {thing.__name__ for thing in used if isinstance(thing, ModuleType)}
    return not WAITING_HELPERS.isdisjoint(names)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is slow, and what waits."""
    if isinstance(item, pytest.Function) and _waits(item.module):
        item.add_marker(pytest.mark.waits)
        if item.path.parent.name in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)


def _slowness(item: pytest.Item) -> int:
    """Return how early a test is to begin among its like."""
    if item.get_closest_marker("long") is not None:
        return 2
    return int(item.get_closest_marker("slow") is not None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have some workers begin with tests that wait, the others with slow ones that compute.

    So there is something to compute as long as somebody waits. It is the same order in every
    worker, which xdist asks for.
    """
    items[:] = in_lanes(
        items,
        slowness=_slowness,
        waits=lambda item: "waits" in item.keywords,
        group=lambda item: item.path,
        workers=int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )
