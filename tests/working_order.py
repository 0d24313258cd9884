"""The order in which tests are run, and what is made once for all processes that run them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

import pytest

from haizea.locks import LockFile

_Item = TypeVar("_Item")


def slow_tests_first(
    items: Sequence[_Item],
    is_slow: Callable[[_Item], bool],
    group: Callable[[_Item], Hashable],
    workers: int,
) -> list[_Item]:
    """The items, so that each of ``workers`` equal parts begins with its share of slow ones.

    Those are the parts that xdist deals out with ``--dist worksteal``. Slow ones of a group
    stay together, for they may share what is expensive to make; the order of the rest stays.
    """
    shares: list[list[_Item]] = [[] for _ in range(workers)]
    for _, slow in groupby([item for item in items if is_slow(item)], group):
        min(shares, key=len).extend(slow)
    quick = iter([item for item in items if not is_slow(item)])
    ordered: list[_Item] = []
    for worker, share in enumerate(shares, start=1):
        ordered += share
        ordered += islice(quick, max(0, len(items) * worker // workers - len(ordered)))
    return ordered


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
