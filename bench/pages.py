"""Cost of open pages: the time that a service takes longer to answer requests for leases.

Turns with pages and without follow each other in the order with, without, without, with, so that
other work on the machine, and what drifts, counts on both sides. Each pair of neighbours gives one
difference; the figure is the middle of these, with the interval in which it lies with a certainty
of 95 %, by drawing pairs anew. Neighbours of one kind say how far the measure can be trusted. The
service is a process of its own, as are the pages: its processor time is read beside the clock,
and does not depend on what else the machine does.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.service import running

PAGES, PAIRS, SECONDS = 50, 16, 4.0
_REFRESH_SECONDS = 4.0
_DRAWS = 2_000
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Turn:
    """Answers in a turn, in ms each, and seconds of the service's processor by the clock's."""

    answers_ms: list[float]
    cpu_share: float
    cpu_ms_each: float


class Clients:
    """Clients that do what open pages do, in a process of their own.

    They follow events and load a day of the timeline anew at most every four seconds, and give way
    to the service: browsers are on other machines.
    """

    def __init__(self, url: str, secret: str, pages: int) -> None:
        context = get_context("spawn")
        self._open, self._pages = context.Event(), pages
        self._connected, self.loads = context.Value("q", 0), context.Value("q", 0)
        shared = url, secret, pages, self._open, self._connected, self.loads
        self._process = context.Process(target=_follow, args=shared, daemon=True)
        self._process.start()

    def show(self, client: httpx.Client, *, opened: bool) -> None:
        """Open the pages, or close them, and wait until all are; leases are asked for meanwhile."""
        loads = self.loads.value
        if opened == self._open.is_set():
            return
        (self._open.set if opened else self._open.clear)()
        until = time.monotonic() + 120
        while True:
            timed(client, 0.3)
            assert self._process.is_alive(), "the clients that look have ended"
            assert time.monotonic() < until, "the clients that look do not get on"
            if opened and self.loads.value >= loads + self._pages:
                return
            if not opened and self._connected.value == 0:
                return

    def end(self) -> None:
        """Close all."""
        self._process.kill()
        self._process.join()


def _follow(url: str, secret: str, pages: int, opened: Any, connected: Any, loads: Any) -> None:
    os.nice(19)
    hour = "%Y-%m-%dT%H:00:00Z"
    period = {
        "since": time.strftime(hour, time.gmtime()),
        "until": time.strftime(hour, time.gmtime(time.time() + 86_400)),
    }
    headers = {"Authorization": f"Bearer {secret}"}

    def work() -> None:
        try:
            while opened.wait():
                look()
        finally:
            # One that stops ends all: fewer of them would be another measurement.
            os._exit(1)

    def look() -> None:
        with (
            httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client,
            client.stream("GET", "/v1/events", timeout=None) as stream,
        ):
            _add(connected, 1)
            tag: dict[str, str] = {}
            loaded = 0.0
            for _ in stream.iter_lines():
                if not opened.is_set():
                    break
                if time.monotonic() - loaded > _REFRESH_SECONDS:
                    loaded = time.monotonic()
                    answer = client.get("/v1/timeline", params=period, headers=tag)
                    assert answer.status_code in {200, 304}, answer.text
                    tag = {"If-None-Match": answer.headers["etag"]}
                    _add(loads, 1)
        _add(connected, -1)

    threads = [threading.Thread(target=work) for _ in range(pages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _add(counter: Any, number: int) -> None:
    with counter.get_lock():
        counter.value += number


def timed(client: httpx.Client, seconds: float) -> list[float]:
    """Milliseconds of requests for so long, each cancelled again; all pages see these leases."""
    body = {"duration": 600, "nodes": [{"count": 1, "resources": {"CPU": 100}}], "start": "+12h"}
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        answer = client.post("/v1/leases", content=json.dumps(body))
        found.append(1000 * (time.perf_counter() - began))
        client.delete(f"/v1/leases/{answer.json()['lease']['id']}")
        time.sleep(0.05)
    return found


def cpu_seconds(process: int) -> float:
    """Seconds of processor time that a process has taken, on Linux."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _turn(client: httpx.Client, process: int) -> Turn:
    cpu, began = cpu_seconds(process), time.monotonic()
    answers = timed(client, SECONDS)
    seconds, used = time.monotonic() - began, cpu_seconds(process) - cpu
    return Turn(answers, used / seconds, 1000 * used / len(answers))


def beside_each_other(folder: Path) -> dict[str, float]:
    """Measure the service that is configured in this folder; figures, as they are kept."""
    with running(folder) as (port, secret, process):
        url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {secret}"}
        clients = Clients(url, secret, PAGES)
        try:
            with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
                timed(client, 5)
                alone, beside, loads_per_second = _take_turns(client, process.pid, clients)
        finally:
            clients.end()
    return {**_figures(alone, beside), "loads_per_second": round(loads_per_second, 1)}


def _take_turns(
    client: httpx.Client, process: int, clients: Clients
) -> tuple[list[Turn], list[Turn], float]:
    """Turns without pages and with pages, in pairs; how many timelines a second were loaded."""
    turns: dict[bool, list[Turn]] = {False: [], True: []}
    loads, seconds = 0, 0.0
    for pair in range(PAIRS):
        for opened in (pair % 2 == 0, pair % 2 == 1):
            clients.show(client, opened=opened)
            before, began = clients.loads.value, time.monotonic()
            turns[opened].append(_turn(client, process))
            if opened:
                loads += clients.loads.value - before
                seconds += time.monotonic() - began
        alone, beside = turns[False][-1], turns[True][-1]
        print(
            f"alone {median(alone.answers_ms):.1f} ms, {alone.cpu_ms_each:.1f} ms CPU;"
            f" beside {median(beside.answers_ms):.1f} ms, {beside.cpu_ms_each:.1f} ms CPU",
            flush=True,
        )
    return turns[False], turns[True], loads / seconds


def _figures(alone: list[Turn], beside: list[Turn]) -> dict[str, float]:
    without = [median(turn.answers_ms) for turn in alone]
    slower = [
        100 * (median(turn.answers_ms) / before - 1)
        for turn, before in zip(beside, without, strict=True)
    ]
    # The order is with, without, without, with: these two are neighbours of one kind.
    same = [abs(100 * (b / a - 1)) for a, b in zip(without[::2], without[1::2], strict=True)]
    low, high = interval(slower)
    return {
        "pages": PAGES,
        "pairs": len(slower),
        "answers": sum(len(turn.answers_ms) for turn in (*alone, *beside)),
        "alone_ms": round(median(without), 1),
        "beside_ms": round(median(median(turn.answers_ms) for turn in beside), 1),
        "slower_percent": round(median(slower)),
        "slower_low_percent": round(low),
        "slower_high_percent": round(high),
        "same_kind_percent": round(median(same)),
        "cpu_alone_percent": round(100 * median(turn.cpu_share for turn in alone), 1),
        "cpu_beside_percent": round(100 * median(turn.cpu_share for turn in beside), 1),
        "cpu_alone_ms": round(median(turn.cpu_ms_each for turn in alone), 1),
        "cpu_beside_ms": round(median(turn.cpu_ms_each for turn in beside), 1),
    }


def interval(values: list[float]) -> tuple[float, float]:
    """Return between what the median lies with a certainty of 95 %, by drawing values anew."""
    chance = random.Random(1)
    drawn = sorted(median(chance.choices(values, k=len(values))) for _ in range(_DRAWS))
    return drawn[int(0.025 * _DRAWS)], drawn[int(0.975 * _DRAWS) - 1]
