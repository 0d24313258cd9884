"""Tests of reading ahead: what comes next is asked for while what came is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from haizea.cli.reading_ahead import read_ahead


def test_everything_comes_once_and_in_order() -> None:
    assert list(read_ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(read_ahead(iter(()))) == []


def test_the_next_comes_while_one_is_worked_on() -> None:
    asked = Event()

    def pages() -> Iterator[int]:
        yield 1
        asked.set()
        yield 2

    found = read_ahead(pages())
    assert next(found) == 1
    assert asked.wait(60)
    assert next(found) == 2


def test_what_goes_wrong_is_raised_after_what_came_before() -> None:
    def pages() -> Iterator[int]:
        yield 1
        raise ValueError("the service is gone")

    found = read_ahead(pages())
    assert next(found) == 1
    with pytest.raises(ValueError, match="is gone"):
        next(found)
