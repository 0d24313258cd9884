"""The command that asks for a lease."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from haizea.cli.client import Body, NotReached, Refusal, ServiceProblem, WrongRequest
from haizea.cli.errors import WrongInput, unanswered
from haizea.cli.help import HELP
from haizea.cli.options import ParsedOption
from haizea.cli.session import MOMENT, ServiceCommand, Session, TimelyOption
from haizea.cli.wait import WAITS, follow_lease
from haizea.cli.words import decision_in_words, in_utc
from haizea.core.model.lease import Kind
from haizea.times.durations import UNLIMITED, parse_lease_duration
from haizea.times.moments import Start, parse_start

#: The service takes no larger request.
_MOST_FILE_BYTES = 64 * 1024
_MOST_AMOUNT = 10**12
#: What the service takes.
_MOST_SECONDS = (1 << 40) - 1
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([a-z%]*)", re.ASCII)
_MEGABYTES = {"": 1, "m": 1, "mb": 1, "mib": 1, "g": 1024, "gb": 1024, "gib": 1024}
_MEGABYTES |= {"t": 1 << 20, "tb": 1 << 20, "tib": 1 << 20}
_BY_SUFFIX = {
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".xml": "application/xml",
    ".lwf": "application/xml",
}


def _window(session: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the window that is asked for instead of a start."""
    if asked["deadline"] is None:
        if asked["after"] is not None:
            raise click.UsageError("--after TIME goes with --deadline TIME: by when is it done?")
        return {}
    if asked["start"] is not None:
        raise click.UsageError(
            "--start and --deadline: give one of them; --after TIME says when it may begin."
        )
    found: dict[str, Any] = {"kind": Kind.DEADLINE.value}
    for name in ("after", "deadline"):
        if asked[name] is not None:
            found[name] = session.moment(asked[name], f"--{name}")
    return found


def _start(text: str | None, session: Session) -> Start:
    if text is None:
        return Start(Kind.BEST_EFFORT)
    try:
        return parse_start(text, session.now, session.zone)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--start") from None


def _duration(text: str) -> int | str:
    """Seconds that a lease lasts, or ``unlimited``. Raises :class:`ValueError`."""
    seconds = parse_lease_duration(text, _MOST_SECONDS)
    return UNLIMITED if seconds is None else seconds


def parse_cpu(text: str) -> int:
    """Percent of a core in a number of cores, ``1`` or ``0.5``, or in ``50%``."""
    match = _NUMBER.fullmatch(text.strip().lower())
    if match is None or match[2] not in ("", "%"):
        raise ValueError(f"{text!r} is not an amount of CPU: write cores (1, 0.5) or percent (50%)")
    percent = Fraction(match[1]) * (1 if match[2] else 100)
    return _whole(percent, text, "percent of a core")


def parse_megabytes(text: str) -> int:
    """MB in ``1024``, ``512M``, ``2G`` (1 G is 1024 M). Raises :class:`ValueError`."""
    match = _NUMBER.fullmatch(text.strip().lower())
    if match is None or match[2] not in _MEGABYTES:
        raise ValueError(f"{text!r} is not a size: write MB (1024), 512M or 2G")
    return _whole(Fraction(match[1]) * _MEGABYTES[match[2]], text, "MB")


def parse_resource(text: str) -> tuple[str, int]:
    """A resource type and an amount in ``GPU:1``. Raises :class:`ValueError`."""
    name, colon, amount = text.strip().rpartition(":")
    if not colon or not name or not re.fullmatch(r"\d{1,12}", amount, re.ASCII):
        raise ValueError(f"{text!r} is not TYPE:AMOUNT, as in GPU:1")
    return name, int(amount)


def _whole(amount: Fraction, text: str, unit: str) -> int:
    if amount.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of {unit}")
    if amount > _MOST_AMOUNT:
        raise ValueError(f"{text!r} is too much")
    return int(amount)


