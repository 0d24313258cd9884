"""Decisions in words, the log's form and the progress bar."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.cli.progress import ProgressBar
from haizea.clock import SimulatedClock
from haizea.core.model.events import (
    Decision,
    Expected,
    HostChanged,
    ImageStored,
    LeaseAccepted,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.resources import FOREVER, ResourceTypes
from haizea.core.model.turn import Turn
from haizea.loop import Tally
from haizea.report import STATUS, VDEBUG, ClockFormatter, DecisionLog, StatusLog, describe
from haizea.times import format_utc

SITE = Site.uniform(ResourceTypes(), 6, (100, 1024))
TOO_FEW = because(Code.TOO_FEW_FREE_NOW, nodes=4, free=3)
HOSTS = {host.id: host for host in SITE.hosts}
ONE = 1_164_459_600  # 2006-11-25 13:00:00

AR = LeaseRequest(
    id=2,
    submitted=ONE,
    kind=Kind.AR,
    nodes=(NodeSet(4, (100, 1024)),),
    duration=1800,
    start=ONE + 1800,
    label="demo",
)
BATCH = LeaseRequest(
    id=1,
    submitted=ONE,
    kind=Kind.BEST_EFFORT,
    nodes=(NodeSet(1, (100, 512)), NodeSet(2, (200, 512))),
    duration=None,
    preemptible=True,
)


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (
            LeaseAccepted(ONE, AR),
            "lease 2 is asked for: AR (demo), 4 x CPU:100 Memory:1024"
            " from 2006-11-25 13:30:00 for 1800 s",
        ),
        (
            LeaseAccepted(ONE, BATCH),
            "lease 1 is asked for: best-effort, 1 x CPU:100 Memory:512 + 2 x CPU:200 Memory:512"
            " without end, preemptible",
        ),
        (
            StateChanged(ONE, 1, State.PENDING, State.REJECTED, TOO_FEW, "no-room"),
            "lease 1: Pending -> Rejected: 4 nodes asked for now,"
            " 3 free for as long as it would run",
        ),
        (StateChanged(ONE, 1, State.NEW, State.PENDING), "lease 1: New -> Pending"),
        (
            Expected(ONE, 1, ONE + 60, because(Code.WAITS, nodes=2)),
            "lease 1 is expected to start at 2006-11-25 13:01:00: waiting for 2 nodes",
        ),
        (
            Expected(ONE, 1, None, because(Code.WAITS, nodes=2)),
            "lease 1 is expected to start at no known time: waiting for 2 nodes",
        ),
        (
            OperationStarted(ONE, 1, Purpose.RUN, FOREVER, (0, 0, 2)),
            "lease 1: run until never on host-1, host-3",
        ),
        (
            OperationStarted(ONE, 1, Purpose.MIGRATE, ONE + 9, (1,), (0,)),
            "lease 1: migrate until 2006-11-25 13:00:09 on host-2, from host-1",
        ),
        (
            OperationEnded(1, Purpose.RUN, ONE, ONE + 9, tuple((i, (1, 1)) for i in range(6))),
            "lease 1: run is over, since 2006-11-25 13:00:00 on host-1, host-2, host-3, host-4"
            " and 2 more",
        ),
        (
            HostChanged(ONE, SITE.hosts[0], "down", because(Code.HOST_BROKE)),
            "host host-1 is down: the host failed",
        ),
        (
            RatesChanged(ONE, 1, 10.5, None),
            "host host-2: suspends at 10.5 MB/s, resumes at the configured rate",
        ),
        (ImageStored(ONE, 1, 2048), "host host-2: images take 2048 MB"),
    ],
)
def test_decisions_in_words(decision: Decision, words: str) -> None:
    assert describe(decision, SITE, HOSTS) == words


def logged(level: int) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ClockFormatter(SimulatedClock(ONE)))
    logger = logging.Logger("test", level)
    logger.addHandler(handler)
    return logger, stream


DECISIONS: list[Decision] = [
    LeaseAccepted(ONE, AR),
    Expected(ONE, 2, ONE, because(Code.PLANNED_ANEW)),
    OperationStarted(ONE, 2, Purpose.RUN, ONE + 9, (0,)),
]


@pytest.mark.parametrize(
    ("level", "levels"),
    [
        (STATUS, []),
        (logging.INFO, ["INFO"]),
        (logging.DEBUG, ["INFO", "DEBUG"]),
        (VDEBUG, ["INFO", "VDEBUG", "DEBUG"]),
    ],
)
def test_each_level_logs_more(level: int, levels: list[str]) -> None:
    logger, stream = logged(level)
    DecisionLog(logger, SITE).note(Turn(ONE, DECISIONS))
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == levels
    assert all(line.startswith("[2006-11-25 13:00:00] ") for line in lines)


def test_a_host_that_came_later_is_named() -> None:
    logger, stream = logged(VDEBUG)
    log = DecisionLog(logger, SITE)
    log.note(Turn(ONE, [HostChanged(ONE, Host(6, "big-one", (800, 1024)), "up")]))
    log.note(Turn(ONE, [ImageStored(ONE, 6, 10), ImageStored(ONE, 9, 10)]))
    assert "host big-one: images take 10 MB" in stream.getvalue()
    assert "host number 9: images take 10 MB" in stream.getvalue()


def test_the_status_is_logged_once_an_interval() -> None:
    logger, stream = logged(STATUS)
    tally = Tally()
    tally.note(Turn(ONE, [LeaseAccepted(ONE, AR), LeaseAccepted(ONE, BATCH)]))
    log = StatusLog(logger, tally, 5, ONE, 600)
    for seconds in (0, 599, 600, 601, 1199, 3000, 3001, 3599, 3600):
        log.note(Turn(ONE + seconds, []))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("STATUS 2 of 5 leases submitted, 0 finished (2 New)")


def test_moments_for_people() -> None:
    assert format_utc(ONE) == "2006-11-25 13:00:00"
    assert format_utc(FOREVER) == "never"


# --- the progress bar ---------------------------------------------------------------------


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def bar_of(columns: int, total: int = 4) -> tuple[ProgressBar, Tally, Time, io.StringIO]:
    stream, tally, time = io.StringIO(), Tally(), Time()
    bar = ProgressBar(stream, tally, total, columns=lambda: columns, seconds=time)
    return bar, tally, time, stream


def test_the_bar_tells_share_rate_and_time_left() -> None:
    bar, tally, _, _ = bar_of(100)
    tally.submitted, tally.finished = 2, 1
    line = bar.line(ONE, 10.0, 100)
    assert line.startswith("[###############.........................]  37%")
    assert "1/4 leases" in line
    assert "00:17 left" in line
    assert line.endswith("2006-11-25 13:00:00")


@given(
    st.integers(0, 200), st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 10**7, width=32)
)
def test_the_bar_fits_any_terminal(
    columns: int, submitted: int, finished: int, seconds: float
) -> None:
    bar, tally, _, _ = bar_of(columns, 10**6)
    tally.submitted, tally.finished = submitted, finished
    assert len(bar.line(ONE, seconds, columns)) <= columns


def test_an_empty_trace_is_all_done() -> None:
    bar, _, _, _ = bar_of(100, total=0)
    assert "100%" in bar.line(ONE, 0.0, 100)


def test_the_bar_is_redrawn_ten_times_a_second_at_most_and_erased() -> None:
    bar, _, time, stream = bar_of(60)
    for _ in range(1000):
        time.seconds += 0.001
        bar.note(Turn(ONE, []))
    assert 9 <= stream.getvalue().count("\r") <= 11
    bar.erase()
    assert stream.getvalue().endswith("\r")
    screen = stream.getvalue().split("\r")
    assert screen[-2].strip() == ""
    assert len(screen[-2]) == len(screen[-3].rstrip("\n"))
