"""A service that is killed at random moments of a busy hour, and what must be true of it then."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from busy_clients import Answers, BusyClients, Caller
from busy_operator import BusyOperator
from busy_terms import check_changes, check_deadlines, check_maintenance
from last_words import LastWords
from service_process import ServiceProcess, all_over, faults_of, moment, until

from haizea.backends.world import World

#: The site of these hours, and what goes wrong there.
BUSY: dict[str, dict[str, str]] = {
    "simulation": {"resources": "8 CPU:100 Memory:1024"},
    "world": {
        "failures": "run:0.02 suspend:0.05 resume:0.05 migrate:0.05",
        "delays": "suspend:0.2 resume:0.2 migrate:0.1",
        "longest-delay": "20",
        "early-ends": "0.2",
    },
}
LONGEST_DELAY_SECONDS = 20

#: How late, in real seconds, a service may carry out what is due on a machine that has other
#: things to do, too.
BOOT_SECONDS = 5.0


@dataclass(frozen=True)
class Pace:
    """The pace at which the service's time follows real time."""

    real: float
    moment: float
    speed: float

    def at(self, real: float) -> float:
        """The service's time."""
        return self.moment + (real - self.real) * self.speed

    @classmethod
    def of(cls, service: ServiceProcess, speed: float) -> Pace:
        """The pace of a service that serves."""
        client = service.client()
        try:
            now = moment(client.get("/v1/status")["now"])
            return cls(time.time(), now, speed)
        finally:
            client.close()


