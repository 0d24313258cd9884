"""A check of what is right and wrong in a set-up of Haizea with an OpenNebula."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from haizea.backends.opennebula.model.errors import OpenNebulaError, RefusalKind, Refused
from haizea.backends.opennebula.model.host import HostInfo, HostState
from haizea.backends.opennebula.model.pools import User
from haizea.backends.opennebula.model.template import NO_TEMPLATE, Template
from haizea.backends.opennebula.model.version import Version
from haizea.backends.opennebula.model.waiting import HOLD, PENDING, waits_by_version
from haizea.backends.opennebula.site.placer import knocks_at
from haizea.backends.opennebula.site.setup_clock import time_of
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.events import EventStream, events_address

_ONEADMIN_GROUP = 0
_CLOCK_SECONDS = 2.0
_EVENTS_FROM = Version(6, 0)
_NAMED = 5
_OTHERS = "other scheduler"


class Verdict(StrEnum):
    """The result of a check."""

    RIGHT = "right"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing that was checked, the verdict, and what to do about it where that is anything."""

    what: str
    verdict: Verdict
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The set-up as it is configured.

    ``events`` is the address of the events, ``None`` for none; its port may be ``auto``.
    ``suspends`` says that VMs are preempted with ``suspend`` rather than ``stop``. VMs wait for
    Haizea in the states ``waits_in``; it is ``None`` where that goes by OpenNebula's version.
    ``processes`` is where the processes of this machine are listed, ``None`` if OpenNebula runs
    elsewhere. ``placers`` is the directory that has OpenNebula's placers, ``wake`` the socket at
    which Haizea is woken by its own. ``certificates`` are the authorities to trust with https.
    """

    url: str
    events: str | None = "tcp://127.0.0.1:2101"
    suspends: bool = False
    waits_in: frozenset[int] | None = None
    event_seconds: float = 5.0
    processes: Path | None = None
    placers: Path | None = None
    wake: Path | None = None
    certificates: str | None = None


def check_setup(client: Client, setup: Setup, now: Callable[[], float]) -> Iterator[Finding]:
    """Every finding, as it is made; where a step fails, nothing that needs it is looked at."""
    try:
        version = client.version()
        yield Finding("reachable", Verdict.RIGHT, f"OpenNebula answers at {setup.url}")
        yield _version(version)
        user = client.user()
    except Refused as refused:
        yield _refused_session(refused)
        return
    except OpenNebulaError as error:
        advice = "start OpenNebula, or correct host and port in [opennebula]"
        yield Finding("reachable", Verdict.WRONG, str(error), advice)
        return
    yield Finding("credentials", Verdict.RIGHT, f"OpenNebula knows user {user.name!r}")
    configuration = _configuration(client, version)
    yield _rights(user, version, configuration)
    steps: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("zone", lambda: [_raft(client)]),
        (
            _OTHERS,
            lambda: [_whose_vms(version, configuration, setup)],
        ),
        ("events", lambda: [_events(version, configuration, setup)]),
        ("preemption", lambda: [_preemption(version, setup)]),
        ("clock", lambda: [_clock(setup, now)]),
        ("hosts", lambda: _hosts(client.hosts(monitoring=False))),
    )
    for what, step in steps:
        try:
            yield from step()
        except OpenNebulaError as error:
            yield Finding(
                what, Verdict.WRONG, str(error), "OpenNebula's log may say more: oned.log"
            )


# --- who it is, and what it may do --------------------------------------------------------


def _version(version: Version) -> Finding:
    text = f"OpenNebula {version}"
    if version.is_legacy or version.major in (5, 6, 7):
        return Finding("version", Verdict.RIGHT, text)
    return Finding(
        "version",
        Verdict.DOUBTFUL,
        f"{text} is a version that Haizea was never run with",
        "try it in a dry run first: dry-run: yes in [opennebula]",
    )


def _refused_session(refused: Refused) -> Finding:
    advice = "name the right file with ONE_AUTH"
    if refused.kind is RefusalKind.AUTHENTICATION:
        advice = "write user:password into the file that ONE_AUTH names, else ~/.one/one_auth"
    return Finding("credentials", Verdict.WRONG, f"OpenNebula refuses them: {refused}", advice)


def _configuration(client: Client, version: Version) -> Template | None:
    """OpenNebula's configuration; ``None`` where it is not told (1.4, or no administrator)."""
    if version.is_legacy:
        return None
    try:
        return client.configuration()
    except OpenNebulaError:
        return None


def _rights(user: User, version: Version, configuration: Template | None) -> Finding:
    if version.is_legacy:
        may = user.name == "oneadmin"
    else:
        groups = {user.gid, *user.group_ids}
        may = _ONEADMIN_GROUP in groups and configuration is not None
    if may:
        return Finding("rights", Verdict.RIGHT, f"{user.name!r} may deploy and update all VMs")
    return Finding(
        "rights",
        Verdict.WRONG,
        f"{user.name!r} is not an administrator: it may not deploy other users' VMs",
        "use the credentials of oneadmin, or of a user in the group oneadmin",
    )


