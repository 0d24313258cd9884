"""An OpenNebula and Haizea's service in one thread and one hurried time, repeatable from a seed.

All parts are the real ones but the ground they stand on: the clock, the connection, and the
threads that look, command and report. What these do happens here one after the other, at
moments that chance chooses, so that an hour takes seconds and a seed repeats it.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import haizea.backends.opennebula.backend as backend_module
import haizea.backends.opennebula.enactment.commander as commander_module
import haizea.backends.opennebula.owners.reports as reports_module
import haizea.backends.opennebula.site.watching as watching_module
import haizea.service.opennebula as side_module
import haizea.service.service as service_module
from haizea.backends.opennebula.enactment.commander import Answer, Commander, Order
from haizea.backends.opennebula.model.errors import (
    NotInThisVersion,
    OpenNebulaError,
    Refused,
    Unreachable,
)
from haizea.backends.opennebula.owners.reports import Reports
from haizea.backends.opennebula.site.watching import Watcher
from haizea.backends.opennebula.wire.answers import AnswerReader, Value, encode_call, unwrap
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.connection import RetrySettings
from haizea.backends.opennebula.wire.session import Session
from haizea.clock import Pace
from haizea.config import loads
from haizea.sandbox.clock import ManualClock
from haizea.sandbox.faults import CLOSE, ERROR, LOSE, Chances
from haizea.sandbox.objects import Host, Machine
from haizea.sandbox.operations import Durations
from haizea.sandbox.server import Options, Sandbox
from haizea.sandbox.states import State
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.store import LeaseQuery, Store, StoreUnavailable

BEGIN = 1_800_000_000.0
PASSWORDS = {"oneadmin": "onepass", "admin": "adminpass", "alice": "alicepass", "bob": "bobpass"}

CONFIGURATION = """\
[general]
mode: opennebula
[scheduling]
policy-preemption: ar-preempts-everything
suspension: all
backfilling: aggressive
migration: yes-notransfer
override-suspend-time: 6
override-resume-time: 6
shutdown-time: 5
non-schedulable-interval: 1
wakeup-interval: 30
[service]
listen: none
[opennebula]
vm-states: pending
host: 127.0.0.1
port: 2633
events: none
group-settling: 3
command-timeout: {timeout}
host-grace: {grace}
shutdown-grace: 20
preempt-with: {preempt}
"""


class Killed(BaseException):
    """Haizea's process is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Chances that something goes wrong: in the sandbox, and between it and Haizea.

    ``kills`` and ``outages`` are numbers per hour, as are ``oned_kills``, each in the middle of
    some operation, and ``broken_drivers``, each of which fails every time for a while.
    ``garbage`` is the chance that an answer is anything but what OpenNebula says.
    """

    chances: Chances = field(default_factory=Chances)
    delay_seconds: float = 0.2
    longest_delay_seconds: float = 4.0
    lose_event: float = 0.0
    repeat_event: float = 0.0
    garbage: float = 0.0
    kills: float = 0.0
    outages: float = 0.0
    oned_kills: float = 0.0
    broken_drivers: float = 0.0
    store_failures: float = 0.0


QUIET = Trouble(delay_seconds=0.02, longest_delay_seconds=0.1)


class World:
    """Everything that is there: OpenNebula, Haizea, and time."""

    def __init__(
        self, directory: Path, seed: int, trouble: Trouble, *, version: str = "6.10.5", **words: Any
    ) -> None:
        self.directory = directory
        self.dice = random.Random(seed)
        #: As it is, and as it is until everything calms down.
        self.trouble = self.trouble_before = trouble
        self.timeout_seconds = int(words.get("timeout", 60))
        self._words = {
            "timeout": 60,
            "grace": 60,
            "preempt": "stop",
            **words,
        }
        self.clock = ManualClock(BEGIN)
        self.sandbox = Sandbox(
            Options(
                version=version,
                host_count=6,
                clock=self.clock,
                events_port=None,
                durations=Durations(),
                chances=trouble.chances,
                seed=seed,
                users=(("alice", "alicepass"), ("bob", "bobpass")),
            )
        )
        self.control = self.sandbox.control
        self.control.add_user("admin", "adminpass", administers=True)
        self.legacy = version.startswith("1.")
        observers = self.sandbox.cloud.observers
        observers.vm_changed = self._vm_changed
        observers.host_changed = self._host_changed
        self.is_down = False
        #: ``oned`` is not running.
        self.is_dead = False
        #: ``(from, to)``: when Haizea or ``oned`` was not running.
        self.absences: list[tuple[float, float]] = []
        self._deadly = ""
        #: ``(from, to, what)``: when nobody could have done better.
        self.excuses: list[tuple[float, float, str]] = []
        self._agenda: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ticks = itertools.count(1)
        self._life = 0
        self._woken = False
        self.doomed = False
        self.service: Service | None = None
        self.watcher: SteppedWatcher | None = None
        self.reports: list[SteppedReports] = []
        self.finished: Callable[[], bool] = lambda: False
        self.restarts = 0

    # --- time ---------------------------------------------------------------------------

    def now(self) -> float:
        """The moment."""
        return self.clock.now()

    def steady(self) -> float:
        """A clock of which no two answers are the same."""
        return self.now() + next(self._ticks) * 1e-7

    def at(self, moment: float, what: Callable[[], None], *, life: bool = False) -> None:
        """Have something done; with ``life`` only if Haizea is not killed before."""
        number = self._life if life else -1
        heapq.heappush(self._agenda, (moment, next(self._order), number, what))

    def delay(self) -> float:
        """Return how long something takes on its way."""
        if self.dice.random() < 0.05:
            return self.dice.uniform(0, self.trouble.longest_delay_seconds)
        return self.dice.uniform(0, self.trouble.delay_seconds)

    def advance(self, until: float) -> None:
        """Let the next thing happen, at ``until`` at the latest."""
        watcher = self.watcher
        looks = watcher.next_moment() if watcher is not None else None
        reports = [r.next_moment() for r in self.reports]
        happens = self.sandbox.cloud.next_moment()
        due = self._agenda[0][0] if self._agenda else None
        moments = [m for m in (looks, happens, due, *reports) if m is not None]
        moment = max(self.now(), min([until, *moments]))
        if moment > self.now():
            self.control.advance(moment - self.now())
        elif happens is not None and happens <= moment:
            self.control.advance(0.0)
        while self._agenda and self._agenda[0][0] <= moment:
            _, _, life, what = heapq.heappop(self._agenda)
            if life in (-1, self._life):
                what()
        if watcher is not None and looks is not None and looks <= moment:
            watcher.step()
        for report in self.reports:
            report.step()

    # --- the clock of the service -----------------------------------------------------------

    def wait_until(self, moment: int, longest_seconds: float) -> int:
        """See :meth:`haizea.clock.RealClock.wait_until`."""
        if self.doomed:
            raise Killed
        until = min(float(moment), self.now() + longest_seconds)
        while not self._woken and self.now() < until:
            self.advance(until)
            if self.doomed:
                raise Killed
        self._woken = False
        return int(self.now())

    def interrupt(self) -> None:
        """Wake whoever waits."""
        self._woken = True

    # --- events ---------------------------------------------------------------------------

    def kill_oned_soon(self, step: str) -> None:
        """Have ``oned`` killed the next time a VM is in this step."""
        self._deadly = step

    def _kill_oned(self) -> None:
        if self.is_dead:
            return
        self.is_dead = True
        self.control.lose_drivers()
        down = self.dice.choice((1, 5, 20, 60))
        self.absences.append((self.now(), self.now() + down))
        self.excuses.append((self.now(), self.now() + down + 20, "oned was killed"))
        self.at(self.now() + down, self._start_oned)
        if self.dice.random() < 0.6:
            self.at(self.now() + self.dice.uniform(0, 60), self.kill_soon)

    def _start_oned(self) -> None:
        self.is_dead = False

    def _vm_changed(self, vm: Machine) -> None:
        if self._deadly and vm.state is State.ACTIVE and vm.lcm.name == self._deadly:
            self._deadly = ""
            self.at(self.now() + self.dice.uniform(0, 0.9), self._kill_oned)
        number = vm.id
        self._publish(lambda watcher: watcher.look_at([number]))

    def _host_changed(self, host: Host) -> None:
        number = host.id
        self._publish(lambda watcher: watcher.look_at_host(number))

    def _publish(self, tell: Callable[[SteppedWatcher], None]) -> None:
        if self.is_down or self.is_dead or self.legacy:
            return
        copies = 1
        if self.dice.random() < self.trouble.lose_event:
            copies = 0
        elif self.dice.random() < self.trouble.repeat_event:
            copies = 3

        def deliver() -> None:
            if self.watcher is not None:
                tell(self.watcher)

        for _ in range(copies):
            self.at(self.sandbox.cloud.now + self.delay(), deliver, life=True)

    # --- calls ----------------------------------------------------------------------------

    def exchange(self, body: bytes) -> tuple[Value, ...]:
        """A call of Haizea's, with what may go wrong on the way."""
        if self.doomed:
            raise Killed
        if self.is_dead:
            raise Unreachable("connection refused", nobody_listens=True)
        if self.is_down:
            raise Unreachable("no answer in time")
        mode, _ = self.sandbox.cloud.faults.web()
        if mode == ERROR:
            raise Unreachable("answers 500", maybe_done=True)
        if mode == CLOSE:
            raise Unreachable("closed", maybe_done=True)
        answer = self.sandbox._calls.answer(body)
        if mode == LOSE:
            raise Unreachable("closed without an answer", maybe_done=True)
        if self.dice.random() < self.trouble.garbage:
            answer = spoil(answer, self.dice)
        reader = AnswerReader(64 << 20)
        reader.feed(answer)
        return reader.finish()

    def call(self, user: str, method: str, *arguments: Value) -> Value | None:
        """A call by somebody else; ``None`` where it is refused, or nobody is there."""
        if self.is_dead:
            return None
        session = Session(f"{user}:{PASSWORDS[user]}").wire(hashed=self.legacy)
        reader = AnswerReader(64 << 20)
        reader.feed(self.sandbox._calls.answer(encode_call(method, (session, *arguments))))
        try:
            values = unwrap(reader.finish())
        except Refused:
            return None
        return values[0] if values else 0

    # --- Haizea ---------------------------------------------------------------------------

    def open_store(self) -> Store:
        """Return what Haizea keeps."""
        return Store.open(str(self.directory / "leases.db"))

    def run(self, finished: Callable[[], bool]) -> None:
        """Run Haizea until ``finished``; killed, it is started again."""
        self.finished = finished
        config = loads(CONFIGURATION.format(**self._words), self.directory / "haizea.conf")
        paths = Paths(self.directory / "state")
        paths.prepare()
        while not finished():
            store = self.open_store()
            assert store.lock(wait=False)
            try:
                self._live(config, store, paths)
                store.close()
            except Killed:
                self._bury(store)
                down = self.dice.choice((0.5, 5, 20, 90))
                self.excuses.append((self.now(), self.now() + down + 5, "Haizea was killed"))
                self.absences.append((self.now(), self.now() + down))
                self.restarts += 1
                until = self.now() + down
                while self.now() < until:
                    self.advance(until)

    def is_idle(self) -> bool:
        """Tell whether Haizea runs and has no lease that is not over."""
        return self.service is not None and not self.service._store.leases(LeaseQuery(limit=1))

    def _live(self, config: Any, store: Store, paths: Paths) -> None:
        self._fragile(store)
        self._woken = False
        logger = logging.getLogger("haizea")
        service = Service(config, store, paths, logger, Pace())
        self.service = service
        self._stop_when_finished(service)
        service.run()
        service.close()
        self.watcher = None
        self.reports.clear()
        self._life += 1

    def _stop_when_finished(self, service: Service) -> None:
        if self.finished():
            service.stop()
        else:
            again = self.now() + 5
            self.at(again, lambda: self._stop_when_finished(service), life=True)

    def _bury(self, store: Store) -> None:
        """Return what a process leaves behind that was killed: nothing but its files."""
        store._guard.release()
        store._database.close()
        self.doomed = False
        self.watcher = None
        self.service = None
        self.reports.clear()
        self._life += 1

    def _fragile(self, store: Store) -> None:
        """A store that cannot always be written, and during whose writing one can be killed."""
        save = store.save

        def saved(turn: Any) -> int:
            if self.dice.random() < self.trouble.store_failures:
                raise StoreUnavailable("the disk is full")
            if self.kill_at == "before a turn is kept":
                self._die()
            last = save(turn)
            if self.kill_at == "after a turn was kept":
                self._die()
            return last

        store.save = saved  # type: ignore[method-assign]

    kill_at = ""

    def kill_soon(self) -> None:
        """Have Haizea killed, now or at the next occasion of some kind."""
        places = ("", "before a turn is kept", "after a turn was kept", "in a command", "enacting")
        self.kill_at = self.dice.choice(places)
        if not self.kill_at:
            self.doomed = True

    def _die(self) -> None:
        self.kill_at = ""
        self.doomed = True
        raise Killed

    def sending(self, place: str) -> None:
        """A command is on its way."""
        if self.kill_at == place:
            self._die()


