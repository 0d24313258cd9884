"""Following one lease until it runs, or until it is over."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import click

from haizea.cli.interrupts import INTERRUPTED
from haizea.cli.session import Session
from haizea.cli.stream import ServerEvent, follow
from haizea.cli.tables import clean, coloured
from haizea.cli.words import hosts_in_words, local, reason_in_words
from haizea.core.model.lifecycle import FINAL, State

#: What can be waited for.
WAITS = ("active", "done")


def follow_lease(session: Session, lease_id: int, until: str) -> bool:
    """Wait until a lease is ``active`` or ``done``; answers whether it came to that.

    Each new state is printed, unless the output is for programs.
    """
    events = follow(session.client, "/v1/events", {"lease": lease_id}, after=0, lost=tell_of_loss)
    try:
        for event in events:
            if event.kind != "state":
                continue
            if not session.as_json:
                click.echo(event_line(session, event))
            reached = _outcome(event.data["state"], until)
            if reached is not None:
                return reached
    except KeyboardInterrupt:
        click.echo(
            f"\nLease {lease_id} goes on. 'haizea watch {lease_id}' follows it,"
            f" 'haizea cancel {lease_id}' ends it.",
            err=True,
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    return False


def _outcome(state: str, until: str) -> bool | None:
    """Tell whether a state is what is waited for; ``None`` if it is neither that nor the end."""
    if state == State.DONE:
        return True
    if state in FINAL:
        return False
    return True if until == "active" and state == State.ACTIVE else None


def tell_of_loss(reason: str) -> None:
    """Say that a stream broke off, and that this is not the end."""
    click.echo(f"Connection lost: {reason.rstrip('.')}. Trying again ...", err=True)


def _text(data: Any, zone: tzinfo) -> str:
    """An event in words, with local times: only reasons and expected starts have times."""
    reason = reason_in_words(data, zone)
    match data["kind"]:
        case "state":
            return f"lease {data['lease']} is {data['state']}" + (f": {reason}" if reason else "")
        case "planned-hosts":
            return f"lease {data['lease']} is to run on {hosts_in_words(data['hosts'])}: {reason}"
        case "expected":
            start = local(data["start"], zone)
            sooner = f"start expected at {start}; " if start is not None else ""
            return f"lease {data['lease']}: {sooner}{reason}"
        case _:
            return str(data["text"])


def event_line(session: Session, event: ServerEvent) -> str:
    """An event in one line."""
    data: Any = event.data
    text = clean(_text(data, session.zone))
    state = data["state"]
    if state is not None:
        text = text.replace(str(state), coloured(str(state)), 1)
    return f"{local(data['time'], session.zone)}  {text}"