def _raft(client: Client) -> Finding:
    state = client.raft_state()
    if state.schedules:
        return Finding("zone", Verdict.RIGHT, f"this server takes commands ({state.name.lower()})")
    return Finding(
        "zone",
        Verdict.DOUBTFUL,
        f"this server is a {state.name.lower()} of its zone: it takes no commands",
        "have host in [opennebula] name the zone's floating address; until this server leads,"
        " Haizea waits",
    )


# --- other schedulers ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rival:
    """The scheduler of OpenNebula's own, or why nothing is known of it; and what to do."""

    places: bool | None
    text: str
    advice: str = ""


def _rival(version: Version, configuration: Template | None, setup: Setup) -> _Rival:
    if version.scheduler_is_a_driver:
        return _driver(configuration, setup)
    if setup.processes is None:
        return _Rival(
            None,
            "OpenNebula runs on another machine, whose processes are not seen from here",
            "make sure there that mm_sched does not run",
        )
    found = _process(setup.processes, "mm_sched")
    if found is None:
        return _Rival(False, "OpenNebula's own scheduler does not run here")
    return _Rival(
        True,
        f"OpenNebula's own scheduler runs (mm_sched, process {found})",
        "stop it: systemctl disable --now opennebula-scheduler (1.4: kill it; start oned alone)",
    )


def _driver(configuration: Template | None, setup: Setup) -> _Rival:
    if configuration is None:
        return _Rival(
            None, "which scheduler OpenNebula has is told to administrators only", "see above"
        )
    words = configuration.vector("SCHED_MAD").get("ARGUMENTS", "").split()
    placer = words[words.index("-p") + 1] if "-p" in words[:-1] else "rank"
    match placer:
        case "dummy":
            return _Rival(False, "OpenNebula's own scheduler (dummy) places nothing")
        case "rank":
            return _Rival(
                True,
                "OpenNebula's own scheduler (rank) places all VMs that are pending",
                'in oned.conf write VM_SUBMIT_ON_HOLD = "YES" (and vm-states: hold here), or'
                " -p dummy -o dummy in the ARGUMENTS of SCHED_MAD; then restart OpenNebula",
            )
        case _:
            return _placer(placer, setup)


def _placer(name: str, setup: Setup) -> _Rival:
    """A placer that is not OpenNebula's own: Haizea's, as far as can be seen from here."""
    socket = None if setup.placers is None else knocks_at(setup.placers / Path(name).name)
    if socket is None:
        return _Rival(
            None,
            f"pending VMs go through the placer {name!r}",
            "that is right if 'haizea opennebula install-driver' wrote it; another one would place"
            " VMs beside Haizea",
        )
    if setup.wake is not None and socket != setup.wake:
        return _Rival(
            None,
            f"Haizea's placer {name!r} knocks at {socket}, and Haizea will listen at {setup.wake}",
            "write it again, with this configuration: haizea opennebula install-driver",
        )
    return _Rival(False, f"pending VMs go through Haizea's placer {name!r}, which wakes Haizea")


def _whose_vms(version: Version, configuration: Template | None, setup: Setup) -> Finding:
    """Check whether a VM that waits is Haizea's alone."""
    rival = _rival(version, configuration, setup)
    submits_on_hold = (
        configuration is not None and configuration.text("VM_SUBMIT_ON_HOLD").upper() == "YES"
    )
    waits_in = setup.waits_in or waits_by_version(version)
    pending, held = waits_in >= PENDING, waits_in >= HOLD
    if submits_on_hold and not held:
        return Finding(
            _OTHERS,
            Verdict.WRONG,
            "VMs are submitted on hold (VM_SUBMIT_ON_HOLD), and vm-states is pending",
            "write vm-states: hold in [opennebula]",
        )
    if submits_on_hold and not pending:
        text = "VMs are submitted on hold, and those are Haizea's alone"
        return Finding(_OTHERS, Verdict.RIGHT, text)
    if setup.waits_in is None and held and rival.places is not True:
        return Finding(
            _OTHERS,
            Verdict.WRONG if rival.places is False else Verdict.DOUBTFUL,
            f"{rival.text}; only VMs on hold are Haizea's (vm-states)",
            "write vm-states: pending in [opennebula], or have all VMs submitted on hold:"
            ' VM_SUBMIT_ON_HOLD = "YES" in oned.conf',
        )
    if setup.waits_in is not None and not pending:
        return Finding(
            _OTHERS,
            Verdict.DOUBTFUL,
            "only VMs that are submitted on hold are Haizea's (vm-states: hold)",
            "that is right beside another scheduler; VM_SUBMIT_ON_HOLD in oned.conf has all"
            " submitted so",
        )
    verdicts = {True: Verdict.WRONG, False: Verdict.RIGHT, None: Verdict.DOUBTFUL}
    return Finding(_OTHERS, verdicts[rival.places], rival.text, rival.advice)


