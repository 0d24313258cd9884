"""A whole sandbox: its parts put together, started, stopped and started again."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haizea.sandbox.calls import Calls, Dialogue
from haizea.sandbox.clock import Clock, ManualClock, ScaledClock
from haizea.sandbox.cloud import Cloud, Dialect
from haizea.sandbox.control import Control
from haizea.sandbox.engine import Engine
from haizea.sandbox.events import Publisher
from haizea.sandbox.faults import Chances, Faults
from haizea.sandbox.journal import Journal
from haizea.sandbox.methods import Methods
from haizea.sandbox.methods14 import Methods14
from haizea.sandbox.operations import Durations
from haizea.sandbox.people import add_user
from haizea.sandbox.render import Renderer
from haizea.sandbox.saved import StateFile, StateFileError
from haizea.sandbox.sites import Sites
from haizea.sandbox.stock import StockScheduler
from haizea.sandbox.verbs import Verbs
from haizea.sandbox.web import WebServer

VERSIONS = ("1.4.0", "6.10.5", "7.4.0")
MOST_HOSTS = 10_000
_VERSION = re.compile(r"(1\.4|[567]\.\d{1,3})(\.\d{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """A host that is there from the start."""

    name: str
    cpu_percent: int = 800
    memory_mb: int = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The kind of OpenNebula that the sandbox is.

    ``speed`` is seconds of the sandbox's time per real second; ``clock`` replaces that clock,
    by a :class:`~haizea.sandbox.clock.ManualClock` for example. Port 0 is any that is free;
    ``events_port`` ``None`` publishes nothing, as 1.4 never does. ``users`` are ordinary
    users and their passwords. ``submit_on_hold`` is ``VM_SUBMIT_ON_HOLD``. ``placer`` is the
    name of another placer in ``SCHED_MAD``, which is not run.
    """

    version: str = "6.10.5"
    host_count: int = 4
    hosts: tuple[HostSpec, ...] = ()
    hosts_monitored: bool = True
    oneadmin_password: str = "onepass"
    users: tuple[tuple[str, str], ...] = (("alice", "alicepass"),)
    port: int = 0
    events_port: int | None = 0
    speed: float = 1.0
    clock: Clock | None = None
    durations: Durations = field(default_factory=Durations)
    chances: Chances = field(default_factory=Chances)
    seed: int = 0
    submit_on_hold: bool = False
    state_file: Path | None = None
    stock_scheduler_seconds: float | None = None
    placer: str = ""

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ValueError(
                f"invalid version {self.version!r}: write 1.4, or 5 to 7, such as {VERSIONS[-1]}"
            )
        wants_more = self.submit_on_hold or self.stock_scheduler_seconds is not None
        if wants_more and self.version.startswith("1."):
            raise ValueError("1.4 has no submission on hold, and no rival is made for it")
        if not 0 <= self.host_count <= MOST_HOSTS:
            raise ValueError(f"host_count must be from 0 to {MOST_HOSTS}, not {self.host_count}")


