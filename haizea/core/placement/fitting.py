"""Finding hosts for nodes that may not run everywhere, together or apart.

Nodes that must be on one host are one *block*. Blocks with the fewest hosts are placed
first; one that finds no room has others, already placed, move out of its way one after
another, along the shortest such chain. That is exact where blocks are alike and may be
with each other, and where each needs a host of its own. Where they differ the question is
one of bin packing: what the chains do not find is searched for, up to a bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from haizea.core.model.hostrules import HostRules
from haizea.core.model.hosts import HostSet
from haizea.core.model.resources import Capacity, add, fits, subtract

#: So many pairs of block and host are tried in a search, a few milliseconds' worth.
_MOST_TRIES = 5000


class Block(NamedTuple):
    """Nodes that must be on one of ``hosts``, whole, and on none with a block of ``foes``.

    ``nodes`` are positions from 0, ``foes`` is a bit set of blocks' positions.
    """

    nodes: tuple[int, ...]
    capacity: Capacity
    hosts: HostSet
    foes: int


class Blocks:
    """All blocks of a lease."""

    __slots__ = ("_blocks", "_count", "_exact", "_order")

    def __init__(self, capacities: Sequence[Capacity], rules: HostRules) -> None:
        members = rules.blocks()
        block_of = {node: i for i, nodes in enumerate(members) for node in nodes}
        foes = [0] * len(members)
        for nodes in rules.apart:
            for i, node in enumerate(nodes):
                for other in nodes[:i]:
                    foes[block_of[node]] |= 1 << block_of[other]
                    foes[block_of[other]] |= 1 << block_of[node]
        self._count = len(capacities)
        self._blocks = [
            _block(nodes, capacities, rules, foes[i]) for i, nodes in enumerate(members)
        ]
        everyone = (1 << len(members)) - 1
        alike = len({block.capacity for block in self._blocks}) == 1 and not any(foes)
        alone = all(foe == everyone & ~(1 << i) for i, foe in enumerate(foes))
        self._exact = alike or alone

    @property
    def parts(self) -> Sequence[Block]:
        """The blocks, in the order of their first nodes."""
        return self._blocks

    def fit(self, order: Sequence[int], free: Mapping[int, Capacity]) -> tuple[int, ...] | None:
        """A host for each node, the first in ``order`` preferred; ``None`` if none are found.

        ``free`` is what each of the hosts has, and stays as it is. O(blocks² × hosts).
        """
        blocks = self._blocks
        if any(block.foes >> i & 1 for i, block in enumerate(blocks)):
            return None
        hosts = [
            [h for h in order if block.hosts >> h & 1 and fits(block.capacity, free[h])]
            for block in blocks
        ]
        sequence = sorted(
            range(len(blocks)), key=lambda i: (len(hosts[i]), -sum(blocks[i].capacity), i)
        )
        if not hosts[sequence[0]]:
            return None
        fitting = _Fitting(blocks, hosts, dict(free))
        if not fitting.by_chains(sequence):
            if self._exact:
                return None
            fitting = _Fitting(blocks, hosts, dict(free))
            if not fitting.by_search(sequence):
                return None
        chosen = [-1] * self._count
        for block, host in zip(blocks, fitting.host_of, strict=True):
            for node in block.nodes:
                chosen[node] = host
        return tuple(chosen)


class _Fitting:
    """Blocks on hosts, as far as it is now; ``host_of`` is -1 for a block on none."""

    def __init__(
        self, blocks: Sequence[Block], hosts: Sequence[Sequence[int]], free: dict[int, Capacity]
    ) -> None:
        self.host_of = [-1] * len(blocks)
        self._blocks = blocks
        self._hosts = hosts
        self._free = free
        self._on = dict.fromkeys(free, 0)

    def by_chains(self, sequence: Sequence[int]) -> bool:
        """Place all blocks, where need be by moving others; whether it was possible."""
        return all(self._make_way(block) for block in sequence)

    def by_search(self, sequence: Sequence[int]) -> bool:
        """Place all blocks by trying, in order, where each may be; whether a way was found."""
        tried = [0] * len(sequence)
        level = tries = 0
        while level < len(sequence):
            block = sequence[level]
            hosts = self._hosts[block]
            while tried[level] < len(hosts) and not self._has_room(block, hosts[tried[level]]):
                tried[level] += 1
                tries += 1
            if tries > _MOST_TRIES:
                return False
            if tried[level] < len(hosts):
                self._put(block, hosts[tried[level]])
                level += 1
                continue
            tried[level] = 0
            level -= 1
            if level < 0:
                return False
            self._take(sequence[level])
            tried[level] += 1
            tries += 1
        return True

    def _make_way(self, newcomer: int) -> bool:
        """Place a block; others move along the shortest chain that gives it room."""
        # Who would go where once whoever is asked about has left: the chain, backwards.
        after: dict[int, tuple[int, int]] = {}
        asked: set[int] = set()
        waiting = deque([newcomer])
        while waiting:
            block = waiting.popleft()
            here = self.host_of[block]
            for host in self._hosts[block]:
                if host != here and self._has_room(block, host):
                    return self._shift(block, host, after)
                if host in asked or host == here:
                    continue
                asked.add(host)
                for other in self._blocks_on(host):
                    if other not in after and self._has_room(block, host, without=other):
                        after[other] = block, host
                        waiting.append(other)
        return False

    def _shift(self, block: int, host: int, after: dict[int, tuple[int, int]]) -> bool:
        """Move ``block`` to ``host``, another to where it was, and so on; whether all fit."""
        moves = [(block, host)]
        while block in after:
            block, host = after[block]
            moves.append((block, host))
        for moved, _ in moves:
            if self.host_of[moved] >= 0:
                self._take(moved)
        for moved, to in moves:
            # One host may have got two of them, which was not foreseen.
            if not self._has_room(moved, to):
                return False
            self._put(moved, to)
        return True

    def _has_room(self, block: int, host: int, without: int | None = None) -> bool:
        there, free = self._on[host], self._free[host]
        if without is not None:
            there &= ~(1 << without)
            free = add(free, self._blocks[without].capacity)
        wanted = self._blocks[block]
        return not there & wanted.foes and fits(wanted.capacity, free)

    def _blocks_on(self, host: int) -> list[int]:
        there, found = self._on[host], []
        while there:
            low = there & -there
            found.append(low.bit_length() - 1)
            there ^= low
        return found

    def _put(self, block: int, host: int) -> None:
        self.host_of[block] = host
        self._on[host] |= 1 << block
        self._free[host] = subtract(self._free[host], self._blocks[block].capacity)

    def _take(self, block: int) -> None:
        host = self.host_of[block]
        self.host_of[block] = -1
        self._on[host] &= ~(1 << block)
        self._free[host] = add(self._free[host], self._blocks[block].capacity)


def _block(
    nodes: tuple[int, ...], capacities: Sequence[Capacity], rules: HostRules, foes: int
) -> Block:
    capacity, hosts = capacities[nodes[0]], rules.allowed[nodes[0]]
    for node in nodes[1:]:
        capacity = add(capacity, capacities[node])
        hosts &= rules.allowed[node]
    return Block(nodes, capacity, hosts, foes)