@dataclass(frozen=True)
class Hour:
    """The course of a busy hour."""

    kills: int
    seed: int
    speed: float
    clients: int = 6
    #: Service seconds between two requests of all clients together.
    apart_seconds: float = 8.0
    #: The longest time, in real seconds, that it serves until the next kill.
    longest_life_seconds: float = 2.5
    #: Of so many kills, one comes while it still starts, after so many real seconds at most.
    early_kills: int = 5
    longest_start_seconds: float = 2.5
    #: The speed at which what is left comes to its end, when nobody asks for anything new.
    last_speed: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The remains of an hour when all leases are over."""

    answers: Answers
    leases: Sequence[dict[str, Any]]
    stories: dict[int, dict[str, Any]]
    world: Path
    results: Path
    #: When nobody was there, from the kill to when the next one said it serves.
    absences: Sequence[tuple[float, float]]
    speed: float
    #: From a moment on, time went at another speed.
    last_speed: tuple[float, float]
    #: The hosts' numbers by their names.
    hosts: dict[str, int]

    @property
    def ars(self) -> list[dict[str, Any]]:
        """The stories of ARs."""
        return [story for story in self.stories.values() if story["kind"] == "ar"]


def options(seed: int, speed: float) -> dict[str, dict[str, str]]:
    """The configuration of an hour."""
    world = {**BUSY["world"], "seed": str(seed), "speed": str(speed)}
    return {**BUSY, "world": world}


def live_through(service: ServiceProcess, hour: Hour) -> Outcome:
    """Kill the service again and again, let it come back, and let everything end."""
    service.start()
    pace = Pace.of(service, hour.speed)

    def now() -> float:
        return pace.at(time.time())

    pause = hour.apart_seconds * hour.clients / hour.speed
    clients = BusyClients(hour.clients, hour.seed, service.client, now, pause)
    operator = BusyOperator(
        Caller(service.client(), clients.answers, clients.lock),
        random.Random(f"{hour.seed} operator"),
        host_names(service)[:-1],
        now,
        pause,
    )
    last_words = LastWords(service.client(), clients.answers, host_names(service)[-1], now)
    absences: list[tuple[float, float]] = []
    clients.start()
    operator.start()
    try:
        absences += kill_again_and_again(service, hour, pace, last_words)
    finally:
        clients.end()
        operator.end()
    last_words.end()
    changed = now()
    if hour.last_speed is not None:
        begun = time.time()
        end_well(service)
        service.configure(options(hour.seed, hour.last_speed))
        service.start()
        changed = now()
        absences.append((pace.at(begun), changed))
    return outcome(
        service, clients.answers, absences, hour.speed, (changed, hour.last_speed or hour.speed)
    )


def kill_again_and_again(
    service: ServiceProcess, hour: Hour, pace: Pace, last_words: LastWords
) -> list[tuple[float, float]]:
    """Kill the service as often as an hour wants, and leave one that serves; its absences."""
    chance = random.Random(hour.seed)
    absences: list[tuple[float, float]] = []
    away_since: float | None = None
    for _ in range(hour.kills):
        # However slow the machine is, it comes to work before most kills.
        longest = hour.longest_start_seconds
        if chance.randrange(hour.early_kills) or service.starts == 1:
            service.wait_until_it_serves()
            longest = hour.longest_life_seconds
            last_words.prepare()
        deadline = time.monotonic() + chance.uniform(min(0.1, longest / 10), longest)
        while time.monotonic() < deadline:
            if away_since is not None and service.serving:
                absences.append((pace.at(away_since), pace.at(time.time())))
                away_since = None
            assert not service.ended, service.account
            time.sleep(0.01)
        last_words.say(chance)
        away_since = time.time() if away_since is None else away_since
        service.kill()
        service.begin()
    service.wait_until_it_serves()
    if away_since is not None:
        absences.append((pace.at(away_since), pace.at(time.time())))
    return absences


def end_well(service: ServiceProcess) -> None:
    """End the service as systemd does."""
    status = service.kill(15)
    assert status == 0, f"it ended with {status}; {service.account}"


def host_names(service: ServiceProcess) -> list[str]:
    """The hosts of a service that serves, by number."""
    client = service.client()
    try:
        return [host["name"] for host in client.get("/v1/hosts")["hosts"]]
    finally:
        client.close()


def outcome(
    service: ServiceProcess,
    answers: Answers,
    absences: Sequence[tuple[float, float]],
    speed: float,
    last_speed: tuple[float, float] = (math.inf, 1.0),
) -> Outcome:
    """Wait until all leases are over, and collect what there is to see."""
    client = service.client()
    until(lambda: all_over(client.leases("all=false")), "every lease is over", 2400, 0.5)
    leases = client.leases()
    stories = {lease["id"]: client.get(f"/v1/leases/{lease['id']}") for lease in leases}
    client.close()
    hosts = {name: index for index, name in enumerate(host_names(service))}
    end_well(service)
    return Outcome(
        answers=answers,
        leases=leases,
        stories=stories,
        world=service.world,
        results=service.save_results(),
        absences=absences,
        speed=speed,
        last_speed=last_speed,
        hosts=hosts,
    )


def check(found: Outcome) -> None:
    """All that must be true, however often the service was killed."""
    check_answers(found)
    check_nothing_lost_or_doubled(found)
    check_world(found.world)
    check_advance_reservations(found)
    check_changes(found.answers, found.stories)

    def allowed(due: int, done: int) -> float:
        return allowance(found, due, done)

    check_deadlines(found.stories.values(), allowed)

    def overdue(due: int, done: int) -> float:
        return unheard(found, due, done)

    check_maintenance(found.answers, found.results, found.world, found.hosts, allowed, overdue)
    assert all_over(found.leases), found.leases
    faults = faults_of(found.results)
    assert faults == [], "\n".join(faults)


def check_answers(found: Outcome) -> None:
    """Check that every answer was one that is described; else tell all that is known of it."""
    told = []
    for odd in found.answers.odd:
        told += [f"{name}: {value}" for name, value in odd._asdict().items()]
        about = [number for number in found.stories if f"/{number} " in f"{odd.call} "]
        told += [f"lease {number}: {found.stories[number]}" for number in about]
    absences = [f"{since:.1f} to {until:.1f}" for since, until in found.absences[-20:]]
    assert not told, "\n".join(["not described:", *told, "the last absences:", *absences])


def check_nothing_lost_or_doubled(found: Outcome) -> None:
    """Check that what was answered is there, once, and that what was cancelled is over."""
    by_id = {lease["id"]: lease for lease in found.leases}
    labels = [lease["label"] for lease in found.leases]
    assert len(labels) == len(set(labels)), "no request made two leases"
    for key, ids in found.answers.leases.items():
        assert len(set(ids)) == 1, f"every answer to {key} named the same lease"
        assert ids[0] in by_id, f"lease {ids[0]} of {key} was answered, and is there"
        assert by_id[ids[0]]["label"] == key, (key, by_id[ids[0]])
    for lease in found.answers.cancelled:
        assert by_id[lease]["state"] == "Cancelled", found.stories[lease]


def check_world(path: Path) -> None:
    """Nothing happened in the simulated site that must never happen, and nothing is left."""
    world = World.open(path)
    try:
        assert world.incidents() == [], world.incidents()
        left = [vm for vm in world.vms() if vm.there]
        assert left == [], left
        ran: dict[tuple[int, int], int] = {}
        for stretch in sorted(world.history(), key=lambda s: s.start):
            vm = (stretch.lease, stretch.node)
            assert stretch.end is not None, f"{vm} still runs"
            if stretch.end > stretch.start:
                assert stretch.start >= ran.get(vm, 0), f"{vm} ran twice at once"
                ran[vm] = stretch.end
    finally:
        world.close()


def check_advance_reservations(found: Outcome) -> None:
    """No AR missed its start by more than the time that the service was away."""
    for story in found.ars:
        started = next((s for s in story["story"] if s["state"] == "Active"), None)
        due = moment(story["start"])
        if started is not None:
            late = moment(started["time"]) - due
            bound = allowance(found, due, moment(started["time"]))
            assert 0 <= late <= bound, (bound, story, _in_its_way(found, started))
        elif story["state"] == "Failed":
            last = story["story"][-1]
            if "not at work" in last["reason"]:
                end = due + story["duration"]
                assert allowance(found, due, end) >= story["duration"], story
        else:
            assert story["state"] in {"Rejected", "Cancelled"}, story


def _in_its_way(found: Outcome, started: dict[str, Any]) -> dict[str, Any] | None:
    """Return the story of the lease that kept another from starting, where one did."""
    holder: int | None = started["reason_parameters"].get("lease")
    return None if holder is None else found.stories.get(holder)


def allowance(found: Outcome, due: int, started: int) -> float:
    """Return how late what was due may be: the absences in between, and what takes longer there."""
    away = absent(found, due, started)
    changed, last_speed = found.last_speed
    speed = last_speed if started > changed else found.speed
    return away + BOOT_SECONDS * speed + LONGEST_DELAY_SECONDS


def absent(found: Outcome, begin: int, end: int) -> float:
    """Return how long nobody was there between two moments."""
    return sum(max(0.0, min(last, end) - max(first, begin)) for first, last in found.absences)


def unheard(found: Outcome, decided: int, done: int) -> float:
    """Return how late what was decided may be done, where the service was killed in between.

    It may have taken a second, in real time, to keep what it decided.
    """
    away = absent(found, decided, done)
    return away + found.speed if away else 0.0


def describe(found: Outcome, seconds: float) -> str:
    """The hour in figures."""
    answers, states = found.answers, dict[str, int]()
    for lease in found.leases:
        states[lease["state"]] = states.get(lease["state"], 0) + 1
    away = sum(end - start for start, end in found.absences)
    late = [
        moment(entry["time"]) - moment(story["start"])
        for story in found.ars
        for entry in story["story"]
        if entry["state"] == "Active"
    ]
    return (
        f"{seconds:.0f} s, {len(found.absences)} absences of {away:.0f} s of its time in all;"
        f" {len(answers.leases)} requests answered, {len(answers.cancelled)} cancelled,"
        f" {sum(answers.granted.values())} changes granted, {len(answers.forms)} windows,"
        f" {answers.refused} of both refused; {answers.unanswered} calls without an answer,"
        f" {answers.later} told to come later;"
        f" {states}; {len(late)} ARs started, the latest {max(late, default=0)} s late"
    )
