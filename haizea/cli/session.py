"""Parts that all commands that ask the service share: where it is, who asks, how to print."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from haizea.cli.access import DEFAULT_SERVER, WrongAccess, find_token, parse_server
from haizea.cli.client import Client, Query, ServiceProblem, error_of
from haizea.cli.errors import explained
from haizea.cli.options import ParsedOption
from haizea.cli.reading_ahead import read_ahead
from haizea.cli.tables import Column, table, terminal_width
from haizea.cli.words import in_utc, moment_of
from haizea.times.moments import parse_moment
from haizea.times.zones import SystemZone

#: The most entries in one page of the service's lists.
_PAGE = 500


class Session:
    """One command's: the service it asks, the user's zone, and the form of its output."""

    def __init__(self, client: Client, *, as_json: bool) -> None:
        self.client = client
        self.as_json = as_json
        self.zone: tzinfo = SystemZone()

    @functools.cached_property
    def now(self) -> int:
        """The present moment of the service, whose clock may be ahead or run faster."""
        now = moment_of(self.client.get("/v1/status")["now"])
        return int(time.time()) if now is None else now

    def print_json(self, value: object) -> None:
        """Print ``value`` for programs."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))

    def past_moment(self, text: str | None, option: str) -> int | None:
        """The moment in the past that an option's text means, as the service's clock has it."""
        return None if text is None else self._moment(text, option, back=True)

    def moment(self, text: str | None, option: str) -> str | None:
        """The moment that an option's text means, as the service takes it."""
        return None if text is None else in_utc(self._moment(text, option))

    def _moment(self, text: str, option: str, *, back: bool = False) -> int:
        try:
            return parse_moment(text, self.now, self.zone, back=back)
        except ValueError as wrong:
            raise click.BadParameter(str(wrong), param_hint=option) from None

    def for_people(self, answer: Any, entries: str, none: str) -> list[Any]:
        """The entries of a list that a table is to be made of.

        Programs get the answer here, and people ``none`` where there are no entries.
        """
        found: list[Any] = answer[entries]
        if self.as_json:
            self.print_json(answer)
            return []
        if not found:
            click.echo(none)
        return found

    def show_list(
        self,
        entries: str,
        query: Query,
        limit: int,
        columns: Sequence[Column],
        row: Callable[[Any, tzinfo], list[object]],
        none: str,
    ) -> None:
        """Show up to ``limit`` entries of a list, each as ``row`` has it in the user's zone.

        Programs are shown the service's answer, and people ``none`` where there are no entries.
        """
        found: list[Any] = []
        page: dict[str, Any] = {}
        for page in read_ahead(self._pages(entries, query, limit)):
            part = page[entries]
            found += part if self.as_json else [row(entry, self.zone) for entry in part]
        rows = self.for_people({**page, entries: found}, entries, none)
        if not rows:
            return
        click.echo(table(columns, rows, terminal_width()))
        if page["next"] is not None:
            click.echo(f"There are more than these {limit}: see --limit.", err=True)

    def _pages(self, entries: str, query: Query, limit: int) -> Iterator[dict[str, Any]]:
        after, left = None, limit
        while True:
            wanted = {**query, "limit": min(_PAGE, left), "after": after}
            page = self.client.get(f"/v1/{entries}", wanted)
            yield page
            after, left = page["next"], left - len(page[entries])
            if after is None or left <= 0:
                return


_OPTIONS = (
    click.Option(
        ["-s", "--server"],
        metavar="SERVER",
        envvar="HAIZEA_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        help="Address of the service: HOST, HOST:PORT or a URL. Also: HAIZEA_SERVER.",
    ),
    click.Option(
        ["--token-file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The file with the token to use.  [default: HAIZEA_TOKEN, or else ~/.haizea/token]",
    ),
    click.Option(
        ["--one-auth"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Instead of a token: your credentials for OpenNebula, user:password, where the"
        " service is for an OpenNebula.  [default without a token that is taken: ONE_AUTH]",
    ),
    click.Option(
        ["--ca-file"],
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        envvar="HAIZEA_CA_FILE",
        help="The certificate of the authority that the service's is from. Also: HAIZEA_CA_FILE."
        "  [default: the system's]",
    ),
    click.Option(
        ["--output"],
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    ),
)


class ServiceCommand(click.Command):
    """A command whose function gets a :class:`Session`, beside its own options and arguments.

    It has the options for the service, the token and the output, too. A service of another
    version may leave out what the command reads of its answers; that is told in one message.
    Where the output is for programs, so is what goes wrong, wrong options included: an object
    with ``error``, as the service answers it, on standard output.
    """

    def __init__(
        self, name: str | None, *, params: Sequence[click.Parameter] = (), **others: Any
    ) -> None:
        super().__init__(name, params=[*params, *_OPTIONS], **others)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; what is wrong with them is an object, where that is asked for."""
        said = " ".join(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as wrong:
            if not re.search(r"--output[ =]json\b", said):
                raise
            raise _told(wrong) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Open the session, and have the command ask."""
        if ctx.params["output"] != "json":
            return self._ask(ctx)
        try:
            with explained():
                return self._ask(ctx)
        except click.ClickException as wrong:
            raise _told(wrong) from None

    def _ask(self, ctx: click.Context) -> Any:
        known = {str(option.name): ctx.params.pop(str(option.name)) for option in _OPTIONS}
        ctx.params["session"] = session = open_session(**known)
        try:
            return super().invoke(ctx)
        except KeyError as missing:
            raise ServiceProblem(
                f"the service at {session.client.server} does not tell {missing}, which this"
                " command shows: it is of another version ('haizea status' and 'haizea"
                " --version' tell which)."
            ) from missing


def _told(wrong: click.ClickException) -> click.exceptions.Exit:
    """The end of a command that tells programs what is wrong."""
    click.echo(json.dumps({"error": error_of(wrong)}, ensure_ascii=False))
    return click.exceptions.Exit(wrong.exit_code)


def open_session(
    server: str,
    token_file: Path | None,
    one_auth: Path | None,
    ca_file: Path | None,
    output: str,
) -> Session:
    """A session as these options have it; wrong ones are wrong use. Warns of risks."""
    try:
        place = parse_server(server)
        token = find_token(token_file, os.environ, one_auth)
    except WrongAccess as wrong:
        raise click.UsageError(str(wrong)) from None
    if token.warning:
        click.echo(f"Warning: {token.warning}", err=True)
    if token.is_password and not place.is_secure:
        raise click.UsageError(
            f"a password does not go to {place.host} without encryption: write https:// if the"
            " service has TLS, or use a token."
        )
    if token.secret is not None and not place.is_secure:
        click.echo(
            f"Warning: the token goes to {place.host} without encryption; write https://"
            " if the service has TLS",
            err=True,
        )
    client = Client(server=place, token=token, ca_file=ca_file)
    return Session(client, as_json=output == "json")


class TimelyOption(ParsedOption):
    """An option for a moment in any form that people write. Which one, the service's clock decides.

    ``parse`` raises :class:`ValueError` for what is not a moment; the command gets the text.
    """

    def __init__(self, name: str, parse: Callable[[str, int, tzinfo], object]) -> None:
        def checked(text: str) -> str:
            parse(text, int(time.time()), SystemZone())
            return text

        super().__init__(name, checked)


#: :meth:`Session.moment` reads it.
MOMENT = TimelyOption("TIME", parse_moment)
#: :meth:`Session.past_moment` reads it.
PAST_MOMENT = TimelyOption("TIME", functools.partial(parse_moment, back=True))