class SteppedClock:
    """The clock of the service: the world's."""

    def __init__(self, world: World, longest_wait_seconds: int) -> None:
        self._world = world
        self.longest_wait_seconds = longest_wait_seconds
        self._life = world._life

    def now(self) -> int:
        return int(self._world.now())

    def wait_until(self, moment: int) -> int:
        return self._world.wait_until(moment, self.longest_wait_seconds)

    def interrupt(self) -> None:
        self._world.interrupt()

    def close(self) -> None:
        pass


class SteppedWatcher(Watcher):
    """Looks when it is told to. What it saw is heard a little later."""

    world: World

    def __init__(
        self, client: Client, events: Any, intervals: Any, tell: Any, server: str | None
    ) -> None:
        super().__init__(client, events, intervals, self._later, server)
        self._hear = tell
        self._started = False
        self._free_at = 0.0
        self.world.watcher = self

    def start(self) -> None:
        self._started = True

    def close(self) -> None:
        self._started = False

    def look_at_host(self, number: int) -> None:
        self._hosts.add(number)

    def next_moment(self) -> float | None:
        """Return when it looks next."""
        if not self._started:
            return None
        due = self._next_full
        if self.watch:
            due = min(due, self._next_poll)
        if self._everything or self._vms or self._hosts:
            due = 0.0
        return max(due, self._free_at)

    def step(self) -> None:
        """Look."""
        now = self.world.now()
        moment = self.next_moment()
        if moment is None or moment > now:
            return
        self._free_at = now + 0.02
        try:
            self._look()
        except OpenNebulaError as error:
            if not self._down:
                self._down = True
                self._later(watching_module.Down(str(error)))
            self._free_at = now + self._pause
            self._pause = min(2 * self._pause, watching_module._LONGEST_PAUSE_SECONDS)
        else:
            self._pause, self._down = 0.5, False

    def _later(self, news: Any) -> None:
        heard = self.world.now() + self.world.delay()
        self._free_at = max(self._free_at, heard)
        self.world.at(heard, lambda: self._hear(news), life=True)


