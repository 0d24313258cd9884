"""Commands about maintenance: hosts that are out of use from, until, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from haizea.cli.client import Body, Query, Refusal, ServiceProblem, error_of
from haizea.cli.errors import WrongInput, unanswered
from haizea.cli.help import HELP
from haizea.cli.options import ParsedOption
from haizea.cli.session import ServiceCommand, Session
from haizea.cli.tables import Column, table, terminal_width
from haizea.cli.words import local, reason_in_words
from haizea.core.model.reasons import Code
from haizea.times.durations import shown

_PATH = "/v1/maintenance"
_SEE = "see 'haizea maintenance list'"
_LEASES = click.Choice(["refuse", "stay", "end"])
#: The word for a window without end.
_OPEN = "never"
#: What ``--leases`` can do something about.
_LEASES_IN_THE_WAY = frozenset([Code.IN_THE_WAY.value, Code.ALSO_IN_THE_WAY.value])


@click.group("maintenance", context_settings=HELP)
def maintenance() -> None:
    """Take hosts out of use from, until, and say why; or drain them."""


_reason = click.option("--reason", metavar="TEXT", help="Why; everybody can read it.")


def _window_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text)):
        raise ValueError(
            f"{shown(text)} is not the number of maintenance: 'haizea maintenance list' shows them"
        )
    return int(text)


_ID = ParsedOption("NUMBER", _window_id)


def _leases(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--leases``, which tells its default, if it has one."""
    return click.option(
        "--leases",
        type=_LEASES,
        help="Fate of leases that cannot leave in time: 'refuse' plans nothing then, 'stay'"
        " lets them stay until they are over, 'end' has them begin again elsewhere, or fail."
        f"{default}",
    )


_yes = click.option("--yes", is_flag=True, help="Do not ask before it is done.")


@maintenance.command("add", cls=ServiceCommand, context_settings=HELP)
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@click.option("--from", "start", metavar="TIME", help="From when on (now, if left out).")
@click.option(
    "--until", "end", metavar="TIME", help="Until when; 'never' or left out: until it is ended."
)
@_reason
@_leases(" [default: refuse]")
@_yes
def add(
    session: Session,
    hosts: tuple[str, ...],
    start: str | None,
    end: str | None,
    reason: str | None,
    leases: str | None,
    yes: bool,
) -> None:
    """Plan maintenance of each HOST: a name, a pattern, or a size such as 'Memory>=65536'.

    With OpenNebula it may be a condition on their attributes, as in a VM's SCHED_REQUIREMENTS.

    The leases that run into it are listed before it is done. When it starts, the hosts are
    empty: what waits is planned around it, what is promised gets other hosts, what runs and may
    be preempted is suspended in time or starts over. To drain hosts, leave the times out and
    add '--leases stay'.

    \b
    Examples:
      haizea maintenance add host-5 host-6 --from 'friday 8:00' --until 'friday 17:00' \\
        --reason 'new disks'
      haizea maintenance add 'rack-b-*' --leases stay
      haizea maintenance add 'RACK="b"' --from 'saturday 8:00' --reason 'power'
    """
    asked: dict[str, Any] = {"hosts": list(hosts), **_asked(session, start, end, reason, leases)}
    _confirm(session, "POST", _PATH, asked, yes)
    with unanswered(f"it may have been planned; {_SEE}"):
        window = _ask(session, "POST", _PATH, asked)
    _tell(session, window, "is planned")


@maintenance.command("change", cls=ServiceCommand, context_settings=HELP)
@click.argument("window", metavar="NUMBER", type=_ID)
@click.option(
    "--host", "hosts", metavar="HOST", multiple=True, help="Other hosts; may be repeated."
)
@click.option("--from", "start", metavar="TIME", help="From when on.")
@click.option("--until", "end", metavar="TIME", help="Until when; 'never': until it is ended.")
@_reason
@_leases("")
@_yes
def change(
    session: Session,
    window: int,
    hosts: tuple[str, ...],
    start: str | None,
    end: str | None,
    reason: str | None,
    leases: str | None,
    yes: bool,
) -> None:
    """Change the maintenance with this NUMBER, as a whole or not at all.

    What is not said stays as it is. The leases that run into it are listed before it is done.

    \b
    Example:
      haizea maintenance change 3 --until 'saturday 12:00'
    """
    asked = _asked(session, start, end, reason, leases)
    if hosts:
        asked["hosts"] = list(hosts)
    if not asked:
        raise click.UsageError("Say what to change: --host, --from, --until, --reason or --leases")
    path = f"{_PATH}/{window}"
    _confirm(session, "PATCH", path, asked, yes)
    with unanswered(f"it may have been changed; {_SEE}"):
        changed = _ask(session, "PATCH", path, asked)
    _tell(session, changed, "is changed")