_REQUEST_OPTIONS = (
    click.option(
        "-t",
        "--start",
        type=TimelyOption("START", parse_start),
        help="Start: best_effort (as soon as there is room), now (or not at all), or"
        " exactly at a time: +00:30, +2d, 14:00, 'tomorrow 9:00', 'monday 9:00', '2026-11-25"
        " 14:00', with a zone after it if need be.  [default: best_effort]",
    ),
    click.option(
        "--deadline",
        type=MOMENT,
        help="Instead of a start: have it done by then, at some time before. As --start.",
    ),
    click.option(
        "--after",
        type=MOMENT,
        help="With --deadline: not to begin before then.",
    ),
    click.option(
        "-d",
        "--duration",
        type=ParsedOption("DURATION", _duration),
        help="Duration: 90m, 1h30m, 2d, PT1H, 01:30:00, 3600 (seconds), unlimited.",
    ),
    click.option(
        "-n",
        "--nodes",
        "--numnodes",
        type=click.IntRange(min=1),
        metavar="NODES",
        help="Number of nodes.  [default: 1]",
    ),
    click.option(
        "-c",
        "--cpu",
        type=ParsedOption("CPU", parse_cpu),
        help="CPU of each node: cores (1, 0.5) or percent of a core (50%).  [default: 1]",
    ),
    click.option(
        "-m",
        "--mem",
        "--memory",
        "memory_mb",
        type=ParsedOption("MEM", parse_megabytes),
        help="Memory of each node in MB, or 512M, 2G.  [default: 1024]",
    ),
    click.option(
        "-r",
        "--resource",
        "resources",
        type=ParsedOption("TYPE:AMOUNT", parse_resource),
        multiple=True,
        help="Another resource of each node, as in GPU:1; may be repeated.",
    ),
    click.option(
        "--preemptible/--non-preemptible",
        default=None,
        help="Permit suspending it for another lease.  [default: if it is best-effort]",
    ),
    click.option(
        "--hosts",
        type=click.Choice(["any", "fixed"]),
        help="Keep the hosts that it is given first (fixed), or permit giving it others until"
        " it begins, so that there is room for more (any).  [default: any]",
    ),
    click.option(
        "-i", "--image", "--vmimage", metavar="IMAGE", help="The disk image of each node."
    ),
    click.option(
        "-z",
        "--image-size",
        "--vmimagesize",
        "image_mb",
        type=ParsedOption("SIZE", parse_megabytes),
        help="The size of the disk image in MB, or 4G.",
    ),
    click.option("-L", "--label", metavar="TEXT", help="A name for it, for people."),
)


