"""The command that changes a lease."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from haizea.cli.client import Body, ServiceProblem
from haizea.cli.errors import unanswered
from haizea.cli.help import HELP
from haizea.cli.lease_commands import LEASE_ID
from haizea.cli.options import ParsedOption
from haizea.cli.request_command import parse_cpu, parse_megabytes
from haizea.cli.session import ServiceCommand, Session
from haizea.cli.words import duration_in_words, local, reason_in_words
from haizea.core.model.reasons import Code
from haizea.times.durations import parse_duration

_SPAN = ParsedOption("duration", parse_duration)
_UNLIMITED = "unlimited"


def _duration(text: str) -> int | str:
    return _UNLIMITED if text.strip().lower() == _UNLIMITED else parse_duration(text)


@click.command("change", cls=ServiceCommand, context_settings=HELP)
@click.argument("lease_id", metavar="LEASE", type=LEASE_ID)
@click.option("--extend", type=_SPAN, metavar="DURATION", help="Let it run for so much longer.")
@click.option("--shorten", type=_SPAN, metavar="DURATION", help="Let it run for so much less.")
@click.option(
    "-d",
    "--duration",
    type=ParsedOption("duration", _duration),
    metavar="DURATION",
    help="Its duration in all, or 'unlimited'.",
)
@click.option("-t", "--start", metavar="TIME", help="Another start of an advance reservation.")
@click.option("--deadline", metavar="TIME", help="Another deadline of a lease that has one.")
@click.option("--after", metavar="TIME", help="Not to begin before then, of such a lease.")
@click.option("-n", "--nodes", type=click.IntRange(1), help="Number of nodes.")
@click.option(
    "-c", "--cpu", type=ParsedOption("cpu", parse_cpu), metavar="CPU", help="CPU of each node."
)
@click.option(
    "-m",
    "--memory",
    type=ParsedOption("memory", parse_megabytes),
    metavar="MEMORY",
    help="Memory of each node.",
)
@click.option(
    "--preemptible/--non-preemptible", default=None, help="Permit suspending it for others."
)
@click.option("--dry-run", is_flag=True, help="Tell what would come of it, and change nothing.")
def change_lease(
    session: Session,
    lease_id: int,
    extend: int | None,
    shorten: int | None,
    duration: int | str | None,
    start: str | None,
    deadline: str | None,
    after: str | None,
    nodes: int | None,
    cpu: int | None,
    memory: int | None,
    preemptible: bool | None,
    dry_run: bool,
) -> None:
    """Change the lease with the number LEASE, as a whole or not at all.

    Of a lease that runs, its end can change, and whether it is preemptible. Where the change is
    refused, everything stays as it was, and the nearest that would do is told.

    \b
    Examples:
      haizea change 17 --extend 2h
      haizea change 17 --extend 8h --dry-run
      haizea change 18 --start 'friday 9:00' --nodes 4
    """
    sizes = {name: v for name, v in (("CPU", cpu), ("Memory", memory)) if v is not None}
    sets, seen = _nodes(session, lease_id, nodes, sizes)
    asked: dict[str, Any] = {
        "extend": extend,
        "shorten": shorten,
        "duration": duration,
        "preemptible": preemptible,
        "start": session.moment(start, "--start"),
        "deadline": session.moment(deadline, "--deadline"),
        "after": session.moment(after, "--after"),
        "nodes": sets,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        raise click.UsageError("Say what to change: --extend, --shorten, --duration, --start, ...")
    path = f"/v1/leases/{lease_id}"
    query = {"preview": "true"} if dry_run else {}
    maybe = f"it may have been changed; see 'haizea show {lease_id}'"
    with nullcontext() if dry_run else unanswered(maybe):
        answer = session.client.ask(
            "PATCH", path, query=query, body=Body.of(asked), headers=seen, accept=(409,)
        )
    if session.as_json:
        session.print_json(answer.body)
    else:
        _tell(session, answer.body, dry_run)
    if not answer.body["granted"]:
        raise click.exceptions.Exit(ServiceProblem.exit_code)


def _nodes(
    session: Session, lease_id: int, count: int | None, sizes: dict[str, int]
) -> tuple[list[dict[str, Any]] | None, dict[str, str]]:
    """Equal nodes, as many and as large as before where nothing else is said.

    With them comes the header that has the change refused where they were changed meanwhile.
    """
    if count is None and not sizes:
        return None, {}
    answer = session.client.ask("GET", f"/v1/leases/{lease_id}")
    before = answer.body["nodes"]
    if len(before) > 1:
        raise click.UsageError("Its nodes differ: this command changes equal nodes only")
    wanted = {
        "count": before[0]["count"] if count is None else count,
        "resources": {**before[0]["resources"], **sizes},
    }
    return [wanted], {"If-Match": answer.tag or "*"}


def _tell(session: Session, answer: Any, dry_run: bool) -> None:
    lease = answer["lease"]
    if answer["granted"]:
        end = local(lease["planned_end"], session.zone)
        until = f", until {end}" if end else ""
        if lease["reason_code"] == Code.GOES_ON_IN_TIME and not dry_run:
            # It ends long after it leaves its hosts for another.
            until = f"; {reason_in_words(lease, session.zone)}"
        became = "could be changed" if dry_run else "is changed"
        nothing = " Nothing has changed." if dry_run else ""
        click.echo(
            f"Lease {lease['id']} {became}: {duration_in_words(lease['duration'])} in all{until}."
            f"{nothing}"
        )
        return
    click.echo(f"Error: {reason_in_words(answer, session.zone)}. Nothing has changed.", err=True)
    offer = local(answer["offer"], session.zone)
    if offer:
        windowed = lease.get("deadline") is not None
        what = "The nearest deadline" if windowed else "The nearest start"
        what = "The latest end" if lease["state"] == "Active" else what
        latest = local(answer.get("offer_until"), session.zone)
        time_left = f"; it can be asked for until {latest}" if latest else ""
        click.echo(f"{what} that would do: {offer}{time_left}", err=True)
