"""Live events of the service: server-sent events, taken up again where they broke off."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from haizea.cli.client import (
    RETRY_SECONDS,
    Client,
    NotReached,
    Query,
    Refusal,
    ServiceProblem,
)

#: The longest line of an event.
MOST_LINE_BYTES = 1 << 20
#: The service is heard from more often than this, if only with an empty comment.
SILENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """An event: the id to go on from, its kind, and what is told, from JSON.

    ``data`` is ``None`` where nothing happened, and only the id to go on from is told.
    """

    id: str
    kind: str
    data: Any


class StreamBroke(Exception):
    """The stream ended without being told to; in words."""


def follow(
    client: Client,
    path: str,
    query: Query,
    *,
    after: int | None,
    lost: Callable[[str], None],
) -> Generator[ServerEvent, None, None]:
    """The events from ``path`` after the event with the id ``after``, without end.

    A stream that breaks off is taken up again after the last event that came, for as long
    as it takes; ``lost`` is told why, once each time. A service that is not there at first,
    or refuses, is a :class:`ServiceProblem`.
    """
    last = None if after is None else str(after)
    heard = False
    tries = 0
    while True:
        try:
            for event in _once(client, path, query, last):
                heard = True
                tries = 0
                if event is not None:
                    last = event.id or last
                    if event.data is not None:
                        yield event
            raise StreamBroke(f"{client.server} ended the stream")
        except (NotReached, StreamBroke) as broke:
            if not heard:
                raise ServiceProblem(str(broke)) from None
            reason = str(broke)
        except Refusal as refusal:
            if refusal.status not in (429, 503):
                raise
            reason = refusal.message
        if tries == 0:
            lost(reason)
        client.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
        tries += 1


def _once(
    client: Client, path: str, query: Query, last: str | None
) -> Iterator[ServerEvent | None]:
    """The events of one connection; ``None`` for the beginning of it."""
    headers = {"Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    with (
        closing(client.connect(SILENCE_SECONDS)) as connection,
        closing(client.send(connection, "GET", path, query, None, headers)) as response,
    ):
        media_type = response.getheader("Content-Type") or ""
        if response.status != 200 or not media_type.startswith("text/event-stream"):
            raise client.refusal(response, _start_of(response))
        yield None
        yield from read_events(_lines(response))


def _start_of(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(1 << 16)
    except (http.client.HTTPException, OSError):
        return b""


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            line = response.readline(MOST_LINE_BYTES + 1)
        except (http.client.HTTPException, OSError) as error:
            raise StreamBroke(f"the connection broke off ({error or 'no reason given'})") from None
        if len(line) > MOST_LINE_BYTES:
            raise ServiceProblem("the service sends a line that is longer than any event")
        if not line:
            return
        yield line


def read_events(lines: Iterator[bytes]) -> Iterator[ServerEvent]:
    """The events in the lines of a stream; one that is cut short is none."""
    identity, kind, data = "", "message", ""
    for line in lines:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if not text:
            if data or identity:
                yield ServerEvent(identity, kind, _parsed(data) if data else None)
            kind, data = "message", ""
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                identity = value
            case "event":
                kind = value
            case "data":
                data += f"\n{value}" if data else value
            case _:
                pass  # The standard asks clients to skip fields that they do not know.
        if len(data) > MOST_LINE_BYTES:
            raise ServiceProblem("the service sends an event that is longer than any")


def _parsed(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ServiceProblem("the service sends an event that is not JSON") from None
