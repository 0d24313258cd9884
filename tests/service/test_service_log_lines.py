"""Lines of the log are not broken, nor turned round, by what others have written."""

from __future__ import annotations

import json
import logging

import pytest

from haizea.clock import SimulatedClock
from haizea.report import ClockFormatter
from haizea.service.logs import JsonFormatter, TextFormatter

ODD = "lease 1 (a\nb\u2028c\u202ed\x1b[31m\U000e0001 Ü)"


def record() -> logging.LogRecord:
    return logging.LogRecord("haizea", logging.INFO, "x.py", 1, "%s", (ODD,), None)


@pytest.mark.parametrize("made", [TextFormatter, JsonFormatter])
def test_a_message_stays_one_line_in_its_order(made: type[logging.Formatter]) -> None:
    line = made(lambda: 0).format(record())  # type: ignore[arg-type]
    assert line.isprintable()
    assert "Ü" in line
    assert r"b\u2028c\u202ed\u001b[31m" in line


def test_so_does_one_of_a_simulation() -> None:
    """Show labels of a trace in their own order, which once turned round the terminal's line."""
    line = ClockFormatter(SimulatedClock(0)).format(record())
    assert line.isprintable()
    assert r"b\u2028c\u202ed\u001b[31m" in line


def test_a_line_of_json_still_says_all() -> None:
    assert json.loads(JsonFormatter(lambda: 0).format(record()))["message"] == ODD
