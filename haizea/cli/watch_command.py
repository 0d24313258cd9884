"""The command that shows what happens, as it happens."""

from __future__ import annotations

import json

import click

from haizea.cli.help import HELP
from haizea.cli.interrupts import INTERRUPTED
from haizea.cli.lease_commands import LEASE_ID
from haizea.cli.session import ServiceCommand, Session
from haizea.cli.stream import follow
from haizea.cli.wait import event_line, tell_of_loss
from haizea.core.model.lifecycle import FINAL


@click.command("watch", cls=ServiceCommand, context_settings=HELP)
@click.argument("lease_id", metavar="[LEASE]", type=LEASE_ID, required=False)
@click.option(
    "--after",
    type=click.IntRange(0, (1 << 53) - 1),
    metavar="EVENT",
    help="Begin after the event with this number; 0 is all that is kept."
    "  [default: a lease from its beginning, all leases from now on]",
)
def watch(session: Session, lease_id: int | None, after: int | None) -> None:
    """Show what happens, a line each, until it is interrupted (Ctrl-C).

    With the number of a LEASE, what happened and happens to it, until it is over. A
    connection that is lost is made again, and nothing is left out. '--output json' prints
    a JSON object on each line.

    \b
    Examples:
      haizea watch
      haizea watch 17
      haizea watch --after 0 --output json
    """
    if after is None and lease_id is not None:
        after = 0
    events = follow(
        session.client, "/v1/events", {"lease": lease_id}, after=after, lost=tell_of_loss
    )
    try:
        for event in events:
            if session.as_json:
                click.echo(json.dumps(event.data, ensure_ascii=False))
            else:
                click.echo(event_line(session, event))
            if lease_id is not None and event.data["state"] in FINAL:
                return
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