class Sandbox:
    """An OpenNebula in this process. In a ``with`` statement it is started and closed.

    Raises:
        OSError: the port is taken.
        EventsError, StateFileError: events or the state file cannot be had.
        ValueError: an option is wrong.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._state_file, known = _state_file(options)
        clock = options.clock or _clock(options, known)
        dialect = Dialect(options.version)
        faults = Faults(options.seed, options.chances)
        self.cloud = Cloud(dialect=dialect, clock=clock, durations=options.durations, faults=faults)
        engine = Engine(self.cloud)
        self._sites = Sites(self.cloud, engine)
        self._verbs = Verbs(self.cloud, engine, submit_on_hold=options.submit_on_hold)
        self.control = Control(self.cloud, engine, self._sites)
        self._calls = Calls(self.cloud, self._dialogue(engine), self.control.handles())
        self._web: WebServer | None = None
        self._publisher: Publisher | None = None
        self._stock: StockScheduler | None = None
        self._pacer: threading.Thread | None = None
        self._stopping = threading.Event()
        self.port = options.port
        self.events_port = options.events_port
        self._populate(known is not None)

    # What tests use

    @property
    def url(self) -> str:
        """The URL for calls."""
        return f"http://127.0.0.1:{self.port}/RPC2"

    @property
    def events_url(self) -> str | None:
        """The URL for subscribing to its events."""
        return f"tcp://127.0.0.1:{self.events_port}" if self.events_port else None

    @property
    def session(self) -> str:
        """The session of oneadmin, as it is in the file that ``ONE_AUTH`` names."""
        return f"oneadmin:{self.options.oneadmin_password}"

    @property
    def journal(self) -> Journal:
        """The journal of what happened so far."""
        return self.cloud.journal

    def start(self) -> None:
        """Listen, on the same ports as before where it was started before."""
        if self._web is not None:
            return
        self._stopping.clear()
        if self.cloud.dialect.publishes_events and self.options.events_port is not None:
            self._open_publisher()
        else:
            self.events_port = None
        try:
            self._web = WebServer(self.port, self._calls.answer, self.cloud.faults)
        except OSError:
            self._close_publisher()
            raise
        self.port = self._web.port
        if not isinstance(self.cloud.clock, ManualClock):
            self._pacer = threading.Thread(target=self._pace, name="sandbox time", daemon=True)
            self._pacer.start()
        if self.options.stock_scheduler_seconds is not None and not self.cloud.dialect.is_old:
            seconds = self.options.stock_scheduler_seconds
            self._stock = StockScheduler(self.cloud, self._verbs, seconds)

    def stop(self) -> None:
        """Stop listening, as a daemon does that is restarted. Time goes on; what comes due
        meanwhile has happened when it is started again."""
        self._stopping.set()
        if self._stock is not None:
            self._stock.close()
            self._stock = None
        if self._web is not None:
            self._web.close()
            self._web = None
        with self.cloud.lock:
            self.cloud.timer_added.notify_all()
        if self._pacer is not None:
            self._pacer.join()
            self._pacer = None
        self._close_publisher()

    def kill(self) -> None:
        """Stop as a daemon does that is killed: what is under way is never over."""
        self.stop()
        self.control.lose_drivers()

    def restart_events(self) -> None:
        """Publish events anew, as when their process alone is ended: OpenNebula starts it again."""
        if self._publisher is not None:
            self._close_publisher()
            self._open_publisher()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        if self._state_file is not None:
            self._state_file.close()
            self._state_file = None

    def __enter__(self) -> Sandbox:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Its parts

    def _dialogue(self, engine: Engine) -> Dialogue:
        if self.cloud.dialect.is_old:
            return Methods14(self.cloud, engine, self._sites)
        stock = self.options.stock_scheduler_seconds is not None
        placer = self.options.placer or ("rank" if stock else "dummy")
        return Methods(
            self.cloud,
            self._verbs,
            self._sites,
            endpoint=lambda: self.url,
            placer=placer,
            events_port=lambda: self.events_port,
        )

    def _populate(self, known: bool) -> None:
        if known and self._state_file is not None:
            self._state_file.restore(self.cloud)
            self._state_file.attach(self.cloud)
            # Whoever wrote the file has ended, and its drivers with it.
            self.control.lose_drivers()
            return
        if self._state_file is not None:
            self._state_file.attach(self.cloud)
            self._state_file.keep_settings(_settings(self.options, self.cloud.clock))
        with self.cloud.turn():
            add_user(self.cloud, "oneadmin", self.options.oneadmin_password, administers=True)
            if not self.cloud.dialect.is_old:
                # The account of the web interface; nobody has its password.
                add_user(self.cloud, "serveradmin", os.urandom(16).hex(), administers=True)
            for name, password in self.options.users:
                add_user(self.cloud, name, password)
            for spec in self.options.hosts or _default_hosts(self.options.host_count):
                self._sites.add(
                    spec.name,
                    cpu_percent=spec.cpu_percent,
                    memory_mb=spec.memory_mb,
                    drivers=("fake", "fake", "fake") if self.cloud.dialect.is_old else _DUMMY,
                    monitored=self.options.hosts_monitored,
                )

    def _pace(self) -> None:
        """Let things happen when they are due, though nobody calls."""
        cloud = self.cloud
        while not self._stopping.is_set():
            with cloud.lock:
                with cloud.turn():
                    pass
                moment = cloud.next_moment()
                wait = None if moment is None else cloud.clock.real_seconds_until(moment)
                if not self._stopping.is_set():
                    cloud.timer_added.wait(wait)

    def _open_publisher(self) -> None:
        render = Renderer(self.cloud)
        publisher = Publisher(self.events_port or 0, self.cloud.faults, render)
        with self.cloud.lock:
            self._publisher, self.events_port = publisher, publisher.port
            self.cloud.observers.vm_changed = publisher.vm_changed
            self.cloud.observers.host_changed = publisher.host_changed
            self._calls.publisher = publisher

    def _close_publisher(self) -> None:
        if self._publisher is None:
            return
        with self.cloud.lock:
            self.cloud.observers.vm_changed = lambda vm: None
            self.cloud.observers.host_changed = lambda host: None
            self._calls.publisher = None
        self._publisher.close()
        self._publisher = None


_DUMMY = ("dummy", "dummy", "dummy")


def _default_hosts(count: int) -> tuple[HostSpec, ...]:
    width = max(2, len(str(count)))
    return tuple(HostSpec(name=f"node{number:0{width}}") for number in range(1, count + 1))


def _settings(options: Options, clock: Clock) -> dict[str, Any]:
    """The settings that must not change when a state file is used again, and its time's start."""
    settings: dict[str, Any] = {"version": options.version, "speed": options.speed}
    if isinstance(clock, ScaledClock):
        settings |= {"start": clock.start, "anchor_wall": clock.anchor_wall}
    return settings


def _state_file(options: Options) -> tuple[StateFile | None, dict[str, Any] | None]:
    """The state file, if there is to be one, and what it says of itself, if it is not new."""
    if options.state_file is None:
        return None, None
    state_file = StateFile(options.state_file)
    try:
        known = state_file.settings()
        if known is not None:
            _check(options, known)
    except BaseException:
        state_file.close()
        raise
    return state_file, known


def _check(options: Options, known: dict[str, Any]) -> None:
    for name, value in (("version", options.version), ("speed", options.speed)):
        if known[name] != value:
            raise StateFileError(
                f"{options.state_file} is of a sandbox with {name} {known[name]}, not {value}:"
                " start it with that, or use another file"
            )


def _clock(options: Options, known: dict[str, Any] | None) -> ScaledClock:
    if known is None or "anchor_wall" not in known:
        return ScaledClock(speed=options.speed)
    return ScaledClock(speed=options.speed, start=known["start"], anchor_wall=known["anchor_wall"])


def serve(options: Options, tell: Callable[[str], None]) -> None:
    """Run a sandbox until SIGINT or SIGTERM; ``tell`` gets lines for the user.

    Raises:
        OSError, EventsError, StateFileError, ValueError: it cannot be started.
    """
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with Sandbox(options) as sandbox:
        tell(f"OpenNebula {options.version} sandbox at {sandbox.url}")
        if sandbox.events_url:
            tell(f"events at {sandbox.events_url}")
        tell(f"{len(sandbox.cloud.hosts)} hosts; session {sandbox.session}")
        done.wait()
