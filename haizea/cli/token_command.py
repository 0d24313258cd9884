"""The commands about tokens: make, list, revoke."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from haizea.cli.client import Body
from haizea.cli.errors import WrongInput
from haizea.cli.help import HELP
from haizea.cli.options import ParsedOption
from haizea.cli.session import ServiceCommand, Session
from haizea.cli.tables import Column, table, terminal_width
from haizea.cli.words import in_utc, local, moment_of
from haizea.times.moments import parse_moment
from haizea.times.zones import SystemZone


def _from_now(text: str) -> int:
    """A moment in real time, which is what tokens end by, whatever clock the service has."""
    now = int(time.time())
    moment = parse_moment(text, now, SystemZone())
    if moment <= now:
        raise ValueError(f"{text!r} is past: a token that ends then is never good")
    return moment


def _name(text: str) -> str:
    if re.fullmatch("[A-Za-z_@][A-Za-z0-9_.@+-]{0,63}", text) is None:
        raise ValueError(
            f"{text!r} is not a name that a token can have: write at most 64 letters, digits and"
            " _ . @ + -, with a letter first, such as anna"
        )
    return text


def _owner(text: str) -> str:
    if re.fullmatch("[A-Za-z0-9_.@+-]{1,64}", text) is None:
        raise ValueError(f"invalid owner {text!r}: write at most 64 letters, digits and _ . @ + -")
    return text


_ROLES = ("user", "operator", "reader")


@click.group("token", context_settings=HELP)
def token() -> None:
    """Make, list and revoke tokens. This takes an operator's token.

    \b
    Examples:
      haizea token make anna --save anna.token
      haizea token make dashboard --role reader --expires +90d
      haizea token list
      haizea token revoke anna
    """


@token.command("make", cls=ServiceCommand, context_settings=HELP)
@click.argument("name", metavar="NAME", type=ParsedOption("NAME", _name))
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="user",
    show_default=True,
    help="user: asks for leases, and sees and cancels the owner's. operator: all. reader: sees"
    " all, changes nothing.",
)
@click.option(
    "--owner",
    type=ParsedOption("NAME", _owner),
    help="Owner of the leases that are asked for.  [default: NAME]",
)
@click.option(
    "--expires", type=ParsedOption("TIME", _from_now), help="End of it: +90d, '2027-01-01 0:00'."
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the token to this new file, which only you can read, rather than print it.",
)
def make_token(
    session: Session,
    name: str,
    role: str,
    owner: str | None,
    expires: int | None,
    save: Path | None,
) -> None:
    """Make a token called NAME, and print it, this once.

    Keep it in a file that only its user can read, by default ~/.haizea/token.
    """
    file = None if save is None else _new_file(save)
    try:
        form = {"name": name, "role": role, "owner": owner, "expires": in_utc(expires)}
        made = session.client.ask("POST", "/v1/tokens", body=Body.of(form)).body
        if file is not None and save is not None:
            with open(file, "w", encoding="ascii", closefd=False) as to:
                to.write(made.pop("secret") + "\n")
    except BaseException:
        if save is not None:
            save.unlink()
        raise
    finally:
        if file is not None:
            os.close(file)
    _tell(session, made, save)


def _new_file(path: Path) -> int:
    """Made before the token, so that none is made that cannot be kept."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WrongInput(
            f"{path}: file exists; name another one with --save, or remove it"
        ) from None


def _tell(session: Session, made: Any, save: Path | None) -> None:
    if session.as_json:
        session.print_json(made)
        return
    end = local(made["expires"], session.zone)
    until = f"until {end}" if end else "until it is revoked"
    where = f"is in {save}" if save is not None else "follows; it is shown this once"
    click.echo(
        f"Token {made['name']} ({made['role']}, owner {made['owner']}) is good {until};"
        f" it {where}.",
        err=save is None,
    )
    if save is None:
        click.echo(made["secret"])


@token.command("list", cls=ServiceCommand, context_settings=HELP)
@click.option("-a", "--all", "past", is_flag=True, help="Revoked and expired ones as well.")
def list_tokens(session: Session, past: bool) -> None:
    """List tokens, without their secrets."""
    tokens = [
        found
        for found in session.client.get("/v1/tokens")["tokens"]
        if past or _how(found) == "good"
    ]
    if session.as_json:
        session.print_json({"tokens": tokens})
        return
    columns = [
        Column("ID", right=True),
        Column("NAME", flexible=True),
        Column("ROLE"),
        Column("OWNER", flexible=True),
        Column("MADE"),
        Column("EXPIRES"),
        Column("LAST USED"),
        *([Column("IS")] if past else []),
    ]
    rows = [
        [
            found["id"],
            found["name"],
            found["role"],
            found["owner"],
            local(found["created"], session.zone),
            local(found["expires"], session.zone),
            local(found["last_used"], session.zone),
            *([_how(found)] if past else []),
        ]
        for found in tokens
    ]
    click.echo(table(columns, rows, terminal_width()))


def _how(found: Any) -> str:
    if found["revoked"]:
        return "revoked"
    expires = moment_of(found["expires"])
    return "expired" if expires is not None and expires <= time.time() else "good"


@token.command("revoke", cls=ServiceCommand, context_settings=HELP)
@click.argument("which", metavar="TOKEN")
def revoke_token(session: Session, which: str) -> None:
    """Revoke a TOKEN, by its name or its number in 'haizea token list'.

    Leases that were asked for with it stay.
    """
    revoked = session.client.ask("DELETE", f"/v1/tokens/{quote(which, safe='')}").body
    if session.as_json:
        session.print_json(revoked)
    else:
        click.echo(f"Token {revoked['name']} ({revoked['owner']}) is revoked.")
