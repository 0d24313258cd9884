"""A service and the OpenNebula that it drives, a sandbox, both in the same hurried time."""

from __future__ import annotations

import logging
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from haizea.cli.commands import cli
from haizea.clock import Pace
from haizea.config import loads
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code
from haizea.core.model.records import LeaseRecord
from haizea.sandbox.clock import ScaledClock
from haizea.sandbox.faults import Chances
from haizea.sandbox.server import Options, Sandbox
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.store import LeaseQuery, Store
from haizea.wording import in_words

#: For tests whose point is a deployment at the start.
AT_THE_START = "ready-by: deploy"

CONFIGURATION = """\
[general]
mode: opennebula
[scheduling]
policy-preemption: ar-preempts-everything
suspension: all
backfilling: aggressive
migration: yes-notransfer
{saving}
shutdown-time: {shutdown}
non-schedulable-interval: 1
wakeup-interval: {wakeup}
{scheduling}
[service]
listen: {listen}
[opennebula]
vm-states: {states}
host: 127.0.0.1
port: {port}
events: {events}
group-settling: 2
{opennebula}
"""

AnySite = TypeVar("AnySite", bound="Site")

ALL = LeaseQuery(finished=True, limit=10_000)


class Site:
    """An OpenNebula with hosts of 8 cores and 16 GB, and a Haizea that drives it.

    ``speed`` of its seconds pass in a real one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        speed: float = 20,
        hosts: int = 4,
        version: str = "6.10.5",
        events: bool = True,
        opennebula: str = "",
        scheduling: str = "",
        saving: str = "override-suspend-time: 10\noverride-resume-time: 10",
        wakeup: int = 30,
        states: str = "pending",
        listen: str = "none",
        shutdown: int = 5,
        **options: Any,
    ) -> None:
        self.directory = directory
        self.speed = speed
        self._texts = {"opennebula": opennebula, "scheduling": scheduling, "wakeup": wakeup}
        self._texts |= {"saving": saving, "states": states, "listen": listen}
        self._texts |= {"shutdown": shutdown}
        #: Where Haizea looks for events, if not where they are.
        self.events = ""
        self.clock = ScaledClock(speed=speed)
        self.sandbox = Sandbox(
            Options(
                version=version,
                host_count=hosts,
                clock=self.clock,
                events_port=0 if events else None,
                state_file=directory / "cloud.db",
                **{"chances": Chances(), **options},
            )
        )
        self.service: Service | None = None
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start OpenNebula, and Haizea."""
        self.sandbox.start()
        self.start_haizea()

    def start_haizea(self) -> None:
        """Start Haizea, or start it again."""
        events = self.events or self.sandbox.events_url or "none"
        config = loads(
            CONFIGURATION.format(port=self.port, events=events, **self._texts),
            self.directory / "haizea.conf",
        )
        paths = Paths(self.directory / "state")
        paths.prepare()
        self.store = Store.open(str(self.directory / "leases.db"))
        assert self.store.lock(wait=False, stopped=lambda: False)
        pace = Pace(self.speed, self.clock.anchor_wall, self.clock.start)
        self.service = Service(config, self.store, paths, logging.getLogger("haizea"), pace)
        self.service.start()
        self._thread = threading.Thread(target=self._run, name="service")
        self._thread.start()

    def configure(self, **texts: str) -> None:
        """Have Haizea find something else in its configuration when it starts next."""
        self._texts |= texts

    @property
    def port(self) -> int:
        """The address at which Haizea finds OpenNebula."""
        return self.sandbox.port

    def _run(self) -> None:
        assert self.service is not None, "it was started"
        try:
            self.service.run()
        except BaseException as error:
            self.failure = error

    @property
    def at_work(self) -> bool:
        """True if Haizea has not ended by itself."""
        return self._thread.is_alive()

    def stop_haizea(self) -> None:
        """End Haizea; VMs go on."""
        if self.service is not None:
            self.service.stop()
            self._thread.join(timeout=30)
            assert not self._thread.is_alive()
            self.service.close()
            self.store.close()
            self.service = None

    def close(self) -> None:
        """End everything."""
        self.stop_haizea()
        self.sandbox.close()
        if self.failure is not None:
            raise self.failure

    def haizea(self, *words: str) -> str:
        """Return what a command prints that asks this Haizea, as its operator."""
        assert self.service is not None, "it was started"
        token = self.directory / "state/token"
        access = ["--server", self.service.url, "--token-file", str(token)]
        done = CliRunner().invoke(cli, [*words, *access])
        return done.output

    # --- OpenNebula ---------------------------------------------------------------------

    def call(self, method: str, *arguments: Any) -> Any:
        """The value of a call by oneadmin that is accepted."""
        proxy = xmlrpc.client.ServerProxy(self.sandbox.url)
        session = self.sandbox.session
        if self.sandbox.options.version.startswith("1."):
            import hashlib

            user, _, password = session.partition(":")
            session = f"{user}:{hashlib.sha1(password.encode()).hexdigest()}"
        answer: Any = getattr(proxy, method)(session, *arguments)
        proxy("close")()
        assert answer[0] is True, answer
        return answer[1] if len(answer) > 1 else None

    def submit(
        self, *, cpu: float = 1, memory: int = 1024, rest: str = "", **haizea: object
    ) -> int:
        """A new VM with these words in its ``HAIZEA``, none without words."""
        text = f'NAME="vm"\nCPU="{cpu}"\nMEMORY="{memory}"\n{rest}\n'
        if haizea:
            words = ", ".join(f'{name.upper()}="{word}"' for name, word in haizea.items())
            text += f"HAIZEA=[ {words} ]\n"
        return int(self.call("one.vm.allocate", text))

    def edit(self, vm: int, **haizea: str) -> None:
        """Write other words into a VM's ``HAIZEA``, as ``onevm update --append`` does."""
        words = ", ".join(f'{name.upper()}="{word}"' for name, word in haizea.items())
        self.call("one.vm.update", vm, f"HAIZEA=[ {words} ]", 1)

    def told_of_edit(self, vm: int) -> str:
        """Return what a VM's owner reads of the last edit."""
        found = self.sandbox.cloud.vms[vm].user_template.get("HAIZEA_STATUS", [])
        return str(found[0].get("CHANGE", "")) if found and isinstance(found[0], dict) else ""

    def until_told(self, vm: int, text: str) -> None:
        """Wait until its owner reads this of the last edit."""
        try:
            self.until(lambda: text in self.told_of_edit(vm))
        except AssertionError:
            raise AssertionError(f"{text!r} is not in {self.told_of_edit(vm)!r}") from None

    def state(self, vm: int) -> str:
        """A VM's state by name."""
        return self.sandbox.control.vm(vm).state

    def host(self, vm: int) -> int | None:
        """The host of a VM."""
        return self.sandbox.control.vm(vm).host

    def came_to(self, vm: int, state: str) -> list[float]:
        """Return when a VM came to a state."""
        return [c.time for c in self.sandbox.control.changes() if c.vm == vm and c.new == state]

    def now(self) -> float:
        """The time of both."""
        return self.clock.now()

    # --- Haizea -------------------------------------------------------------------------

    def lease(self, vm: int) -> LeaseRecord:
        """The latest lease of a VM."""
        found = [r for r in self.leases() if str(vm) in r.request.names]
        assert found, f"VM {vm} has no lease"
        return found[-1]

    def leases(self) -> list[LeaseRecord]:
        """All leases."""
        return self.store.leases(ALL)

    def has_lease(self, vm: int, *states: State) -> bool:
        """Tell whether a VM's latest lease is in one of these states, or there is one."""
        found = [r for r in self.leases() if str(vm) in r.request.names]
        return bool(found) and (not states or found[-1].state in states)

    def planned(self, vm: int) -> tuple[int, ...]:
        """The hosts that a VM's lease has, or is to have."""
        plan = self.lease(vm).plan
        return () if plan is None else plan.hosts

    def running(self, **haizea: Any) -> int:
        """A VM that runs and has a whole host, for an hour if nothing else is said."""
        words = {"start": "best_effort", "duration": "01:00:00", **haizea}
        vm = self.submit(cpu=8, **words)
        self.until_state(vm, "RUNNING")
        return vm

    def booked(self, **haizea: Any) -> int:
        """A reservation of a whole host that is accepted; soon, and for ten minutes if not said."""
        words = {"start": "+00:04:00", "duration": "00:10:00", **haizea}
        vm = self.submit(cpu=8, **words)
        self.until(lambda: self.has_lease(vm, State.SCHEDULED))
        return vm

    @property
    def slack(self) -> float:
        """The cloud's seconds that pass in three real ones: a slow machine may need that long."""
        return 3 * self.speed

    def assert_starts_in_time(self, vm: int) -> None:
        """A reservation is deployed in time, and says nothing of being late.

        Its VM may boot a little later than was planned, as a slow machine makes it.
        """
        self.assert_deployed_in_time(vm)
        lease = self.lease(vm)
        assert lease.request.start is not None
        booted = self.came_to(vm, "RUNNING")[0] <= lease.request.start + self.slack
        # A machine that is busy for a second is away for twenty of theirs.
        slow = (Code.VMS_TAKE_LONGER, Code.NOT_AT_WORK)
        by_it = lease.late is not None and lease.late.code in slow
        assert lease.late is None or (by_it and booted), in_words(lease.late)

    def assert_deployed_in_time(self, vm: int) -> None:
        """A reservation is deployed when it is to, or so soon after it as a slow machine can.

        That is before its start, where it is to run by then.
        """
        self.until_state(vm, "RUNNING", seconds=1500)
        lease = self.lease(vm)
        assert lease.request.start is not None
        due = lease.request.start - lease.prepare_seconds
        # As long as nobody looked, it may have been planned otherwise by a second or two.
        least = due - 2 if lease.prepare_seconds else due
        assert least <= self.came_to(vm, "PROLOG")[0] <= due + self.slack

    # --- waiting ------------------------------------------------------------------------

    def until(self, what: Callable[[], bool], *, seconds: float = 600) -> None:
        """Wait until it is so; at most so long, in the time of both."""
        deadline = self.now() + seconds
        while not what():
            if self.failure is not None:
                raise self.failure
            assert self.now() < deadline, "it did not come to that"
            time.sleep(0.02)

    def until_state(self, vm: int, *states: str, seconds: float = 600) -> None:
        """Wait until a VM is in one of these states."""
        try:
            self.until(lambda: self.state(vm) in states, seconds=seconds)
        except AssertionError:
            told = [f"{r.id} {r.state}: {in_words(r.reason or r.late)}" for r in self.leases()]
            raise AssertionError(f"VM {vm} is {self.state(vm)}, not {states}; {told}") from None

    def assert_no_overload(self) -> None:
        """No host ever had more than it can hold."""
        assert not self.sandbox.control.violations("running")
        assert not self.sandbox.control.violations("counted")


def as_oneadmin(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be known to OpenNebula as oneadmin."""
    path = directory / "one_auth"
    path.write_text("oneadmin:onepass\n")
    monkeypatch.setenv("ONE_AUTH", str(path))


@contextmanager
def site(directory: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Site]:
    """A site that is at work."""
    with at_work(Site, directory, monkeypatch, **options) as made:
        yield made


@contextmanager
def at_work(
    kind: type[AnySite], directory: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Iterator[AnySite]:
    """A site of that kind that is at work."""
    as_oneadmin(directory, monkeypatch)
    made = kind(directory, **options)
    try:
        made.start()
        yield made
    finally:
        made.close()
