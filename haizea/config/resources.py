"""Notation of hosts and capacities in the file: ``4 CPU:100 Memory:1024``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from haizea.config.values import ValueType
from haizea.core.model.hosts import Host, Site
from haizea.core.model.resources import ResourceTypes

#: Amounts by resource type, in the order of the file.
Amounts = tuple[tuple[str, int], ...]

#: What the file says where the workload defines the site.
IN_TRACEFILE = "in-tracefile"

#: Every site has these types, and they come first.
BASIC_TYPES = ("CPU", "Memory")

MAX_HOSTS = 100_000

_AMOUNT = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31}):(\d{1,12})", re.ASCII)
_GROUP = re.compile(r"(\d{1,9})\s+(.+)", re.ASCII)


@dataclass(frozen=True)
class HostGroup:
    """``count`` equal hosts, each with these amounts."""

    count: int
    amounts: Amounts


def parse_amounts(text: str) -> Amounts:
    """``CPU:100 Memory:1024`` → ``(("CPU", 100), ("Memory", 1024))``.

    Raises :class:`ValueError` where it is something else or a type is named twice.
    """
    amounts: dict[str, int] = {}
    for part in text.split():
        match = _AMOUNT.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not type:amount, such as CPU:100")
        if match[1] in amounts:
            raise ValueError(f"{match[1]} is named twice in {text!r}")
        amounts[match[1]] = int(match[2])
    return tuple(amounts.items())


def format_amounts(amounts: Amounts) -> str:
    """The text that :func:`parse_amounts` reads."""
    return " ".join(f"{name}:{amount}" for name, amount in amounts)


@dataclass(frozen=True)
class CapacityValue(ValueType):
    """Amounts of resources."""

    def parse(self, text: str) -> Amounts:
        return parse_amounts(text)

    def format(self, value: Amounts) -> str:
        return format_amounts(value)

    def describe(self) -> str:
        return "amounts by resource type, such as CPU:100 Memory:1024 (100 CPU is one core, MB)"


@dataclass(frozen=True)
class HostsValue(ValueType):
    """Groups of equal hosts; none for ``in-tracefile``."""

    def parse(self, text: str) -> tuple[HostGroup, ...]:
        if text.lower() == IN_TRACEFILE:
            return ()
        groups = tuple(self._group(part.strip()) for part in text.split(";"))
        count = sum(group.count for group in groups)
        if count > MAX_HOSTS:
            raise ValueError(f"{count} hosts are too many: at most {MAX_HOSTS}")
        return groups

    def _group(self, text: str) -> HostGroup:
        match = _GROUP.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not hosts: write how many and what each has,"
                f" such as 4 CPU:100 Memory:1024, or {IN_TRACEFILE}"
            )
        group = HostGroup(int(match[1]), parse_amounts(match[2]))
        if group.count == 0:
            raise ValueError(f"{text!r} has no hosts: write at least 1")
        amounts = dict(group.amounts)
        for name in BASIC_TYPES:
            if amounts.get(name, 0) == 0:
                raise ValueError(f"{text!r} lacks {name}, which every host has: add {name}:AMOUNT")
        return group

    def format(self, value: tuple[HostGroup, ...]) -> str:
        groups = [f"{g.count} {format_amounts(g.amounts)}" for g in value]
        return "; ".join(groups) if groups else IN_TRACEFILE

    def describe(self) -> str:
        return (
            "how many hosts and what each has, such as 4 CPU:100 Memory:1024"
            f" (several groups separated by ;), or {IN_TRACEFILE}"
        )


def make_site(groups: tuple[HostGroup, ...]) -> Site:
    """The site of these hosts, called ``host-1``, ``host-2``, … through the groups.

    Its resource types are CPU and Memory, then the others in the order they are named.
    """
    named = [name for group in groups for name, _ in group.amounts]
    types = ResourceTypes(tuple(dict.fromkeys([*BASIC_TYPES, *named])))
    capacities = [types.capacity(dict(g.amounts)) for g in groups for _ in range(g.count)]
    hosts = tuple(Host(i, f"host-{i + 1}", capacity) for i, capacity in enumerate(capacities))
    return Site(types, hosts)
