"""The hosts that will do for a lease: one set for all of its nodes, or rules node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from haizea.core.model.hosts import EVERYWHERE, HostSet, host_set


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """Rules for where each node of a lease may run; nodes are named by their position, from 0.

    ``allowed[i]`` are the hosts that will do for node *i*. The nodes of each set in
    ``together`` must be on one host, those of each set in ``apart`` on hosts of their own,
    which other nodes may share.
    """

    allowed: tuple[HostSet, ...]
    together: tuple[tuple[int, ...], ...] = ()
    apart: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        assert self.allowed, "a lease has nodes"
        named = (node for nodes in (*self.together, *self.apart) for node in nodes)
        assert all(0 <= node < len(self.allowed) for node in named), "rules are for its nodes"

    @property
    def anywhere(self) -> HostSet:
        """The hosts that will do for one node at least."""
        hosts = 0
        for some in self.allowed:
            hosts |= some
        return hosts

    def broken_by(self, hosts: Sequence[int]) -> Iterator[str]:
        """Tell what is wrong with the nodes being on these hosts, in words for people."""
        for node, (host, allowed) in enumerate(zip(hosts, self.allowed, strict=True)):
            if not allowed >> host & 1:
                yield f"node {node + 1} may not run on its host"
        for nodes in self.together:
            if len({hosts[node] for node in nodes}) > 1:
                yield f"nodes {_listed(nodes)} are not on one host"
        for nodes in self.apart:
            if len({hosts[node] for node in nodes}) < len(nodes):
                yield f"nodes {_listed(nodes)} are not on a host each"

    def blocks(self) -> list[tuple[int, ...]]:
        """The nodes in sets that must each be on one host, whole; most have one node."""
        block_of: dict[int, tuple[int, ...]] = {i: (i,) for i in range(len(self.allowed))}
        for nodes in self.together:
            joined = tuple(sorted({other for node in nodes for other in block_of[node]}))
            for node in joined:
                block_of[node] = joined
        return sorted(set(block_of.values()))


#: The hosts that will do for a lease: the same for every node, or not.
Allowed = HostSet | HostRules


def allowed_hosts(
    allowed: Sequence[HostSet],
    together: Iterable[Sequence[int]] = (),
    apart: Iterable[Sequence[int]] = (),
) -> Allowed:
    """The rules in their simplest form: one set of hosts, where that says it all.

    As in :class:`HostRules`.
    """
    united = tuple(tuple(nodes) for nodes in together if len(nodes) > 1)
    parted = tuple(tuple(nodes) for nodes in apart if len(nodes) > 1)
    if not united and not parted and len(set(allowed)) == 1:
        return allowed[0]
    return HostRules(allowed=tuple(allowed), together=united, apart=parted)


def by_node(allowed: Allowed, count: int) -> tuple[HostSet, ...]:
    """The hosts that will do for each of so many nodes, taken by itself."""
    return allowed.allowed if isinstance(allowed, HostRules) else (allowed,) * count


def on_hosts(allowed: Allowed, hosts: Sequence[HostSet]) -> Allowed:
    """The same rules, with other hosts for each node."""
    if isinstance(allowed, HostRules):
        return allowed_hosts(hosts, allowed.together, allowed.apart)
    return allowed_hosts(hosts)


def cliques(foes: Sequence[set[int]]) -> list[tuple[int, ...]]:
    """Sets of nodes, each to be kept apart, for who may not be with whom: ``foes[i]``.

    Every pair of foes is in one of the sets, and no other pair is. O(pairs × nodes).
    """
    found: list[tuple[int, ...]] = []
    covered: set[tuple[int, int]] = set()
    for node in range(len(foes)):
        for other in sorted(foe for foe in foes[node] if foe > node):
            if (node, other) in covered:
                continue
            clique = [node, other]
            common = foes[node] & foes[other]
            while common:
                joining = min(common)
                clique.append(joining)
                common &= foes[joining]
            clique.sort()
            covered.update(combinations(clique, 2))
            found.append(tuple(clique))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedRecord:
    """The hosts that will do for a lease, in a form that can be kept.

    ``sets`` are sets of hosts in hexadecimal, as bit sets: below 0 are all hosts but some.
    ``nodes[i]`` is the position in ``sets`` of the hosts of lease node *i* + 1; where it is
    empty, the first set is every node's. ``together`` and ``apart`` are as in
    :class:`HostRules`.
    """

    sets: tuple[str, ...]
    nodes: tuple[int, ...] = ()
    together: tuple[tuple[int, ...], ...] = ()
    apart: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        self.allowed()

    def allowed(self) -> Allowed:
        """Return what it stands for. (One for nothing cannot be made: ``ValueError``.)"""
        sets = [int(text, 16) for text in self.sets]
        if not all(0 <= node < len(sets) for node in self.nodes or (0,)):
            raise ValueError("it names a set of hosts that it does not have")
        if not self.nodes:
            return sets[0]
        allowed = tuple([sets[i] for i in self.nodes])
        return HostRules(allowed=allowed, together=self.together, apart=self.apart)


def allowed_record(allowed: Allowed) -> AllowedRecord | None:
    """The form to keep; ``None`` where all hosts will do."""
    if not isinstance(allowed, HostRules):
        return None if allowed == EVERYWHERE else AllowedRecord(sets=(f"{allowed:x}",))
    sets = list(dict.fromkeys(allowed.allowed))
    place = {hosts: i for i, hosts in enumerate(sets)}
    return AllowedRecord(
        sets=tuple([f"{hosts:x}" for hosts in sets]),
        nodes=tuple([place[hosts] for hosts in allowed.allowed]),
        together=allowed.together,
        apart=allowed.apart,
    )


def describe_allowed(record: AllowedRecord | None) -> str:
    """Describe the hosts that will do, for people, in a few words."""
    if record is None:
        return "all hosts will do"
    allowed = record.allowed()
    told = [f"{_counted(hosts)} will do" for hosts in by_node(allowed, 1)[:1]]
    if isinstance(allowed, HostRules):
        told = ["nodes have hosts of their own"] if len(record.sets) > 1 else told
        told += [f"nodes {_listed(nodes)} on one host" for nodes in allowed.together]
        told += [f"nodes {_listed(nodes)} on a host each" for nodes in allowed.apart]
    return "; ".join(told)


def permits(allowed: Allowed, hosts: Sequence[int]) -> bool:
    """Tell whether the nodes may be on these hosts."""
    if isinstance(allowed, HostRules):
        return next(allowed.broken_by(hosts), None) is None
    return not host_set(hosts) & ~allowed


def _counted(hosts: HostSet) -> str:
    if hosts < 0:
        return f"all hosts but {(~hosts).bit_count()}"
    return "1 host" if hosts.bit_count() == 1 else f"{hosts.bit_count()} hosts"


def _listed(nodes: Sequence[int]) -> str:
    return ", ".join(str(node + 1) for node in nodes)
