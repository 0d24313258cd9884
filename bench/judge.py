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

#: A question that takes longer is not decided; to be counted, not to be guessed.
LIMIT_SECONDS = 3.0


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
    model = cp_model.CpModel()
    literals: list[list[cp_model.IntVar | None]] = []
    on_host: list[list[tuple[cp_model.IntervalVar, Capacity]]] = [[] for _ in capacities]
    apart: dict[tuple[str, int], list[cp_model.IntVar]] = {}
    for node in nodes:
        places: list[cp_model.IntVar | None] = []
        length = node.end - node.start
        for host in range(len(capacities)):
            fixed_here = node.host == host
            may = fixed_here or (node.host is None and node.allowed >> host & 1)
            if not may:
                places.append(None)
                continue
            here = model.new_bool_var("")
            interval = model.new_optional_fixed_size_interval_var(node.start, length, here, "")
            on_host[host].append((interval, node.size))
            places.append(here)
            if node.apart:
                apart.setdefault((node.apart, host), []).append(here)
        model.add_exactly_one([place for place in places if place is not None])
        literals.append(places)
    _bound_hosts(model, capacities, on_host)
    for together in apart.values():
        model.add_at_most_one(together)
    return _solved(model, literals, seconds)


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
    if {*capacities} == {size for task in tasks for size in task.sizes}:
        return _counts_suffice(model, len(capacities), tasks, seconds)
    on_host: list[list[tuple[cp_model.IntervalVar, Capacity]]] = [[] for _ in capacities]
    for task in tasks:
        if task.first > task.last:
            return False
        start = model.new_int_var(task.first, task.last, "")
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


def _solved(
    model: cp_model.CpModel, literals: list[list[cp_model.IntVar | None]], seconds: float
) -> list[int] | None:
    solver = _decided(model, seconds)
    if solver is None:
        return None
    return [
        next(h for h, here in enumerate(places) if here is not None and solver.value(here))
        for places in literals
    ]


def _decided(model: cp_model.CpModel, seconds: float) -> cp_model.CpSolver | None:
    """Return the solver with a solution, or ``None`` if there is no solution."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_time_in_seconds = seconds
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise TimeoutError(f"not decided in {seconds} s")
    return solver
