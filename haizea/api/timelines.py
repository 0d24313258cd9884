"""The timeline: what is reserved on which hosts over a time, in a compact form.

A picture of a thousand hosts over a week needs all of it at once. It is answered in rows of
numbers, and made once for all who look at the same time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from haizea.api.answers import TimelineLease, TimelineOut
from haizea.api.manager import Manager, Reserved
from haizea.api.values import written
from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Site
from haizea.core.model.resources import FOREVER

#: The most reservations in an answer, and the most numbers.
MOST_RESERVATIONS = 25_000
_MOST_NUMBERS = 500_000
_STEPS = 400
_PURPOSES = list(Purpose)
_MOST_KEPT = 8


class Timelines:
    """Answers that were made for somebody and still hold; any thread may use it.

    One is made at a time: whoever asks for the same meanwhile waits and gets it, and the
    scheduler, which shares the processor, is held up by no more than one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = -1
        self._made: OrderedDict[tuple[int, int, str | None], bytes] = OrderedDict()

    def body(self, manager: Manager, start: int, end: int, owner: str | None) -> bytes:
        """The answer as JSON."""
        key = start, end, owner
        with self._lock:
            event = manager.last_event_id()
            if event != self._event:
                self._made.clear()
                self._event = event
            made = self._made.get(key)
            if made is None:
                made = timeline(manager, start, end, owner).model_dump_json().encode()
                self._made[key] = made
                if len(self._made) > _MOST_KEPT:
                    self._made.popitem(last=False)
        return made


def timeline(manager: Manager, start: int, end: int, owner: str | None) -> TimelineOut:
    """The timeline as ``owner`` may see it, ``None`` for everybody's."""
    site = manager.site
    found = manager.schedule(start, end, MOST_RESERVATIONS + 1, None)
    complete = len(found) <= MOST_RESERVATIONS
    found = found[:MOST_RESERVATIONS]
    own = found if owner is None else [entry for entry in found if entry.owner == owner]
    leases: dict[int, TimelineLease] = {}
    rows: list[list[int]] = []
    numbers = 0
    for entry in own:
        row = _row(entry, start, site)
        numbers += len(row)
        if rows and numbers > _MOST_NUMBERS:
            complete = False
            break
        if entry.lease_id not in leases:
            leases[entry.lease_id] = TimelineLease(
                id=entry.lease_id, owner=entry.owner, label=entry.label
            )
        rows.append(row)
    step = max(60, -(-(end - start) // _STEPS))
    return TimelineOut.model_construct(
        since=written(start),
        until=written(end),
        complete=complete,
        purposes=_PURPOSES,
        hosts=[host.name for host in site.hosts],
        leases=list(leases.values()),
        reservations=rows,
        step=step,
        use=None if owner is None else _levels(found, site, start, end, step),
    )


def _row(entry: Reserved, start: int, site: Site) -> list[int]:
    """A reservation in numbers, as :class:`TimelineOut` describes them."""
    ends = -1 if entry.end >= FOREVER else entry.end - start
    share = _share(entry, site)
    row = [
        entry.lease_id,
        _PURPOSES.index(entry.purpose),
        entry.start - start,
        ends,
        int(entry.firm),
        share,
    ]
    last = -2
    for host, _ in sorted(entry.use):
        if host == last + 1:
            row[-1] += 1
        else:
            row += [host, 1]
        last = host
    return row


def _share(entry: Reserved, site: Site) -> int:
    """The largest part that it takes of any resource of its first host, in percent."""
    if not entry.use or entry.purpose is Purpose.TRANSFER:
        return 0
    host, amounts = entry.use[0]
    if host >= len(site.hosts):
        return 100
    capacity = site.hosts[host].capacity
    parts = [100 * part // most for part, most in zip(amounts, capacity, strict=True) if most]
    return max([1, *parts])


def _levels(entries: Iterable[Reserved], site: Site, start: int, end: int, step: int) -> list[str]:
    """Return how full each host is, step by step: a digit from 0 to 9 each."""
    steps = -(-(end - start) // step)
    changes = [[0] * (steps + 1) for _ in site.hosts]
    for entry in entries:
        if entry.purpose is Purpose.TRANSFER:
            continue
        first = max(0, (entry.start - start) // step)
        after = min(steps, max(first + 1, -(-(entry.end - start) // step)))
        share = _share(entry, site)
        for host, _ in entry.use:
            if host < len(changes):
                changes[host][first] += share
                changes[host][after] -= share
    return [_digits(row[:steps]) for row in changes]


def _digits(changes: Sequence[int]) -> str:
    """Write a running sum of percents in tenths, rounded up: 0 is nothing, 9 is nearly all."""
    digits, total = [], 0
    for change in changes:
        total += change
        digits.append(str(min(9, -(-total // 11))))
    return "".join(digits)
