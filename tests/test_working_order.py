"""The order of tests, and what is made once for all who run them."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
import time
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from working_order import after_the_first, in_lanes, made_once, waiting_workers

ROOT = Path(__file__).resolve().parent.parent


class Sample(NamedTuple):
    """A test as far as its place in the order is concerned."""

    file: int
    number: int
    slow: int
    waits: bool


def ordered(tests: list[Sample], workers: int) -> list[Sample]:
    return in_lanes(
        tests, lambda test: test.slow, lambda test: test.waits, lambda test: test.file, workers
    )


@tries(200)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.booleans()), max_size=60),
    st.integers(1, 9),
)
def test_every_test_is_run_once_and_those_of_a_file_stay_together(
    made: list[tuple[int, int, bool]], workers: int
) -> None:
    tests = [Sample(file, n, slow, waits) for n, (file, slow, waits) in enumerate(sorted(made))]
    order = ordered(tests, workers)
    assert sorted(order) == tests
    quick = [test for test in order if not test.slow and not test.waits]
    assert quick == sorted(quick)
    for waits in (True, False):
        early = [t for t in order if t.waits == waits and (t.slow or waits)]
        runs = [key for key, _ in groupby(early, lambda test: (test.file, test.slow))]
        assert len(runs) == len(set(runs))


@tries(50)
@given(st.integers(2, 20), st.integers(1, 4), st.integers(1, 4))
def test_some_workers_wait_from_the_beginning_while_the_others_compute(
    workers: int, waiting: int, slow: int
) -> None:
    """There is enough of everything, in files of several tests."""
    lanes = waiting_workers(workers)
    assert 1 <= lanes < workers
    tests: list[Sample] = []
    for file in range(workers * 3):
        tests += [Sample(file, len(tests) + n, (n + 1) % 2, True) for n in range(waiting)]
        tests += [Sample(file, len(tests) + n, 1, False) for n in range(slow)]
    tests += [Sample(-1, len(tests) + n, 0, False) for n in range(workers * len(tests))]
    order = ordered(tests, workers)
    for worker in range(workers):
        part = order[len(order) * worker // workers : len(order) * (worker + 1) // workers]
        assert part[0].slow
        assert not part[-1].slow
        assert not part[-1].waits
        assert {test.waits for test in part if test.slow} == {worker < lanes}


def test_the_longest_begin_first_and_on_different_workers() -> None:
    waiting = [Sample(file, file, 2 if file == 29 else 1, True) for file in range(30)]
    slow = [Sample(file, file, 2 if file > 47 else 1, False) for file in range(30, 50)]
    order = ordered([*waiting, *slow, *[Sample(n, n, 0, False) for n in range(50, 800)]], 8)
    assert [order[len(order) * worker // 8].number for worker in (0, 6, 7)] == [29, 48, 49]


def test_files_are_marked_by_what_they_use() -> None:
    slow = "tests/service/test_service_operation.py"
    waiting = "tests/cli/test_cli_watch.py"
    quick = "tests/cli/test_cli_client_tables.py"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "waits and not slow"]
    done = subprocess.run(
        [*command, slow, waiting, quick], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert found == {waiting}, done.stdout


def test_one_of_a_run_goes_first() -> None:
    run, inside = secrets.token_hex(8), threading.Event()
    done: list[str] = []

    def come_later() -> None:
        inside.set()
        with after_the_first(run):
            done.append("another")

    with after_the_first(run):
        others = [threading.Thread(target=come_later) for _ in range(3)]
        for other in others:
            other.start()
        inside.wait()
        time.sleep(0.2)
        done.append("first")
    for other in others:
        other.join()
    assert done == ["first", "another", "another", "another"]


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