class SteppedCommander(Commander):
    """Sends orders at moments that chance chooses, in any order."""

    world: World

    def __init__(
        self, client: Client, threads: int, tell: Callable[[Answer], None], *, dry_run: bool = False
    ) -> None:
        super().__init__(client, 0, tell, dry_run=dry_run)

    def send(self, order: Order) -> None:
        world = self.world
        world.sending("enacting")

        def carry_out() -> None:
            try:
                world.sending("in a command")
            except Killed:
                return
            answer = self._sent(order)
            world.at(world.now() + world.delay(), lambda: self._tell(answer), life=True)

        world.at(world.now() + world.delay(), carry_out, life=True)

    def close(self) -> None:
        pass


class SteppedReports(Reports):
    """Writes what is due, once a second."""

    world: World

    def __init__(self, client: Client, **words: Any) -> None:
        super().__init__(client, pace=reports_module.Pace(per_second=1e6, calm_seconds=30.0))
        self._thread = threading.Thread()
        self._next = 0.0
        self.world.reports.append(self)

    def next_moment(self) -> float | None:
        if not self._wanted:
            return None
        first = min(self._when(vm, report) for vm, report in self._wanted.items())
        return max(self._next, first)

    def step(self) -> None:
        now = self.world.now()
        if now < self._next or not self._wanted:
            return
        self._next = now + 1.0
        batch = self._due(now)
        if not batch:
            return
        with suppress(OpenNebulaError):
            try:
                self._write(batch)
            except NotInThisVersion:
                self._mute = True
                self._wanted.clear()

    def close(self, flush_seconds: float = 2.0) -> None:
        self.step()