@maintenance.command("end", cls=ServiceCommand, context_settings=HELP)
@click.argument("windows", metavar="NUMBER...", type=_ID, nargs=-1, required=True)
def end_windows(session: Session, windows: tuple[int, ...]) -> None:
    """End maintenance now: its hosts take leases again.

    '--output json' prints an object with the 'maintenance' that is over, and the 'errors' of the
    others.
    """
    ended, errors = [], []
    for window in dict.fromkeys(windows):
        try:
            with unanswered(f"maintenance {window} may be over; {_SEE}"):
                ended.append(session.client.ask("DELETE", f"{_PATH}/{window}").body)
        except Refusal as refusal:
            if refusal.status != 404:
                raise
            errors.append({"maintenance": window, **error_of(refusal)})
            if not session.as_json:
                click.echo(f"Error: {refusal.message}", err=True)
            continue
        if not session.as_json:
            click.echo(f"Maintenance {window} is over.")
    if session.as_json:
        session.print_json({"maintenance": ended, "errors": errors})
    if errors:
        raise click.exceptions.Exit(ServiceProblem.exit_code)


@maintenance.command("list", cls=ServiceCommand, context_settings=HELP)
def list_windows(session: Session) -> None:
    """List maintenance that is planned or under way.

    OUT are hosts that are empty and out of use already.
    """
    answer = session.client.get(_PATH)
    windows = session.for_people(answer, "maintenance", "No maintenance is planned.")
    if not windows:
        return
    columns = [
        Column("NUMBER", right=True),
        Column("HOSTS", flexible=True),
        Column("START"),
        Column("END"),
        Column("STATUS"),
        Column("LEASES"),
        Column("OUT", flexible=True),
        Column("REASON", flexible=True),
    ]
    rows = [
        [
            window["id"],
            ", ".join(window["hosts"]),
            local(window["start"], session.zone),
            local(window["end"], session.zone) or "when it is ended",
            window["status"],
            window["leases"],
            ", ".join(window["out"]),
            window["reason"],
        ]
        for window in windows
    ]
    click.echo(table(columns, rows, terminal_width()))


def _asked(
    session: Session, start: str | None, end: str | None, reason: str | None, leases: str | None
) -> dict[str, Any]:
    """Give back what was said, as the service takes it."""
    asked: dict[str, Any] = {}
    if start is not None:
        asked["start"] = session.moment(start, "--from")
    if end is not None:
        never = end.strip().lower() == _OPEN
        asked["end"] = None if never else session.moment(end, "--until")
    if reason is not None:
        asked["reason"] = reason
    if leases is not None:
        asked["leases"] = leases
    return asked


def _confirm(session: Session, method: str, path: str, asked: dict[str, Any], yes: bool) -> None:
    """List who runs into it, and ask whether to go on. What cannot be is told in local time."""
    if session.as_json:
        return
    impact = _ask(session, method, path, asked, {"preview": "true"})
    if not impact["possible"]:
        reason = reason_in_words(impact, session.zone)
        advice = "; see --leases" if impact["reason_code"] in _LEASES_IN_THE_WAY else ""
        impossible = impact["reason_code"] == Code.ENDS_BEFORE_IT_STARTS
        kind = WrongInput if impossible else click.ClickException
        raise kind(f"{reason}. Nothing has changed{advice}.")
    if yes:
        return
    for leaver in impact["leases"]:
        how = reason_in_words(leaver, session.zone)
        click.echo(f"Lease {leaver['lease']} {how}.", err=True)
    if impact["leases"] and not _goes_on():
        raise click.ClickException("Nothing has changed.")


def _goes_on() -> bool:
    """Ask whether to go on; where nobody is there to answer, say how not to be asked."""
    try:
        return click.confirm("Go on?", err=True)
    except click.Abort as ended:
        if not isinstance(ended.__context__, EOFError):
            raise
        click.echo(err=True)
        text = "Nobody answered, and nothing has changed: with --yes nobody is asked."
        raise click.ClickException(text) from None


def _ask(
    session: Session, method: str, path: str, asked: dict[str, Any], query: Query | None = None
) -> Any:
    return session.client.ask(method, path, query=query, body=Body.of(asked)).body


def _tell(session: Session, window: Any, what: str) -> None:
    if session.as_json:
        session.print_json(window)
        return
    until = local(window["end"], session.zone)
    span = f"from {local(window['start'], session.zone)} " + (
        f"until {until}" if until else "until it is ended"
    )
    click.echo(f"Maintenance {window['id']} of {', '.join(window['hosts'])} {what}, {span}.")