def _process(processes: Path, name: str) -> int | None:
    """The number of a process with this name, if there is one."""
    for entry in processes.iterdir():
        if entry.name.isdigit():
            try:
                found = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            if found == name:
                return int(entry.name)
    return None


# --- events, preemption, clock ------------------------------------------------------------


def _events(version: Version, configuration: Template | None, setup: Setup) -> Finding:
    if version < _EVENTS_FROM:
        return Finding("events", Verdict.RIGHT, "this version has none: Haizea looks now and then")
    slower = "Haizea works without, and notices changes later: after wakeup-interval"
    if setup.events is None:
        return Finding("events", Verdict.DOUBTFUL, "they are switched off", slower)
    address = events_address(setup.events, configuration or NO_TEMPLATE)
    with EventStream(address) as stream:
        deadline = time.monotonic() + setup.event_seconds
        while not stream.connections and time.monotonic() < deadline:
            stream.receive(0.1)
        if stream.connections:
            return Finding("events", Verdict.RIGHT, f"OpenNebula publishes them at {address}")
    return Finding(
        "events",
        Verdict.DOUBTFUL,
        f"nobody publishes them at {address}",
        "look into oned.conf at HM_MAD (its option -p is the port) and at the firewall; " + slower,
    )


def _preemption(version: Version, setup: Setup) -> Finding:
    if setup.suspends and not version.is_legacy:
        return Finding(
            "preemption",
            Verdict.DOUBTFUL,
            "preempt-with is suspend: OpenNebula goes on counting suspended VMs on their hosts, and"
            " shows hosts as full beyond what they have",
            "that works, if nobody else deploys with enforce; preempt-with: stop avoids it",
        )
    how = "suspended" if setup.suspends else "stopped"
    return Finding("preemption", Verdict.RIGHT, f"VMs that make room are {how}, and free the host")


def _clock(setup: Setup, now: Callable[[], float]) -> Finding:
    there = time_of(setup.url, setup.certificates)
    if there is None:
        return Finding(
            "clock", Verdict.DOUBTFUL, "OpenNebula does not tell its time", "use NTP on both"
        )
    # What it tells is cut to the second.
    difference = there + 0.5 - now()
    if abs(difference) <= _CLOCK_SECONDS:
        return Finding("clock", Verdict.RIGHT, "OpenNebula's clock and this one agree")
    which = "ahead of" if difference > 0 else "behind"
    return Finding(
        "clock",
        Verdict.WRONG,
        f"OpenNebula's clock is {abs(difference):.0f} s {which} this one",
        "set both by NTP: starts that are counted from submission would be wrong by as much",
    )


# --- hosts --------------------------------------------------------------------------------


def _hosts(hosts: tuple[HostInfo, ...]) -> Iterator[Finding]:
    hosts = tuple(sorted(hosts, key=lambda host: host.id))
    usable = [host for host in hosts if host.usable]
    ready = [host for host in usable if host.cpu_percent > 0 and host.memory_mb > 0]
    if not ready:
        text = "there are none" if not hosts else f"none of the {len(hosts)} can be used"
        advice = "onehost create adds one" if not hosts else "see 'onehost list' for why"
        yield Finding("hosts", Verdict.WRONG, text, advice)
    else:
        cores = sum(host.cpu_percent for host in ready) / 100
        memory = sum(host.memory_mb for host in ready)
        yield Finding(
            "hosts",
            Verdict.RIGHT,
            f"{len(ready)} of {len(hosts)} can be used: {cores:g} cores, {memory} MB",
        )
    others = Counter(_state(host) for host in hosts if not host.usable)
    for state, count in sorted(others.items()):
        names = _names([host for host in hosts if not host.usable and _state(host) == state])
        yield Finding("hosts", Verdict.DOUBTFUL, f"{count} in state {state}: {names}")
    empty = [host for host in usable if host not in ready]
    if empty:
        yield Finding(
            "hosts",
            Verdict.DOUBTFUL,
            f"{len(empty)} have no capacity: {_names(empty)}",
            "they were not monitored yet, or all of it is reserved (RESERVED_CPU, RESERVED_MEM)",
        )


def _state(host: HostInfo) -> str:
    known = host.state in list(HostState)
    return HostState(host.state).name.lower().replace("_", " ") if known else str(host.state)


def _names(hosts: list[HostInfo]) -> str:
    more = len(hosts) - _NAMED
    names = ", ".join(host.name for host in hosts[:_NAMED])
    return f"{names} and {more} more" if more > 0 else names
