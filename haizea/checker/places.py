"""Hosts that were chosen for the nodes of a lease are hosts that it could be given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from haizea.checker.history import History
from haizea.checker.records import HostRules, Records
from haizea.checker.violation import Rule, Violation


def places(records: Records, history: History) -> Iterator[Violation]:
    """Nodes on hosts that would not do; what is saved may go on where it is.

    So may what others take elsewhere while it runs, which in a simulation nobody does.
    """
    lease = history.lease
    rules = history.host_rules
    # One that started twice within a second stays where it started last.
    stays = dict(history.node_hosts)
    resumed = {phase.end for phase in history.phases.get("resume", ())}
    for time, hosts in history.node_hosts:
        if len(hosts) != lease.nodes:
            message = f"it has {lease.nodes} nodes, and hosts are recorded for {len(hosts)}"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
            continue
        run = history.phase("run", time)
        takes_time = run is not None and run.start < run.end and hosts == stays[time]
        if run is not None and takes_time and set(hosts) != set(run.use):
            message = "its nodes are recorded to be on other hosts than it holds"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
        if time in resumed or (history.goes_on(time) and not records.options.simulated):
            continue  # It was taken there while it ran, by others than the schedule.
        # Within one second nobody knows what came first.
        before = [rule for rule in rules if rule.time < time][-1:]
        known = [*before, *(rule for rule in rules if rule.time == time)]
        broken = [_broken(rule, hosts) for rule in known]
        if broken and all(broken):
            node, message = broken[-1] or (0, "")
            host = hosts[node] if hosts[node] in records.hosts else None
            yield Violation(Rule.HOSTS, lease.id, host, time, message)


def _broken(rules: HostRules, hosts: Sequence[int]) -> tuple[int, str] | None:
    """The first node that is where it may not be, and why; ``None`` if all is well."""
    alike = len(rules.allowed) == 1
    if not alike and len(rules.allowed) != len(hosts):
        return 0, f"there are rules for {len(rules.allowed)} nodes, and it has {len(hosts)}"
    for node, host in enumerate(hosts):
        if not rules.allowed[0 if alike else node] >> host & 1:
            return node, f"its node {node + 1} may not run there"
    for nodes in rules.together:
        for node in nodes:
            if hosts[node] != hosts[nodes[0]]:
                return node, f"its nodes {nodes[0] + 1} and {node + 1} are to be on one host"
    for nodes in rules.apart:
        taken: dict[int, int] = {}
        for node in nodes:
            other = taken.setdefault(hosts[node], node)
            if other != node:
                return node, f"its nodes {other + 1} and {node + 1} are to be on a host each"
    return None
