"""The connections that are open: whose they are, and which one goes when there are too many.

A new connection is never turned away for others that have shown no token: the oldest of those
makes room for it. So whoever only holds connections open locks nobody out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from haizea.api.settings import ApiSettings
from haizea.service_types import Role, TokenInfo


class Connected(Protocol):
    """A connection: where it is from, and how to end it."""

    @property
    def address(self) -> str:
        """The address of the other side."""

    @property
    def busy(self) -> bool:
        """True if a request is under way on it."""

    def end(self) -> None:
        """Close it at once; it leaves the crowd then."""


class Crowd:
    """All connections of one server, the oldest first. Only the event loop's thread uses it."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        #: Those that have shown no good token, by address.
        self._unknown: dict[str, dict[Connected, None]] = {}
        #: The others, by the owner of the token that was shown last.
        self._known: dict[str, dict[Connected, None]] = {}
        self._whose: dict[Connected, str] = {}
        self.count = 0

    def join(self, connection: Connected) -> None:
        """There is a new connection; another one may have to go for it."""
        self.count += 1
        own = self._unknown.setdefault(connection.address, {})
        own[connection] = None
        if len(own) > self._settings.most_unknown_connections:
            self._end(own)
        if self.count > self._settings.most_connections:
            crowd = max(self._unknown.values(), key=len)
            if len(crowd) > 1 or connection not in crowd:
                self._end(crowd)
            else:
                self._end([c for line in self._by_size() for c in line if not c.busy] or crowd)

    def shown(self, connection: Connected, token: TokenInfo) -> None:
        """A good token was shown on a connection."""
        owner = token.owner
        if self._whose.get(connection) != owner:
            if not self._take_out(connection):
                return
            self._whose[connection] = owner
            self._known.setdefault(owner, {})[connection] = None
            self.count += 1
        line = self._known[owner]
        if token.role is not Role.OPERATOR and len(line) > self._settings.most_own_connections:
            self._end([c for c in line if not c.busy])

    def leave(self, connection: Connected) -> None:
        """A connection is over."""
        self._take_out(connection)

    def _by_size(self) -> list[dict[Connected, None]]:
        return sorted(self._known.values(), key=len, reverse=True)

    def _end(self, line: Iterable[Connected]) -> None:
        """End the first one in a line, if there is any."""
        for connection in line:
            self._take_out(connection)
            connection.end()
            return

    def _take_out(self, connection: Connected) -> bool:
        owner = self._whose.pop(connection, None)
        lines = self._unknown if owner is None else self._known
        key = connection.address if owner is None else owner
        line = lines.get(key, {})
        if connection not in line:
            return False
        del line[connection]
        if not line:
            del lines[key]
        self.count -= 1
        return True
