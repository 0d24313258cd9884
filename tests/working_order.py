"""The order in which tests are run, and what is made once for all processes that run them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from tempfile import gettempdir
from typing import TypeVar

import pytest

from haizea.locks import LockFile

_Item = TypeVar("_Item")

#: So many workers at most begin with tests that wait. Together those wait for as long however
#: many processors there are, and take little of each.
WAITING_WORKERS = 8


def waiting_workers(workers: int) -> int:
    """Return how many of so many workers begin with tests that mostly wait."""
    return min(WAITING_WORKERS, workers * 3 // 4) if workers > 1 else 0


def in_lanes(
    items: Sequence[_Item],
    slowness: Callable[[_Item], int],
    waits: Callable[[_Item], bool],
    group: Callable[[_Item], Hashable],
    workers: int,
) -> list[_Item]:
    """The items, so that some workers wait from the beginning while the others compute.

    Each of ``workers`` equal parts, which xdist deals out with ``--dist worksteal``, begins
    with its share: the first ones with tests that wait, the slowest before others, and the rest
    with slow tests that do not, likewise. Then come quick tests, whose slowness is 0, in the
    order that they had. A worker without any takes from the end of what others have, so those
    that wait are begun where they are as long as there is something else to do. What shares a
    group stays together, for it may share what is expensive to make.
    """
    waiting = sorted([item for item in items if waits(item)], key=slowness, reverse=True)
    others = [item for item in items if not waits(item)]
    slow = sorted([item for item in others if slowness(item)], key=slowness, reverse=True)
    quick = iter([item for item in others if not slowness(item)])
    lanes = waiting_workers(workers)
    shares = _dealt(waiting, group, lanes) + _dealt(slow, group, workers - lanes)
    ordered = [] if lanes else waiting
    for worker, share in enumerate(shares, start=1):
        ordered += share
        ordered += islice(quick, max(0, len(items) * worker // workers - len(ordered)))
    return ordered


def _dealt(
    items: list[_Item], group: Callable[[_Item], Hashable], shares: int
) -> list[list[_Item]]:
    """The items in so many shares, in which groups stay whole."""
    dealt: list[list[_Item]] = [[] for _ in range(shares)]
    for _, together in groupby(items, group) if shares else ():
        min(dealt, key=len).extend(together)
    return dealt


@contextmanager
def after_the_first(run: str) -> Iterator[None]:
    """Let one process that belongs to a run do something first, then all others at once.

    It is for what leaves a cache behind. Nobody waits for one that has ended.
    """
    path = Path(gettempdir(), f"first-{run}.lock")
    lock = LockFile(path)
    try:
        if not lock.take():
            lock.share()
        yield
    finally:
        lock.close()
        path.unlink(missing_ok=True)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that ``make`` fills, once for all workers; the others wait for it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    place, ready = shared / name, shared / f"{name}.ready"
    lock = LockFile(shared / f"{name}.lock")
    try:
        while not lock.take():
            time.sleep(0.1)
        if not ready.exists():
            shutil.rmtree(place, ignore_errors=True)  # one that failed may have left some
            place.mkdir()
            make(place)
            ready.touch()
    finally:
        lock.close()
    return place