class InProcess:
    """In place of connections over a network."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.name = "OpenNebula"

    def exchange(self, body: bytes, *, fresh: bool) -> tuple[Value, ...]:
        return self._world.exchange(body)

    def silent_seconds(self) -> float:
        return 0.0

    def cut_at(self) -> float | None:
        return None

    def listeners(self) -> frozenset[str]:
        return frozenset()

    def close(self) -> None:
        pass


@contextmanager
def grounded(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the service stand on the world's ground."""
    ground = SimpleNamespace(
        monotonic=world.steady, sleep=lambda seconds: world.advance(world.now() + seconds)
    )

    def client(url: str, session: Session, **_: Any) -> Client:
        made = Client(url, session, retry=RetrySettings(attempts=2, backoff_seconds=0.0))
        made.connections = InProcess(world)  # type: ignore[assignment]
        return made

    auth = world.directory / "one_auth"
    auth.write_text("oneadmin:onepass\n")
    with monkeypatch.context() as patch:
        patch.setenv("ONE_AUTH", str(auth))
        for module in (backend_module, commander_module, reports_module, watching_module):
            patch.setattr(module, "time", ground)
        for stepped in (SteppedWatcher, SteppedCommander, SteppedReports):
            patch.setattr(stepped, "world", world, raising=False)
        patch.setattr(backend_module, "Watcher", SteppedWatcher)
        patch.setattr(backend_module, "Commander", SteppedCommander)
        patch.setattr(side_module, "Reports", SteppedReports)
        patch.setattr(side_module, "Client", client)
        # Its time never goes back, so that it need not be told where to go on.
        patch.setattr(service_module, "RealClock", lambda wait, *_, **__: SteppedClock(world, wait))
        yield


def spoil(answer: bytes, dice: random.Random) -> bytes:
    """Anything but what OpenNebula would say."""
    at = dice.randrange(len(answer))
    bomb = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]>'
    array = b"<methodResponse><params><param><value><array><data>%s</data></array></value></param>"
    wrap = array + b"</params></methodResponse>"
    said = b"<value><boolean>1</boolean></value>"
    match dice.randrange(8):
        case 0:
            return answer[:at]
        case 1:
            return answer[:at] + dice.randbytes(20) + answer[at:]
        case 2:
            return b""
        case 3:
            return b"<html><body>Bad gateway</body></html>"
        case 4:
            return answer.replace(b"?>", b"?>" + bomb, 1)
        case 5:
            return wrap % (said + b"<value><string>&lt;VM_POOL&gt;&lt;VM/&gt;</string></value>")
        case 6:
            return wrap % (said + b"<value><i4>17</i4></value>")
        case _:
            return wrap % said
