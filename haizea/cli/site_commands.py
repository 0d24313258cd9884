"""Commands about the site and the service: queue, hosts, status."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

import click

from haizea.cli.client import ServiceProblem
from haizea.cli.help import HELP
from haizea.cli.options import limit_option
from haizea.cli.session import ServiceCommand, Session
from haizea.cli.tables import Column, bar, clean, coloured, listing, table, terminal_width
from haizea.cli.words import (
    duration_in_words,
    local,
    node_count,
    reason_in_words,
    when,
)


@click.command("queue", cls=ServiceCommand, context_settings=HELP)
@limit_option("the first")
def show_queue(session: Session, limit: int) -> None:
    """Show the queue: who waits, in which place, and when it is expected to start.

    A start that is reserved is shown as it is, one that is only expected with ~ before it.
    With a user's token, the places of one's own leases.
    """
    columns = [
        Column("PLACE", right=True),
        Column("LEASE", right=True),
        Column("OWNER", flexible=True),
        Column("STATE", coloured=True),
        Column("NODES", right=True),
        Column("DURATION"),
        Column("EXPECTED"),
        Column("REASON", flexible=True),
    ]
    session.show_list("queue", {}, limit, columns, _queue_row, "Nothing waits.")


def _queue_row(entry: Any, zone: tzinfo) -> list[object]:
    lease = entry["lease"]
    expected = local(entry["expected"], zone)
    return [
        entry["place"],
        lease["id"],
        lease["owner"],
        lease["state"],
        node_count(lease),
        duration_in_words(lease["duration"]),
        expected if expected is None or entry["exact"] else f"~{expected}",
        reason_in_words(lease, zone),
    ]


@click.command("hosts", cls=ServiceCommand, context_settings=HELP)
def list_hosts(session: Session) -> None:
    """List the hosts: how they are, what is in use on them now, and the leases there.

    Of each resource, what is in use of what there is. CPU is percent of a core, Memory is
    MB. OTHERS is the part of it that no lease holds: VMs beside Haizea's, for example.
    With a user's token, LEASES are one's own. Where other rates than the configured
    ones were learned of a host, SUSPENDS and RESUMES show them. MAINTENANCE is when the host is
    out of use next, and the window's number. Below stands how long
    copying images, booting and ending VMs take, as was learned, and what is planned for it.
    """
    answer = session.client.get("/v1/hosts")
    hosts = session.for_people(answer, "hosts", "There are no hosts.")
    if not hosts:
        return
    types = list(dict.fromkeys(name for host in hosts for name in host["resources"]))
    with_rates = any(host["suspend_rate"] or host["resume_rate"] for host in hosts)
    maintained = _maintained(session)
    columns = [
        Column("HOST", flexible=True),
        Column("STATUS", coloured=True),
        *(Column(name.upper(), right=True) for name in types),
        Column("IN USE"),
        Column("OTHERS", flexible=True, optional=True),
        Column("LEASES", flexible=True),
        *([Column("SUSPENDS", right=True), Column("RESUMES", right=True)] if with_rates else []),
        Column("MAINTENANCE", optional=True),
        Column("REASON", flexible=True, optional=True),
    ]
    rows = [
        [
            host["name"],
            host["status"],
            *(_use(host, name) for name in types),
            bar(_fullest(host)),
            _others(host) or None,
            ", ".join(str(lease) for lease in host["leases"]),
            *([_rate(host["suspend_rate"]), _rate(host["resume_rate"])] if with_rates else []),
            maintained.get(host["name"]),
            host["reason"],
        ]
        for host in hosts
    ]
    click.echo(table(columns, rows, terminal_width()))
    if answer["learned"]:
        click.echo(f"\n{_learned_table(answer['learned'])}")


def _maintained(session: Session) -> dict[str, str]:
    """Return when hosts are out of use next, in words, by name; only those that will be."""
    windows = session.client.get("/v1/maintenance")["maintenance"]
    found: dict[str, str] = {}
    for window in sorted(windows, key=lambda window: datetime.fromisoformat(window["start"])):
        for name in window["hosts"]:
            if name in window["out"]:
                end = local(window["end"], session.zone)
                times = "now" if end is None else f"until {end}"
            elif window["status"] == "begun":
                times = "when it is empty"
            else:
                times = f"from {local(window['start'], session.zone)}"
            found.setdefault(name, f"{times} ({window['id']})")
    return found


def _learned_table(learned: list[Any]) -> str:
    columns = [
        Column("LEARNED", flexible=True),
        Column("TIMES", right=True),
        Column("USUALLY", right=True),
        Column("PLANNED", right=True),
    ]
    rows = [
        [
            f"{one['operation']} {clean(one['of'])}"
            + (f", {one['size_mb']} MB" if one["size_mb"] else ""),
            str(one["times"]),
            f"{one['usual_seconds']} s",
            f"{one['planned_seconds']} s",
        ]
        for one in learned
    ]
    return table(columns, rows, terminal_width())


def _use(host: Any, name: str) -> str | None:
    if name not in host["resources"]:
        return None
    return f"{host['used'].get(name, 0)}/{host['resources'][name]}"


def _others(host: Any) -> str:
    """``CPU:100 Memory:512``, what others than leases use of a host; empty if nothing."""
    return " ".join(f"{name}:{amount}" for name, amount in host["others"].items() if amount)


def _rate(rate_mb_s: float | None) -> str | None:
    return None if rate_mb_s is None else f"{rate_mb_s:g} MB/s"


def _fullest(host: Any) -> float:
    """The share in use of the resource that is scarcest on a host."""
    used = host["used"]
    return max(
        (used.get(name, 0) / all_ for name, all_ in host["resources"].items() if all_ > 0),
        default=0.0,
    )


@click.command("status", cls=ServiceCommand, context_settings=HELP)
def status(session: Session) -> None:
    """Show how the service is, and what your token allows.

    Exit status: 0 if all is well, 1 if the service is not healthy or cannot be asked.
    """
    found = session.client.get("/v1/status")
    if session.as_json:
        session.print_json(found)
    else:
        click.echo(_status_in_words(session, found))
    if not found["healthy"]:
        raise click.exceptions.Exit(ServiceProblem.exit_code)


def _status_in_words(session: Session, found: Any) -> str:
    now, zone = session.now, session.zone
    leases = ", ".join(f"{count} {clean(state)}" for state, count in found["leases"].items())
    health = coloured("yes") if found["healthy"] else coloured("not healthy")
    problem = clean(found["problem"])
    entries = [
        ("Service", str(session.client.server)),
        ("Healthy", health + (f": {problem}" if problem else "")),
        ("Version", clean(found["version"])),
        ("Since", when(found["started"], now, zone)),
        ("Its time", local(found["now"], zone)),
        ("Decided", found["last_turn"] and when(found["last_turn"], now, zone)),
        ("Leases", leases or "none"),
        ("Queue", f"{found['queue_length']} waiting"),
        ("Backend", clean(found["backend"])),
        ("Store", clean(found["store"])),
        ("You are", f"{clean(found['owner'])}, {clean(found['role'])}"),
    ]
    return listing(entries, 10, terminal_width())
