"""Limits to what the HTTP interface lets clients ask for, and to how long it waits for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from haizea.core.model.lease import Draft

#: Turns a YAML document or a ``<lease>`` element, by media type, into a request.
#: Raises :class:`ValueError` that says in words what is wrong with it.
ParseLease = Callable[[bytes, str], Draft]

#: No amount of a resource and no duration in seconds is as large as this.
AMOUNT_LIMIT = 1 << 40
#: The most nodes of a lease, and the most sets of equal ones: with more, deciding on one
#: request and starting its VMs could hold up everybody else for longer than 250 ms.
MOST_NODES = 2_000
MOST_NODE_SETS = 100
#: Text that can be shown and kept anywhere, on one line and in its own order: no control
#: characters, no line separators, and nothing that turns round the order of what follows.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
#: The largest whole number that every reader of JSON takes exactly.
MOST_ID = (1 << 53) - 1
#: The most entries in one page of a list.
MOST_ENTRIES = 500
#: The most pairs of reservation and host in one answer about the schedule.
MOST_PLACES = 20_000
#: The most moments in one answer about the use of a host.
MOST_MOMENTS = 5_000
#: The longest period that can be asked about at once.
MOST_PERIOD_SECONDS = 400 * 86_400
#: The last so many states of a lease are told with it.
MOST_STORY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Bounds of the HTTP interface.

    ``decision_seconds`` is how long a client is kept waiting for a decision.
    ``body_seconds`` is how long it may take to send a body, ``request_seconds`` to send
    the head of a request or to begin another one, ``stalled_seconds`` to take in some of
    an answer. ``most_requests`` are under way at once, of them ``most_streams`` event
    streams; each is told of turns no more often than every ``stream_pause_seconds``. A tenth
    of both is kept for operators; what is called ``most_own`` is each other owner's share. One
    owner may ask ``requests_per_second`` for long, and ``requests_at_once`` after a rest.
    ``most_unknown_requests`` may wait until it is known whose they are. Of the connections from
    one address, ``most_unknown_connections`` have shown no good token.
    Questions are answered by ``question_threads``, of which one owner has
    ``own_question_threads`` at most, streams read by ``stream_threads``, tokens looked up by
    ``token_threads``. A browser's session is good for ``session_seconds``.
    YAML is read by one thread, ``most_yaml_bytes`` of it at most.
    """

    most_body_bytes: int = 64 * 1024
    most_yaml_bytes: int = 16 * 1024
    most_head_bytes: int = 16 * 1024
    decision_seconds: float = 30.0
    body_seconds: float = 20.0
    request_seconds: float = 15.0
    stalled_seconds: float = 60.0
    most_connections: int = 800
    most_own_connections: int = 200
    most_unknown_connections: int = 200
    most_requests: int = 500
    most_own_requests: int = 100
    most_unknown_requests: int = 200
    most_streams: int = 100
    most_own_streams: int = 20
    requests_per_second: float = 100.0
    requests_at_once: int = 500
    heartbeat_seconds: float = 15.0
    stream_pause_seconds: float = 0.25
    question_threads: int = 8
    own_question_threads: int = 2
    stream_threads: int = 2
    token_threads: int = 4
    session_seconds: int = 12 * 3600
