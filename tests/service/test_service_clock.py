"""A system's clock that is set while a service runs, and while it does not."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from service_process import Client, ServiceProcess, faults_of, moment, until, written

from haizea.backends.world import World

MINUTE, HOUR = 60, 3600

#: How fast time goes where it is to be waited for at half the pace.
SPEED = 10


class SetClock:
    """The clock of the machine that a service is on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set it to so many seconds after the present moment, or before it if negative."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds}\n", encoding="ascii")
        beside.replace(self._file)

    def program(self) -> list[str | Path]:
        """The command ``haizea`` on this machine."""
        return [sys.executable, Path(__file__).with_name("stepped_clock.py"), self._file]


@contextmanager
def on_a_machine(directory: Path, speed: int) -> Iterator[tuple[ServiceProcess, SetClock]]:
    """A service that runs, and the clock of its machine."""
    with ServiceProcess(directory, {"world": {"speed": str(speed)}}) as service:
        clock = SetClock(directory / "offset")
        service.program = clock.program()
        service.start()
        yield service, clock


def draft(seconds: int, **fields: Any) -> dict[str, Any]:
    nodes = [{"resources": {"CPU": 100, "Memory": 64}}]
    return {"duration": seconds, "nodes": nodes, **fields}


def asked(client: Client, seconds: int, start: int | None = None) -> int:
    """A lease that was accepted, for so long, from a moment of the service on."""
    fields = {} if start is None else {"start": written(start)}
    status, body = client.submit(draft(seconds, **fields))
    assert status == 201, body
    return int(body["lease"]["id"])


def now(client: Client) -> int:
    return moment(client.get("/v1/status")["now"])


def state(client: Client, lease: int) -> str:
    return str(client.get(f"/v1/leases/{lease}")["state"])


def has_run(client: Client, lease: int) -> bool:
    """Tell whether it runs, or did."""
    story = client.get(f"/v1/leases/{lease}")["story"]
    return any(step["state"] == "Active" for step in story)


def with_one_that_runs(service: ServiceProcess) -> tuple[Client, int]:
    """A client, and a lease for a minute that has begun."""
    client = service.client()
    running = asked(client, MINUTE)
    until(lambda: has_run(client, running), "it runs")
    return client, running


def entered(story: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps that came into a state; why it is late is told in the state that it has."""
    return [step for step in story if step["code"] != "expected"]


def check_the_end(service: ServiceProcess, client: Client) -> None:
    """Nothing happened twice or before its time, neither in the plan nor where VMs ran."""
    for lease in client.leases():
        story = client.get(f"/v1/leases/{lease['id']}")["story"]
        times = [moment(step["time"]) for step in story]
        assert times == sorted(times), story
        states = [step["state"] for step in entered(story)]
        assert len(states) == len(set(states)), story
    client.close()
    assert service.kill(signal.SIGTERM) == 0, service.log
    assert "Traceback" not in service.log
    with closing(World.open(service.world)) as world:
        assert world.incidents() == []
    assert faults_of(service.save_results()) == []


def test_a_clock_that_is_put_forward_is_followed_at_once(tmp_path: Path) -> None:
    with on_a_machine(tmp_path, speed=1) as (service, clock):
        client = service.client()
        began = now(client)
        over = asked(client, 30 * MINUTE)
        goes_on = asked(client, 3 * HOUR)
        missed = asked(client, 20 * MINUTE, began + 10 * MINUTE)
        late = asked(client, 40 * MINUTE, began + 40 * MINUTE)
        ahead = asked(client, 10 * MINUTE, began + 90 * MINUTE)
        until(lambda: state(client, goes_on) == "Active", "what is asked for as soon as possible")
        clock.set(HOUR)
        until(lambda: state(client, late) == "Active", "a reservation starts late")
        assert now(client) >= began + HOUR
        assert state(client, over) == "Done"
        assert state(client, goes_on) == "Active"
        assert state(client, missed) == "Failed"
        assert state(client, ahead) == "Scheduled"
        told = client.get(f"/v1/leases/{late}")
        assert told["code"] == "late"
        assert moment(told["planned_end"]) == began + 80 * MINUTE, "it ends when it was to end"
        soon = asked(client, 3, now(client) + 4)
        until(lambda: state(client, soon) == "Done", "the new time counts for what is asked now")
        check_the_end(service, client)


def test_a_clock_that_is_put_back_does_not_take_time_back(tmp_path: Path) -> None:
    with on_a_machine(tmp_path, SPEED) as (service, clock):
        client, running = with_one_that_runs(service)
        began, really = now(client), time.time()
        clock.set(-HOUR)
        seen = [now(client)]
        reserved = asked(client, 5, seen[0] + 30)
        while state(client, reserved) != "Done":
            seen.append(now(client))
            time.sleep(0.1)
        assert began <= seen[0]
        assert seen == sorted(seen)
        assert seen[-1] < began + (time.time() - really) * SPEED
        story = client.get(f"/v1/leases/{reserved}")["story"]
        (start,) = [moment(step["time"]) for step in entered(story) if step["state"] == "Active"]
        assert start >= seen[0] + 30
        until(lambda: state(client, running) == "Done", "what ran before ends, too")
        clock.set(0)
        behind = began - really * SPEED - 2
        until(lambda: now(client) >= behind + time.time() * SPEED, "it agrees with the right clock")
        check_the_end(service, client)


def test_a_clock_that_is_put_back_over_a_restart_does_not_either(tmp_path: Path) -> None:
    with on_a_machine(tmp_path, SPEED) as (service, clock):
        client, running = with_one_that_runs(service)
        before = moment(client.get(f"/v1/leases/{running}")["started"])
        service.kill()
        clock.set(-HOUR)
        service.start()
        assert "behind the last decision" in service.log
        assert now(client) >= before
        after = asked(client, 1)
        until(lambda: state(client, after) == "Done", "time goes on")
        until(lambda: state(client, running) == "Done", "what ran before ends in its time")
        check_the_end(service, client)
