"""The index in the schedule of each host of OpenNebula, for ever.

An index is never used again. A host that is gone keeps its own, and is down; one that grew
is another host for the schedule, since capacities there do not change; one that shrank has
what it lost counted as used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from haizea.backends.opennebula.model.host import HostInfo, HostState
from haizea.core.model.events import (
    HostAdded,
    HostDrained,
    HostFailed,
    HostRestored,
    Input,
)
from haizea.core.model.hosts import Host
from haizea.core.model.reasons import BROKE, DRAINED, Code, Reason, because
from haizea.core.model.records import HostRecord
from haizea.core.model.resources import Capacity

_UP, _DRAINED, _DOWN = "up", "drained", "down"
NOT_ASKED = because(Code.NO_ANSWER_YET)


@dataclass(slots=True)
class Entry:
    """A host of the schedule: ``number`` is OpenNebula's, ``info`` what was seen last."""

    index: int
    number: int
    name: str
    capacity: Capacity
    replaced_by: int | None = None
    info: HostInfo | None = None
    status: str = _UP
    reason: Reason | None = None
    #: Since when it is in ERROR.
    failing: int | None = None


class HostTable:
    """The hosts by index. ``keep`` makes the table durable before anybody is told of it.

    It says whether it could; where not, new hosts wait.

    ``grace_seconds`` is how long a host may be in ERROR before what runs there counts as
    lost: a monitoring that failed once is no dead host.
    """

    def __init__(self, kept: str | None, keep: Callable[[str], bool], grace_seconds: int) -> None:
        self._keep = keep
        self._grace_seconds = grace_seconds
        self.entries: list[Entry] = []
        #: The index of each host that is there, by OpenNebula's number.
        self.current: dict[int, int] = {}
        for index, row in enumerate(json.loads(kept) if kept else []):
            number, name, cpu, memory, replaced_by = row
            entry = Entry(index, number, name, (cpu, memory), replaced_by)
            self.entries.append(entry)
            self.current[number] = index

    def hosts(self) -> tuple[Host, ...]:
        """All hosts as the schedule has them."""
        return tuple(self._host(entry) for entry in self.entries)

    def restore(self, statuses: Iterable[HostRecord]) -> None:
        """Take up what the schedule already knows of the hosts."""
        for record in statuses:
            if record.host < len(self.entries):
                entry = self.entries[record.host]
                entry.status, entry.reason = record.status, record.reason

    def drain_all(self) -> list[Input]:
        """Nothing new is to be started anywhere, as nobody knows how the hosts are."""
        return [
            change
            for entry in self.entries
            if entry.status == _UP
            for change in self._change(entry, _DRAINED, NOT_ASKED)
        ]

    def update(self, now: int, hosts: Iterable[HostInfo]) -> list[Input]:
        """Take notice of all hosts that there are; what the schedule has to be told."""
        seen = {host.id: host for host in hosts}
        added = self._add(seen)
        for entry in self.entries:
            entry.info = seen.get(entry.number)
        return [*added, *self.review(now)]

    def see(self, now: int, host: HostInfo) -> list[Input]:
        """Take notice of one host."""
        added = self._add({host.id: host})
        for entry in self.entries:
            if entry.number == host.id:
                entry.info = host
        return [*added, *self.review(now)]

    def review(self, now: int) -> list[Input]:
        """Return what the schedule has to be told because it is ``now``."""
        changes: list[Input] = []
        for entry in self.entries:
            changes += self._change(entry, *self._wanted(entry, now))
        # What has to leave a host is not to go to one of which worse is still to be told.
        return sorted(changes, key=lambda change: isinstance(change, HostFailed))

    def next_review(self) -> int | None:
        """The next moment when a host in ERROR counts as dead."""
        failing = [
            entry.failing + self._grace_seconds
            for entry in self.entries
            if entry.failing is not None and entry.status != _DOWN
        ]
        return min(failing, default=None)

    def info(self, number: int | None) -> HostInfo | None:
        """Return what was last seen of the host with OpenNebula's ``number``, if it is there."""
        index = None if number is None else self.current.get(number)
        return None if index is None else self.entries[index].info

    def lost(self, entry: Entry) -> Capacity:
        """The capacity that a usable host has lost since it was entered."""
        info = entry.info
        if info is None or not info.usable:
            return (0, 0)  # One that is off shows nothing, and will have it when it is back.
        cpu, memory = entry.capacity
        return (max(0, cpu - info.cpu_percent), max(0, memory - info.memory_mb))

    def _add(self, seen: dict[int, HostInfo]) -> list[Input]:
        """New hosts, and those that grew, get an index of their own, durable at once."""
        fresh: list[Entry] = []
        for number in sorted(seen):
            info = seen[number]
            if not info.cpu_percent or not info.memory_mb:
                continue  # It was not monitored yet, or everything is reserved.
            known = self.current.get(number)
            if known is not None and not _grew(self.entries[known], info):
                continue
            index = len(self.entries) + len(fresh)
            times = sum(entry.number == number for entry in self.entries)
            name = f"{info.name}#{times + 1}" if times else info.name
            fresh.append(Entry(index, number, name, (info.cpu_percent, info.memory_mb)))
        if not fresh:
            return []
        replaced = [self.current[e.number] for e in fresh if e.number in self.current]
        rows = [self._row(entry) for entry in [*self.entries, *fresh]]
        for old in replaced:
            rows[old][4] = next(e.index for e in fresh if e.number == self.entries[old].number)
        if not self._keep(json.dumps(rows)):
            return []
        for entry in fresh:
            before = self.current.get(entry.number)
            if before is not None:
                self.entries[before].replaced_by = entry.index
            self.current[entry.number] = entry.index
            self.entries.append(entry)
        return [HostAdded(self._host(entry)) for entry in fresh]

    def _wanted(self, entry: Entry, now: int) -> tuple[str, Reason | None]:
        """The status that a host should have for the schedule, and the reason."""
        info = entry.info
        if info is None:
            return _DOWN, because(Code.NO_SUCH_HOST)
        if info.state not in (HostState.ERROR, HostState.MONITORING_ERROR):
            entry.failing = None
        elif entry.failing is None:
            entry.failing = now
        if entry.failing is not None:
            why = because(Code.NOT_MONITORED)
            if info.error:
                why = because(Code.MONITORING_FAILED, text=info.error[:200])
            gone = now - entry.failing >= self._grace_seconds
            return (_DOWN if gone or entry.status == _DOWN else _DRAINED), why
        if entry.replaced_by is not None:
            return _DRAINED, because(Code.HAS_GROWN, host=self.entries[entry.replaced_by].name)
        if not info.usable:
            return _DRAINED, because(Code.HOST_STATE, text=_state_name(info.state))
        return _UP, None

    def _change(self, entry: Entry, status: str, reason: Reason | None) -> list[Input]:
        before, entry.status = entry.status, status
        if before == status:
            return []
        entry.reason = reason
        match status:
            case "up":
                return [HostRestored(entry.index)]
            case "down":
                return [HostFailed(entry.index, reason or BROKE)]
            case _:
                back: list[Input] = [HostRestored(entry.index)] if before == _DOWN else []
                return [*back, HostDrained(entry.index, reason or DRAINED)]

    def _host(self, entry: Entry) -> Host:
        return Host(entry.index, entry.name, entry.capacity)

    def _row(self, entry: Entry) -> list[int | str | None]:
        return [entry.number, entry.name, *entry.capacity, entry.replaced_by]


def _grew(entry: Entry, info: HostInfo) -> bool:
    return info.cpu_percent > entry.capacity[0] or info.memory_mb > entry.capacity[1]


def _state_name(state: int) -> str:
    if state in list(HostState):
        return HostState(state).name.lower().replace("_", " ")
    return f"in state {state}"
