"""Answers of the service, in words for people: local times, and a line or two per lease."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from haizea.cli.tables import clean
from haizea.core.model.reasons import EXPECTATIONS
from haizea.times.durations import format_span
from haizea.times.moments import format_distance, format_moment
from haizea.wording import in_words, reason_of

#: So many hosts are named; of more, it is said how many.
_HOSTS_NAMED = 6
#: Long lists repeat their reasons and durations; so many of the last ones are remembered.
_REMEMBERED = 1 << 12


def moment_of(text: str | None) -> int | None:
    """The moment in an answer, ``2026-11-25T14:00:00Z``, in seconds since the epoch."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def in_utc(moment: int | None) -> str | None:
    """A moment as the service takes it, ``2026-11-25T14:00:00Z``."""
    if moment is None:
        return None
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


#: Many leases share their moments, and a zone is slow to ask.
_shown_moment = functools.lru_cache(maxsize=1 << 16)(format_moment)


@functools.lru_cache(maxsize=1 << 16)
def local(text: str | None, zone: tzinfo) -> str | None:
    """A moment in an answer, as local time with its zone."""
    moment = moment_of(text)
    return None if moment is None else _shown_moment(moment, zone)


def reason_in_words(told: Mapping[str, Any], zone: tzinfo) -> str:
    """The reason in an answer, with local times.

    The service's own words, with times in UTC, where it is of a version that does not tell the
    parameters, or of one that knows more reasons.
    """
    try:
        return _reason(told.get("reason_code"), told.get("reason_parameters"), zone)
    except ValueError:
        return clean(told["reason"] or "")


def _reason(code: object, parameters: Any, zone: tzinfo) -> str:
    try:
        return _reason_seen(code, tuple(parameters.items()), zone)
    except (AttributeError, TypeError):  # there are none, or a reason is among them
        return _worded(code, parameters, zone)


@functools.lru_cache(maxsize=_REMEMBERED)
def _reason_seen(code: object, parameters: tuple[tuple[str, object], ...], zone: tzinfo) -> str:
    return _worded(code, dict(parameters), zone)


def _worded(code: object, parameters: object, zone: tzinfo) -> str:
    reason = reason_of(code, parameters)
    return clean(in_words(reason, lambda moment: _shown_moment(moment, zone)))


def when(text: str | None, now: int, zone: tzinfo) -> str:
    """``2026-11-25 14:00:00 CET (in 3h 20m)``."""
    moment = moment_of(text)
    if moment is None:
        return "not known"
    return f"{format_moment(moment, zone)} ({format_distance(moment, now)})"


def node_count(lease: Mapping[str, Any]) -> int:
    """Return the number of nodes of a lease."""
    return sum(nodes["count"] for nodes in lease["nodes"])


def nodes_in_words(lease: Mapping[str, Any]) -> str:
    """``2 nodes, each CPU:100 Memory:1024``."""
    return "; ".join(
        f"{nodes['count']} {'node' if nodes['count'] == 1 else 'nodes, each'}"
        f" {amounts(nodes['resources'])}"
        for nodes in lease["nodes"]
    )


def ranges_in_words(names: Iterable[str]) -> str:
    """``4, 7-9``: numbers in a row are told by the first and the last of them."""
    parts: list[list[str]] = []
    for name in names:
        last = parts[-1][-1] if parts else ""
        if last.isdecimal() and name.isdecimal() and int(name) == int(last) + 1:
            parts[-1] = [parts[-1][0], name]
        else:
            parts.append([name])
    return ", ".join(clean("-".join(part)) for part in parts)


def amounts(resources: Mapping[str, int]) -> str:
    """``CPU:100 Memory:1024``."""
    return " ".join(f"{clean(name)}:{amount}" for name, amount in resources.items())


def hosts_in_words(names: Iterable[str]) -> str:
    """The names of some hosts, each once, or how many they are."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) > _HOSTS_NAMED:
        return f"{len(distinct)} hosts"
    return ", ".join(clean(name) for name in distinct)


def start_in_short(lease: Mapping[str, Any], zone: tzinfo) -> str | None:
    """Tell when a lease runs: as reserved, else ``~`` as expected, else as it was asked for.

    Of one that is over, when it ran.
    """
    if lease.get("ended") is not None:
        return local(lease.get("started"), zone)
    planned = local(lease["planned_start"], zone)
    if planned is not None:
        return planned
    expected = local(lease["expected"], zone)
    return f"~{expected}" if expected is not None else local(lease["start"], zone)


def decision_in_words(answer: Mapping[str, Any], now: int, zone: tzinfo) -> str:
    """Tell the outcome of a request."""
    lease, outcome = answer["lease"], answer["outcome"]
    repeated = (
        "This was asked for before, and nothing new was made.\n" if answer["repeated"] else ""
    )
    match outcome:
        case "accepted":
            text = _accepted(lease, answer["hosts"], now, zone)
        case "queued":
            text = _queued(answer, now, zone)
        case _:
            text = _rejected(answer, now, zone)
    return repeated + text


def _accepted(lease: Mapping[str, Any], hosts: Iterable[str], now: int, zone: tzinfo) -> str:
    if lease["planned_start"] is None:
        reason = reason_in_words(lease, zone)
        return f"Lease {lease['id']} is {lease['state']}" + (f": {reason}" if reason else ".")
    where = hosts_in_words(hosts)
    on_hosts = f"\n  on {where}" if where else ""
    runs = f"it runs from {_period(lease, now, zone)}{on_hosts}"
    deadline = local(lease.get("deadline"), zone)
    by_then = ""
    if deadline is not None:
        by_then = f"\n  or at another time, and is done by {deadline} in any case"
    return f"Lease {lease['id']} is accepted: {runs}{by_then}"


def _period(lease: Mapping[str, Any], now: int, zone: tzinfo) -> str:
    start, end = moment_of(lease["planned_start"]), moment_of(lease["planned_end"])
    begins = when(lease["planned_start"], now, zone)
    if start is None or end is None:
        return f"{begins}, without end"
    period = f"{begins} to {format_moment(end, zone)}"
    if lease.get("makes_room"):
        return f"{period}, is suspended then, and goes on later"
    return period


def _queued(answer: Mapping[str, Any], now: int, zone: tzinfo) -> str:
    lease = answer["lease"]
    expected = answer["expected"]
    start = f"expected to start {when(expected, now, zone)}" if expected else "start not known yet"
    text = f"Lease {lease['id']} is queued: place {answer['place']}, {start}"
    reason = reason_in_words(lease, zone)
    # Where a start is reserved for it, that is all the reason there is.
    if expected and lease.get("reason_code") in EXPECTATIONS:
        return text
    return f"{text}\n  {reason}".rstrip()


def _rejected(answer: Mapping[str, Any], now: int, zone: tzinfo) -> str:
    lease, offer = answer["lease"], answer["offer"]
    reason = reason_in_words(lease, zone)
    text = f"lease {lease['id']} is rejected: {reason or 'no reason is given'}"
    if offer is None:
        return text
    until = local(answer.get("offer_until"), zone)
    time_left = f"; you have until {until} to" if until else ":"
    windowed = lease.get("deadline") is not None
    what = "deadline that would do" if windowed else "start at which it fits"
    option = "--deadline" if windowed else "-t"
    return (
        f"{text}\nThe nearest {what} is {when(offer, now, zone)}{time_left}"
        f" ask again with {option} '{local(offer, zone)}'"
    )


@functools.lru_cache(maxsize=_REMEMBERED)
def duration_in_words(seconds: int | None) -> str:
    """``1h 30m``, or ``unlimited``."""
    return format_span(seconds)
