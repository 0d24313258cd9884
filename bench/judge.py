"""The exact answer to whether a promise can be made, found by a solver.

Nodes that have begun stay where they are; every other node that was promised may be put on
any host, for the time that it was promised. So the answer is *no* only where no assignment
of all of them leaves room: nobody who decides then does better without moving what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from haizea.core.model.hosts import EVERYWHERE, HostSet
from haizea.core.model.resources import Capacity

#: A question that takes longer is not decided; to be counted, not to be guessed. These are seconds
#: as the solver counts its work, about as long as others, and the same on every machine.
LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Node:
    """One node over ``[start, end)``; ``host`` is where it is, ``None`` where that is open.

    Nodes that share an ``apart`` name that is not empty need a host each.
    """

    start: int
    end: int
    size: Capacity
    host: int | None = None
    allowed: HostSet = EVERYWHERE
    apart: str = ""


def witness(
    capacities: Sequence[Capacity], nodes: Iterable[Node], seconds: float = LIMIT_SECONDS
) -> list[int] | None:
    """A host for each node, so that all fit; ``None`` if there is no such assignment.

    Raises :class:`TimeoutError` where that is not found out in ``seconds``.
    """
    nodes = list(nodes)
    if _too_much(capacities, nodes):
        return None
    easy = _first_fit(capacities, nodes)
    if easy is not None:
        return easy
    groups = _groups(nodes)
    model, counts = cp_model.CpModel(), list[dict[int, cp_model.IntVar]]()
    for group in groups:
        of_group = {
            host: model.new_int_var(0, group.most(capacity), "")
            for host, capacity in enumerate(capacities)
            if group.may_be_on(host)
        }
        model.add(sum(of_group.values()) == len(group.places))
        counts.append(of_group)
    for moment in _crowded(nodes):
        there = [i for i, g in enumerate(groups) if g.node.start <= moment < g.node.end]
        for host, capacity in enumerate(capacities):
            here = [(counts[i][host], groups[i].node) for i in there if host in counts[i]]
            _bound(model, capacity, here)
    solver = _decided(model, seconds)
    return None if solver is None else _dealt_out(solver, groups, counts, len(nodes))


@dataclass(frozen=True, slots=True)
class _Group:
    """Nodes, by their places, that are alike: the first of them stands for all."""

    node: Node
    places: list[int]

    def may_be_on(self, host: int) -> bool:
        """Tell whether some of them may be on the host."""
        if self.node.host is not None:
            return self.node.host == host
        return bool(self.node.allowed >> host & 1)

    def most(self, capacity: Capacity) -> int:
        """Return how many of them an empty host of this capacity has room for."""
        fit = [has // part for has, part in zip(capacity, self.node.size, strict=True) if part]
        return min([len(self.places), *fit, *([1] if self.node.apart else [])])


def _groups(nodes: Sequence[Node]) -> list[_Group]:
    """Put nodes that are alike together: only how many of them are where makes a difference."""
    groups: dict[Node, _Group] = {}
    for place, node in enumerate(nodes):
        groups.setdefault(node, _Group(node, [])).places.append(place)
    return list(groups.values())


def _crowded(nodes: Sequence[Node]) -> list[int]:
    """Return the moments at which there are most: who is there at another is there at one of these.

    Those are the last starts before somebody ends.
    """
    starts, ends = sorted({node.start for node in nodes}), sorted({node.end for node in nodes})
    return [
        start
        for start, following in zip(starts, [*starts[1:], ends[-1] + 1], strict=True)
        if any(start < end <= following for end in ends)
    ]


def _bound(
    model: cp_model.CpModel, capacity: Capacity, there: Sequence[tuple[cp_model.IntVar, Node]]
) -> None:
    """A host never has more on it than it has, at a moment at which these may be there.

    What takes more than half of it is alone among its like, and two halves fill it: that follows,
    but the solver is slow to find it out.
    """
    for kind, amount in enumerate(capacity):
        sizes = [(count, node.size[kind]) for count, node in there if node.size[kind]]
        model.add(sum([count * size for count, size in sizes]) <= amount)
        halves = [(count, (2 * size > amount) + (2 * size >= amount)) for count, size in sizes]
        model.add(sum([count * half for count, half in halves if half]) <= 2)
    for name in {node.apart for _, node in there if node.apart}:
        model.add(sum([count for count, node in there if node.apart == name]) <= 1)


def _dealt_out(
    solver: cp_model.CpSolver,
    groups: Sequence[_Group],
    counts: Sequence[dict[int, cp_model.IntVar]],
    nodes: int,
) -> list[int]:
    """A host for each node, where so many of each group are on each host."""
    found = [-1] * nodes
    for group, of_group in zip(groups, counts, strict=True):
        places = iter(group.places)
        for host, count in of_group.items():
            for _ in range(solver.value(count)):
                found[next(places)] = host
    return found


@dataclass(frozen=True, slots=True)
class Task:
    """Nodes of these sizes that run together for ``seconds``, from ``first`` to ``last`` at the
    latest; on ``hosts`` where they have begun, else on any."""

    first: int
    last: int
    seconds: int
    sizes: tuple[Capacity, ...]
    hosts: tuple[int, ...] | None = None


def can_be_kept(
    capacities: Sequence[Capacity], tasks: Iterable[Task], seconds: float = LIMIT_SECONDS
) -> bool:
    """Tell whether all tasks can run, each in its window.

    Raises :class:`TimeoutError` where that is not found out in ``seconds``.
    """
    model, tasks = cp_model.CpModel(), list(tasks)
    if len({*capacities, *(size for task in tasks for size in task.sizes)}) == 1:
        return _counts_suffice(model, len(capacities), tasks, seconds)
    on_host: list[list[tuple[cp_model.IntervalVar, Capacity]]] = [[] for _ in capacities]
    whole: list[tuple[cp_model.IntervalVar, Task]] = []
    for task in tasks:
        if task.first > task.last:
            return False
        start = model.new_int_var(task.first, task.last, "")
        whole.append((model.new_fixed_size_interval_var(start, task.seconds, ""), task))
        for place, size in enumerate(task.sizes):
            hosts = range(len(capacities)) if task.hosts is None else [task.hosts[place]]
            chosen = []
            for host in hosts:
                here = model.new_bool_var("")
                interval = model.new_optional_fixed_size_interval_var(start, task.seconds, here, "")
                on_host[host].append((interval, size))
                chosen.append(here)
            model.add_exactly_one(chosen)
    _bound_hosts(model, capacities, on_host)
    _bound_together(model, capacities, whole)
    return _decided(model, seconds) is not None


def _counts_suffice(
    model: cp_model.CpModel, hosts: int, tasks: Sequence[Task], seconds: float
) -> bool:
    """Tell the same of equal hosts that are taken whole: who has begun keeps them to its end."""
    intervals = []
    for task in tasks:
        if task.first > task.last:
            return False
        start = model.new_int_var(task.first, task.last, "")
        intervals.append(model.new_fixed_size_interval_var(start, task.seconds, ""))
    model.add_cumulative(intervals, [len(task.sizes) for task in tasks], hosts)
    return _decided(model, seconds) is not None


def _bound_hosts(
    model: cp_model.CpModel,
    capacities: Sequence[Capacity],
    on_host: Sequence[Sequence[tuple[cp_model.IntervalVar, Capacity]]],
) -> None:
    """No host ever has more on it than it has."""
    for host, there in enumerate(on_host):
        for kind, amount in enumerate(capacities[host]):
            wanted = [(interval, size[kind]) for interval, size in there if size[kind]]
            if wanted:
                intervals, amounts = zip(*wanted, strict=True)
                model.add_cumulative(intervals, amounts, amount)


def _bound_together(
    model: cp_model.CpModel,
    capacities: Sequence[Capacity],
    whole: Sequence[tuple[cp_model.IntervalVar, Task]],
) -> None:
    """All hosts together never have more on them than they have, nor more nodes as large as some.

    That follows, but the solver is slow to find it out.
    """
    intervals = [interval for interval, _ in whole]
    for kind, total in enumerate(map(sum, zip(*capacities, strict=True))):
        amounts = [sum([size[kind] for size in task.sizes]) for _, task in whole]
        model.add_cumulative(intervals, amounts, total)
        for least in {size[kind] for _, task in whole for size in task.sizes if size[kind]}:
            room = sum([capacity[kind] // least for capacity in capacities])
            counts = [sum([size[kind] >= least for size in task.sizes]) for _, task in whole]
            model.add_cumulative(intervals, counts, room)


def _too_much(capacities: Sequence[Capacity], nodes: Sequence[Node]) -> bool:
    """Tell whether more is asked for at some moment than all hosts together have."""
    for kind, total in enumerate(map(sum, zip(*capacities, strict=True))):
        for moment in {node.start for node in nodes}:
            if sum(n.size[kind] for n in nodes if n.start <= moment < n.end) > total:
                return True
    return False


def _first_fit(capacities: Sequence[Capacity], nodes: Sequence[Node]) -> list[int] | None:
    """An assignment that is easy to find, if there is one: most of the time there is."""
    order = sorted(
        range(len(nodes)), key=lambda i: (nodes[i].host is None, -nodes[i].size[0], nodes[i].start)
    )
    there: list[list[int]] = [[] for _ in capacities]
    found = [0] * len(nodes)
    for i in order:
        node = nodes[i]
        for host in range(len(capacities)):
            if (node.host is not None and node.host != host) or not node.allowed >> host & 1:
                continue
            if _fits(capacities[host], nodes, [*there[host], i], node):
                there[host].append(i)
                found[i] = host
                break
        else:
            return None
    return found


def _fits(capacity: Capacity, nodes: Sequence[Node], there: Sequence[int], new: Node) -> bool:
    over = [nodes[i] for i in there if nodes[i].start < new.end and nodes[i].end > new.start]
    if new.apart and sum(n.apart == new.apart for n in over) > 1:
        return False
    for moment in {new.start} | {n.start for n in over if n.start > new.start}:
        at = zip(*[n.size for n in over if n.start <= moment < n.end], strict=True)
        if any(sum(amounts) > most for amounts, most in zip(at, capacity, strict=True)):
            return False
    return True


def _decided(model: cp_model.CpModel, seconds: float) -> cp_model.CpSolver | None:
    """Return the solver with a solution, or ``None`` if there is no solution."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = seconds
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise TimeoutError(f"not decided in {seconds} s")
    return solver
