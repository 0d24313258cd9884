"""The order of tests, and what is made once for all who run them."""

from __future__ import annotations

import secrets
import threading
import time
from itertools import groupby
from pathlib import Path

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from working_order import made_once, slow_tests_first


@tries(200)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 6))
def test_each_worker_begins_with_its_share_of_the_slow_tests(
    tests: list[tuple[int, bool]], workers: int
) -> None:
    items = [(file, number, is_slow) for number, (file, is_slow) in enumerate(sorted(tests))]
    ordered = slow_tests_first(items, lambda item: item[2], lambda item: item[0], workers)
    assert sorted(ordered) == items
    quick = [item for item in ordered if not item[2]]
    assert quick == sorted(quick)
    runs = [list(run) for is_slow, run in groupby(ordered, lambda item: item[2]) if is_slow]
    files = [file for run in runs for file, _ in groupby(run, lambda item: item[0])]
    assert len(files) == len(set(files)), "the slow tests of a file stay together"
    part = len(items) // workers
    most = max([sum(item[2] for item in items if item[0] == file) for file in files], default=0)
    if len(files) >= workers and len(files) * most <= part:
        for worker in range(workers):
            assert ordered[len(items) * worker // workers][2]


def test_what_several_want_is_made_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name = f"once-{secrets.token_hex(8)}"
    tmp_path_factory.getbasetemp()  # made at the first call, which threads would race for
    made: list[Path] = []

    def make(place: Path) -> None:
        made.append(place)
        time.sleep(0.2)
        (place / "file").write_text("made")

    def want() -> None:
        assert (made_once(tmp_path_factory, name, make) / "file").read_text() == "made"
        got.append(name)

    got: list[str] = []
    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(got)) == (1, 4)


def test_what_could_not_be_made_is_tried_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    name = f"failing-{secrets.token_hex(8)}"

    def fail(place: Path) -> None:
        (place / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        made_once(tmp_path_factory, name, fail)
    place = made_once(tmp_path_factory, name, lambda place: (place / "all").touch())
    assert [path.name for path in place.iterdir()] == ["all"]
