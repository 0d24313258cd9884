"""Commands about leases that were asked for: list, show, cancel."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import click

from haizea.cli.client import Refusal, ServiceProblem, error_of
from haizea.cli.help import HELP
from haizea.cli.options import ParsedOption, limit_option
from haizea.cli.session import PAST_MOMENT, ServiceCommand, Session
from haizea.cli.tables import Column, coloured, listing, table, terminal_width
from haizea.cli.words import (
    duration_in_words,
    hosts_in_words,
    in_utc,
    local,
    moment_of,
    node_count,
    nodes_in_words,
    ranges_in_words,
    reason_in_words,
    start_in_short,
    when,
)
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import FINAL, State

_MOST_ID = (1 << 53) - 1


def _lease_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and 1 <= int(text) <= _MOST_ID):
        raise ValueError(f"{text!r} is not the number of a lease: 'haizea list' shows them")
    return int(text)


LEASE_ID = ParsedOption("LEASE", _lease_id)


@click.command("list", cls=ServiceCommand, context_settings=HELP)
@click.option(
    "--state",
    "states",
    type=click.Choice([s.value for s in State], case_sensitive=False),
    multiple=True,
    metavar="STATE",
    help="Only leases in this state; may be repeated. Final states imply --all.",
)
@click.option("--owner", metavar="NAME", help="Only leases of this owner.")
@click.option("--mine", is_flag=True, help="Only leases of the owner of the token.")
@click.option(
    "--kind", type=click.Choice([k.value for k in Kind]), help="Only leases of this kind."
)
@click.option("--label", metavar="TEXT", help="Only leases with this label.")
@click.option(
    "--since",
    type=PAST_MOMENT,
    help="Only leases submitted then or later: -1h, yesterday, 'monday 9:00' (the last one).",
)
@click.option("--until", type=PAST_MOMENT, help="Only leases submitted before.")
@click.option("-a", "--all", "finished", is_flag=True, help="Finished leases as well.")
@limit_option("the newest")
def list_leases(
    session: Session,
    states: tuple[str, ...],
    owner: str | None,
    mine: bool,
    kind: str | None,
    label: str | None,
    since: str | None,
    until: str | None,
    finished: bool,
    limit: int,
) -> None:
    """List leases, the newest first.

    START is when a lease runs, or ~ when it is expected to.

    \b
    Examples:
      haizea list
      haizea list --mine --all --limit 10
      haizea list --state Queued --state Suspended-Queued
      haizea list --all --since 'monday 0:00' --output json
    """
    if mine and owner is not None:
        raise click.UsageError("--mine and --owner NAME do not go together.")
    if mine:
        owner = session.client.get("/v1/status")["owner"]
    query = {
        "state": states,
        "owner": owner,
        "kind": kind,
        "label": label,
        "since": in_utc(session.past_moment(since, "--since")),
        "until": in_utc(session.past_moment(until, "--until")),
        "all": "true" if finished or {State(s) for s in states} & FINAL else None,
        "order": "newest",
    }
    none = "There are no such leases." if finished or states else "There are no leases."
    columns = [
        Column("ID", right=True),
        Column("LABEL", flexible=True, optional=True),
        Column("OWNER", flexible=True),
        Column("KIND"),
        Column("STATE", coloured=True),
        Column("NODES", right=True),
        Column("VMS", flexible=True, optional=True),
        Column("START"),
        Column("DURATION"),
        Column("REASON", flexible=True),
    ]
    session.show_list("leases", query, limit, columns, _lease_row, none)


def _lease_row(lease: Any, zone: tzinfo) -> list[object]:
    return [
        lease["id"],
        lease["label"],
        lease["owner"],
        lease["kind"],
        lease["state"],
        node_count(lease),
        _names(lease) or None,
        start_in_short(lease, zone),
        duration_in_words(lease["duration"]),
        reason_in_words(lease, zone),
    ]


def _names(lease: Any) -> str:
    """The VMs of a lease, in short; a service of before does not tell them."""
    return ranges_in_words(lease.get("names", ()))


# --- show -----------------------------------------------------------------------------------


@click.command("show", cls=ServiceCommand, context_settings=HELP)
@click.argument("lease_id", metavar="LEASE", type=LEASE_ID)
def show_lease(session: Session, lease_id: int) -> None:
    """Show the lease with the number LEASE: what it asks for, its reservations, its story.

    \b
    Example:
      haizea show 17
    """
    lease = session.client.get(f"/v1/leases/{lease_id}")
    if session.as_json:
        session.print_json(lease)
        return
    click.echo(_description(session, lease))
    for title, text in (("Reservations", _reservations), ("Story", _story)):
        shown = text(session, lease)
        if shown:
            click.echo(f"\n{title}\n{shown}")


def _kind_in_words(lease: Any) -> str:
    preemptible = ", preemptible" if lease["preemptible"] else ""
    fixed = ", fixed hosts" if lease["fixed_hosts"] else ""
    return f"{lease['kind']}{preemptible}{fixed}"


def _description(session: Session, lease: Any) -> str:
    now, zone = session.now, session.zone
    reason = reason_in_words(lease, zone)
    image = lease["image"]
    entries: list[tuple[str, str | None]] = [
        ("Lease", f"{lease['id']} {lease['label']}".strip()),
        ("Owner", lease["owner"]),
        ("State", coloured(lease["state"]) + (f": {reason}" if reason else "")),
        ("Since", when(lease["changed"], now, zone)),
        ("Kind", _kind_in_words(lease)),
        ("Nodes", nodes_in_words(lease)),
        ("VMs", _names(lease) or None),
        ("Image", None if image is None else f"{image['name']} ({image['size_mb']} MB)"),
        ("Duration", _duration(lease)),
        ("Submitted", when(lease["submitted"], now, zone)),
        ("Asked for", lease["start"] and when(lease["start"], now, zone)),
        ("Not before", lease.get("after") and when(lease["after"], now, zone)),
        ("Done by", lease.get("deadline") and when(lease["deadline"], now, zone)),
        ("Runs", _runs(session, lease)),
        ("Expected", lease["expected"] and when(lease["expected"], now, zone)),
        ("Hosts", hosts_in_words(lease["hosts"]) or None),
    ]
    return listing(entries, 12, terminal_width())


def _duration(lease: Any) -> str:
    text = duration_in_words(lease["duration"])
    ran = lease["ran"]
    return f"{text}, of which it ran {duration_in_words(ran)}" if ran else text


def _runs(session: Session, lease: Any) -> str | None:
    if lease["planned_start"] is None:
        return None
    start = when(lease["planned_start"], session.now, session.zone)
    if lease["planned_end"] is None:
        return f"{start}, without end"
    return f"{start} to {when(lease['planned_end'], session.now, session.zone)}"


def _reservations(session: Session, lease: Any) -> str:
    columns = [
        Column("PURPOSE"),
        Column("WHEN"),
        Column("START"),
        Column("END"),
        Column("HOSTS", flexible=True),
    ]
    rows = [
        [
            reservation["purpose"],
            reservation["when"] + ("" if reservation["firm"] else ", may move"),
            local(reservation["start"], session.zone),
            local(reservation["end"], session.zone) or "none",
            ", ".join(dict.fromkeys(reservation["hosts"])),
        ]
        for reservation in lease["reservations"]
    ]
    return table(columns, rows, terminal_width()) if rows else ""


def _story(session: Session, lease: Any) -> str:
    columns = [Column("TIME"), Column("STATE", coloured=True), Column("REASON", flexible=True)]
    rows = [
        [
            local(entry["time"], session.zone),
            entry["state"],
            reason_in_words(entry, session.zone),
        ]
        for entry in sorted(lease["story"], key=lambda e: (moment_of(e["time"]), e["event"]))
    ]
    return table(columns, rows, terminal_width()) if rows else ""


# --- cancel ---------------------------------------------------------------------------------


@click.command("cancel", cls=ServiceCommand, context_settings=HELP)
@click.argument("lease_ids", metavar="LEASE...", type=LEASE_ID, nargs=-1)
@click.option(
    "-l",
    "--lease",
    "more_ids",
    type=LEASE_ID,
    multiple=True,
    metavar="LEASE",
    help="Same as LEASE.",
)
def cancel_leases(session: Session, lease_ids: tuple[int, ...], more_ids: tuple[int, ...]) -> None:
    """Cancel leases: what waits is given up, what runs is ended.

    Where the nodes are VMs of OpenNebula, these are deleted. '--output json' prints an object
    with the 'leases' that are cancelled, and the 'errors' of the others.

    \b
    Example:
      haizea cancel 17 18
    """
    wanted = list(dict.fromkeys([*lease_ids, *more_ids]))
    if not wanted:
        raise click.UsageError("Say which: haizea cancel LEASE")
    answers, errors = [], []
    for lease_id in wanted:
        try:
            lease = session.client.ask("DELETE", f"/v1/leases/{lease_id}").body
        except Refusal as refusal:
            if refusal.status not in (404, 409):
                raise
            errors.append({"lease": lease_id, **error_of(refusal)})
            if not session.as_json:
                click.echo(f"Error: {refusal.message}", err=True)
            continue
        answers.append(lease)
        if not session.as_json:
            click.echo(f"Lease {lease_id} is {lease['state']}.")
    if session.as_json:
        session.print_json({"leases": answers, "errors": errors})
    if errors:
        raise click.exceptions.Exit(ServiceProblem.exit_code)
