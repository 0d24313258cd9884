"""Each owner's share of the interface: how often, how much at once, and what is kept free.

Operators have no share, and some of what there is is kept for them: they have to get in when
others ask for more than there is.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from haizea.api.problems import Refused, later
from haizea.api.settings import ApiSettings
from haizea.service_types import Role, TokenInfo


class Shares:
    """Record of what each owner uses at present. Only the event loop's thread uses it.

    ``clock`` reads seconds that never go back.
    """

    def __init__(self, settings: ApiSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._requests: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        #: By owner, how many requests may follow at once, and as of when. There are no more
        #: owners than tokens, or users who have shown their passwords.
        self._credit: dict[str, tuple[float, float]] = {}

    @contextmanager
    def request(self, token: TokenInfo) -> Iterator[None]:
        """A request is under way meanwhile. Raises :class:`Refused`."""
        if token.role is not Role.OPERATOR:
            self._spend(token.owner)
        with _counted(
            self._requests,
            token,
            self._settings.most_requests,
            self._settings.most_own_requests,
            "requests are under way",
        ):
            yield

    @contextmanager
    def stream(self, token: TokenInfo) -> Iterator[None]:
        """An event stream is open meanwhile. Raises :class:`Refused`."""
        with _counted(
            self._streams,
            token,
            self._settings.most_streams,
            self._settings.most_own_streams,
            "event streams are open",
        ):
            yield

    @property
    def streams(self) -> int:
        """Number of event streams that are open."""
        return self._streams.total()

    def _spend(self, owner: str) -> None:
        """Count a request against what the owner may ask in a time."""
        rate, most = self._settings.requests_per_second, self._settings.requests_at_once
        now = self._clock()
        credit, since = self._credit.get(owner, (float(most), now))
        credit = min(float(most), credit + (now - since) * rate)
        if credit < 1:
            self._credit[owner] = credit, now
            seconds = math.ceil((1 - credit) / rate)
            raise _too_many(
                f"too many requests: {rate:g} a second are the most for one owner, after {most}"
                " at once; try again later",
                seconds,
            )
        self._credit[owner] = credit - 1, now


@contextmanager
def _counted(
    counts: Counter[str], token: TokenInfo, most: int, most_own: int, what: str
) -> Iterator[None]:
    owner, total = token.owner, counts.total()
    if token.role is not Role.OPERATOR:
        if counts[owner] >= most_own:
            raise _too_many(f"{most_own} {what} for {owner} already, the most for one owner", 2)
        most -= most // 10
    if total >= most:
        raise later("busy", f"too many {what}; try again in a moment")
    counts[owner] += 1
    try:
        yield
    finally:
        counts[owner] -= 1
        if not counts[owner]:
            del counts[owner]


def _too_many(message: str, seconds: int) -> Refused:
    """The refusal of what one owner asks for beyond that one's share."""
    return Refused(429, "too-many", message, headers={"Retry-After": str(seconds)})
