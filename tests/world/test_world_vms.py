"""One VM, and what whoever commands it may and may not do: against a model of its own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from effort import how_hard, seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from haizea.backends.world import Command, IncidentKind, Verb, World
from haizea.core.model.hosts import Host

HOSTS = (Host(0, "one", (100, 1024)), Host(1, "two", (100, 1024)))
HOLDING = {"running", "suspending", "resuming", "stopping"}


class Machine(RuleBasedStateMachine):
    """Commands in any order, repeated, late and lost, from worlds that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "world.db"
        self.worlds = [World.open(self.path, HOSTS, 0)]
        self.now = 0
        self.due = 0
        self.given: list[Command] = []
        self.up = {0: True, 1: True}
        # The model: state, host, and when what by itself.
        self.state = "none"
        self.host = 0
        self.origin: int | None = None
        self.next: tuple[int, str, int] | None = None
        self.twice = self.without = 0

    @property
    def world(self) -> World:
        return self.worlds[-1]

    def pass_time(self) -> None:
        if self.next is not None and self.next[0] <= self.now:
            if self.state == "migrating":
                self.origin = self.host
            _, self.state, self.host = self.next
            self.next = None

    @rule(seconds=st.integers(0, 30), looks=st.booleans())
    def time_passes(self, seconds: int, looks: bool) -> None:
        self.now += seconds
        self.pass_time()
        if looks:
            self.world.look(self.now)

    @rule()
    def the_manager_is_killed(self) -> None:
        self.worlds.append(World.open(self.path))

    @rule(host=st.integers(0, 1))
    def a_host_dies_or_returns(self, host: int) -> None:
        self.pass_time()
        if self.up[host]:
            self.world.host_down(host, self.now)
            moving = self.state == "migrating"
            if moving and self.next is not None and host in (self.host, self.next[2]):
                self.state, self.next = "saved", None
            elif host == self.host and self.state in HOLDING:
                self.state, self.next = "failed", None
        else:
            self.world.host_up(host, self.now)
        self.up[host] = not self.up[host]

    @rule(
        verb=st.sampled_from(Verb),
        host=st.integers(0, 1),
        seconds=st.integers(0, 20),
        at_once=st.booleans(),
    )
    def told(self, verb: Verb, host: int, seconds: int, at_once: bool) -> None:
        self.due = max(self.due + 1, self.now)
        if not at_once:
            self.now = max(self.now, self.due) + 3
        self.now = max(self.now, self.due)
        self.pass_time()
        given = Command(
            lease=1,
            node=1,
            verb=verb,
            due=self.due,
            host=host,
            seconds=seconds,
            capacity=(100, 512),
        )
        self.given.append(given)
        self.world.give(self.now, given)
        self.follow(given)
        self.pass_time()

    def follow(self, given: Command) -> None:
        host, later = given.host, self.now + given.seconds
        match given.verb, self.state:
            case Verb.START, ("none" | "gone" | "failed"):
                self.state = "running" if self.up[host] else "failed"
                self.host, self.origin, self.next = host, None, None
            case Verb.START, state:
                self.twice += state not in {"saved", "migrating"}
            case Verb.KILL, state if state != "none":
                self.state, self.next = "gone", None
            case Verb.SUSPEND, "running":
                self.state, self.next = "suspending", (later, "saved", self.host)
            case Verb.SHUT_DOWN, "running":
                self.state, self.next = "stopping", (later, "gone", self.host)
            case Verb.MIGRATE, "saved" if self.up[host]:
                self.state, self.next = "migrating", (later, "saved", host)
                self.origin = None
            case Verb.RESUME, "saved" if host == self.host:
                if self.up[host]:
                    self.state, self.next = "resuming", (later, "running", host)
                    self.origin = None
            case Verb.RESUME, _:
                self.without += 1
            case Verb.STAY, "migrating":
                self.state, self.next = "saved", None
            case Verb.STAY, "saved" if self.origin is not None:
                self.host, self.origin = self.origin, None
            case _:
                pass

    @rule(data=st.data())
    def told_again(self, data: st.DataObject) -> None:
        """Give again what was followed, or overtaken, as any manager may: nothing changes."""
        self.world.look(self.now)
        before = self.world.vms()
        old = [g for g in self.given if before and g.due <= before[0].due]
        if old:
            again = data.draw(st.sampled_from(old))
            data.draw(st.sampled_from(self.worlds)).give(self.now, again)
            assert self.world.vms() == before

    @invariant()
    def it_is_where_it_should_be(self) -> None:
        vms = self.world.vms() if self.now == self.world.look(self.now) else []
        if self.state == "none":
            assert not vms
        else:
            assert [vm.state for vm in vms] == [self.state]
            if self.state not in {"gone", "failed"}:
                assert vms[0].host == self.host

    @invariant()
    def incidents_are_what_was_asked_for(self) -> None:
        kinds = [i.kind for i in self.world.incidents()]
        assert (IncidentKind.RAN_TWICE in kinds) == (self.twice > 0)
        assert (IncidentKind.NO_MEMORY in kinds) == (self.without > 0)
        assert IncidentKind.OVER_CAPACITY not in kinds

    @invariant()
    def the_history_has_one_place_at_a_time(self) -> None:
        history = self.world.history()
        for one, two in pairwise(history):
            assert one.end is not None
            assert one.end <= two.start
        runs = bool(history) and history[-1].end is None
        assert runs == (self.state in HOLDING)

    def teardown(self) -> None:
        for world in self.worlds:
            world.close()
        self.folder.cleanup()


TestMachine = seeded(Machine).TestCase
TestMachine.settings = how_hard(60, stateful_step_count=25)