def request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is asked for."""
    for option in reversed(_REQUEST_OPTIONS):
        command = option(command)
    return command


@click.command("request", cls=ServiceCommand, context_settings=HELP)
@click.option(
    "-f",
    "--file",
    metavar="FILE",
    help="Ask for the lease in this file (YAML, a <lease> element, or JSON); - is standard input.",
)
@request_options
@click.option(
    "-w",
    "--wait",
    type=click.Choice(WAITS),
    is_flag=False,
    flag_value="active",
    help="Wait until it runs (active), or until it is over (done).  [without a word: active]",
)
@click.option(
    "--key",
    metavar="TEXT",
    help="Asked for again with the same key, it is the same lease.  [default: a new key]",
)
def request(
    session: Session, file: str | None, wait: str | None, key: str | None, **asked: Any
) -> None:
    """Ask for a lease, and print what is decided.

    It is accepted, and has its time and hosts; or it waits in the queue; or it is rejected,
    with the reason and, if there is one, a start or a deadline with which it would fit (exit
    status 1).

    \b
    Examples:
      haizea request -d 1h                              1 node, as soon as possible
      haizea request -t 'tomorrow 9:00' -d 2h -n 4      4 nodes, exactly then
      haizea request --deadline 'tomorrow 8:00' -d 4h   some time before, whole
      haizea request -t now -d unlimited -c 2 -m 4G     at once, without end
      haizea request -t +00:30 -d 90m -n 16 --wait      and wait until it runs
      haizea request -f lease.yaml --output json        as a program would
    """
    body = _body_of_file(file, asked) if file is not None else Body.of(_form(session, asked))
    if key is not None and not re.fullmatch("[!-~]([ -~]{0,198}[!-~])?", key):
        words = (
            "a key is one line of up to 200 letters, digits, signs and spaces, all of them ASCII"
        )
        raise click.BadParameter(words, param_hint="--key")
    answer = _submit(session, body, key or secrets.token_hex(16))
    # With a key that is new nobody asked twice: an answer got lost, and the next one came.
    told = {**answer, "repeated": key is not None and answer["repeated"]}
    if answer["outcome"] == "rejected":
        if session.as_json:
            session.print_json(answer)
        else:
            click.echo(f"Error: {decision_in_words(told, session.now, session.zone)}", err=True)
        raise click.exceptions.Exit(ServiceProblem.exit_code)
    if not session.as_json:
        click.echo(decision_in_words(told, session.now, session.zone))
    reached = True
    if wait is not None:
        reached = follow_lease(session, answer["lease"]["id"], wait)
        if session.as_json:
            answer["lease"] = session.client.get(f"/v1/leases/{answer['lease']['id']}")
    if session.as_json:
        session.print_json(answer)
    if not reached:
        raise click.exceptions.Exit(ServiceProblem.exit_code)


def _submit(session: Session, body: Body, key: str) -> Any:
    """The decision. What was sent and not answered is sent again, with the same key."""
    again = f"To ask again without getting two, add --key {key}"
    try:
        with unanswered(f"the lease may have been taken. {again}"):
            answer = session.client.ask_until_answered(
                "POST",
                "/v1/leases",
                body=body,
                headers={"Idempotency-Key": key},
                accept=(409,),
                waits=_tell_of_pause,
            ).body
    except NotReached as lost:
        if not lost.sent:
            raise
        raise ServiceProblem(f"{lost.message} The lease may have been taken. {again}") from None
    except Refusal as refusal:
        if not refusal.sent or isinstance(refusal, WrongRequest):
            raise
        raise ServiceProblem(f"{refusal.message}. The lease may have been taken. {again}") from None
    if "outcome" not in answer:
        raise ServiceProblem(str(answer["error"]["message"]))
    return answer


def _tell_of_pause(reason: str) -> None:
    click.echo(f"Not answered yet: {reason.rstrip('.')}. Trying again ...", err=True)


def _form(session: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the options ask for, as the service takes it."""
    if asked["duration"] is None:
        raise click.UsageError("How long? Add -d DURATION, as in -d 90m or -d unlimited.")
    if (asked["image"] is None) != (asked["image_mb"] is None):
        raise click.UsageError("-i IMAGE and -z SIZE go together.")
    start = _start(asked["start"], session)
    resources = {
        "CPU": 100 if asked["cpu"] is None else asked["cpu"],
        "Memory": 1024 if asked["memory_mb"] is None else asked["memory_mb"],
        **dict(asked["resources"]),
    }
    form: dict[str, Any] = {
        "kind": start.kind.value,
        "duration": asked["duration"],
        "nodes": [{"count": asked["nodes"] or 1, "resources": resources}],
    }
    form |= _window(session, asked)
    if start.moment is not None:
        form["start"] = in_utc(start.moment)
    if asked["preemptible"] is not None:
        form["preemptible"] = asked["preemptible"]
    if asked["hosts"] is not None:
        form["hosts"] = asked["hosts"]
    if asked["image"] is not None:
        form["image"] = {"name": asked["image"], "size_mb": asked["image_mb"]}
    if asked["label"] is not None:
        form["label"] = asked["label"]
    return form


def _body_of_file(name: str, asked: dict[str, Any]) -> Body:
    given = [option for option, value in asked.items() if value not in (None, ())]
    if given:
        raise click.UsageError(
            f"-f FILE says it all: leave out --{given[0].replace('_', '-')}, or the file."
        )
    if name == "-":
        content = sys.stdin.buffer.read(_MOST_FILE_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
    if len(content) > _MOST_FILE_BYTES:
        raise WrongInput(f"{name}: this is too large for a lease: 64 KB are the most")
    if not content.strip():
        raise WrongInput(f"{name}: there is nothing in it")
    media_type = _BY_SUFFIX.get(Path(name).suffix.lower()) or _guessed(content)
    return Body(content=content, media_type=media_type)


def _guessed(content: bytes) -> str:
    first = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"<": "application/xml", b"{": "application/json"}.get(first, "application/yaml")
