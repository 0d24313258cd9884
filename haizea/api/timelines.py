"""The timeline: what is reserved on which hosts over a time, in a compact form.

A picture of a thousand hosts over a week needs all of it at once. It is answered in rows of
numbers, and made once for all who look at the same time.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii

from pydantic import Field

from haizea.api.answers import Answer, ReasonCode, ReasonParameters, When
from haizea.api.manager import Manager, Reserved
from haizea.api.values import written
from haizea.api.views import reason_fields
from haizea.core.model.events import Purpose
from haizea.core.model.hosts import Site
from haizea.core.model.resources import FOREVER, Capacity
from haizea.service_types import Outage

#: The most reservations in an answer, and the most numbers.
MOST_RESERVATIONS = 25_000
_MOST_NUMBERS = 500_000
_STEPS = 400
_PURPOSES = list(Purpose)
_NUMBER_OF_PURPOSE = {purpose: number for number, purpose in enumerate(_PURPOSES)}
_MOST_KEPT = 8
#: How hard to compress: to a fifth, and as quickly as it is sent.
_QUICKLY = 1
#: So far ahead, and so many rows at once between two pauses, things are prepared.
_PREPARED_SECONDS = 14 * 86_400
_AT_ONCE, _PAUSE_SECONDS = 500, 0.002
_Key = tuple[int, int, str | None]
_MOST_ROWS_KEPT = 2 * MOST_RESERVATIONS


class TimelineLease(Answer):
    """A lease of which something is on the timeline."""

    id: int
    owner: str
    label: str


class OutageOut(Answer):
    """Hosts that are out of use for some time."""

    status: str = Field(
        description="`down`, `drained` or `maintenance`, which may be planned.",
        examples=["maintenance"],
    )
    start: int = Field(description="Its start in seconds after `since`, negative if earlier.")
    end: int = Field(description="Its end in seconds after `since`, -1 if none is known.")
    hosts: list[int] = Field(
        description="In pairs, the first host of a run and how many hosts the run has."
    )
    reason: str
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    window: int | None = Field(description="The number of the maintenance window, if it is one.")


class TimelineOut(Answer):
    """The timeline between two moments, in rows of numbers. A user is shown own leases."""

    since: When
    until: When
    complete: bool = Field(description="`false`: there are more. Ask for a shorter time.")
    purposes: list[Purpose] = Field(description="Purposes, by the second number of a row.")
    hosts: list[str] = Field(description="The hosts' names, by number from 0.")
    leases: list[TimelineLease]
    reservations: list[list[int]] = Field(
        description="Each one: the lease; the number of its purpose; its start and its end in"
        " seconds after `since`, -1 without end; 1 if it is firm, 0 if it may still move; the"
        " share of each host that it takes, in percent; then, in pairs, the first host of a run"
        " and how many hosts the run has."
    )
    outages: list[OutageOut] = Field(description="Hosts out of use, by start.")
    step: int = Field(description="Seconds that each digit of `use` stands for.")
    use: list[str] | None = Field(
        description="For a user: how full each host is, whoever uses it, in a digit from 0 (not"
        " at all) to 9 (nearly or wholly) for each step. `null` for who sees all reservations."
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A timeline as JSON, the same compressed, and a tag that is another one for other content."""

    body: bytes
    packed: bytes
    tag: str


_NOTHING = Told(b"", b"", "")


@dataclass(frozen=True, slots=True)
class _Made:
    """A timeline that was told, with all that is in it."""

    told: Told
    found: list[Reserved]
    complete: bool
    outages: Sequence[Outage]
    hosts: int


class Timelines:
    """Answers that were made for somebody and still hold; any thread may use it.

    One is made at a time: whoever asks for the same meanwhile waits and gets it, and the
    scheduler, which shares the processor, is held up by no more than one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = -1
        self._fresh: set[_Key] = set()
        self._made: OrderedDict[_Key, _Made] = OrderedDict()
        self._levels: dict[tuple[int, int], list[str]] = {}
        self._rows = Rows()

    def told(self, manager: Manager, start: int, end: int, owner: str | None) -> Told:
        """The timeline as ``owner`` may see it, ``None`` for everybody's."""
        key = start, end, owner
        with self._lock:
            event = manager.last_event_id()
            if event != self._event:
                self._fresh.clear()
                self._levels.clear()
                self._event = event
            if key not in self._fresh:
                self._made[key] = self._make(manager, key, self._made.get(key))
                self._fresh.add(key)
            self._made.move_to_end(key)
            if len(self._made) > _MOST_KEPT:
                gone, _ = self._made.popitem(last=False)
                self._fresh.discard(gone)
            return self._made[key].told

    def prepare(self, manager: Manager) -> None:
        """Write what is ahead, so that who looks for the first time need not wait for that."""
        now = manager.now()
        ahead = manager.schedule(now, now + _PREPARED_SECONDS, MOST_RESERVATIONS, None)
        for at, _ in enumerate(self._rows.of(ahead, manager.site), 1):
            if not at % _AT_ONCE:
                time.sleep(_PAUSE_SECONDS)

    def _make(self, manager: Manager, key: _Key, before: _Made | None) -> _Made:
        """Return what there is to tell now, which is often what was told ``before``."""
        start, end, _ = key
        site = manager.site
        found = manager.schedule(start, end, MOST_RESERVATIONS + 1, None)
        outages = list(manager.outages(start, end))
        made = _Made(
            told=_NOTHING,
            found=found[:MOST_RESERVATIONS],
            complete=len(found) <= MOST_RESERVATIONS,
            outages=outages,
            hosts=len(site.hosts),
        )
        if before is not None and replace(before, told=_NOTHING) == made:
            return before
        body = self._write(made, site, key)
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        return replace(made, told=Told(body, gzip.compress(body, _QUICKLY, mtime=0), tag))

    def _write(self, made: _Made, site: Site, key: _Key) -> bytes:
        """Write a timeline as :class:`TimelineOut` describes it."""
        start, end, owner = key
        found, complete = made.found, made.complete
        own = found if owner is None else [entry for entry in found if entry.owner == owner]
        leases: dict[int, str] = {}
        rows: list[str] = []
        numbers = 0
        for row in self._rows.of(own, site):
            numbers += row.numbers
            if rows and numbers > _MOST_NUMBERS:
                complete = False
                break
            leases[row.entry.lease_id] = row.lease
            rows.append(row.text if row.since == start else row.written(start))
        step = max(60, -(-(end - start) // _STEPS))
        use = None if owner is None else self._use(found, site, start, end, step)
        rest = TimelineOut.model_construct(
            since=written(start),
            until=written(end),
            complete=complete,
            purposes=_PURPOSES,
            hosts=[host.name for host in site.hosts],
            outages=[_outage(outage, start) for outage in made.outages],
            step=step,
            use=use,
        ).model_dump_json(exclude={"leases", "reservations"})
        lists = f',"leases":[{",".join(leases.values())}],"reservations":[{",".join(rows)}]}}'
        return (rest.removesuffix("}") + lists).encode()

    def _use(
        self, found: Iterable[Reserved], site: Site, start: int, end: int, step: int
    ) -> list[str]:
        """Return how full each host is: the same for all users."""
        made = self._levels.get((start, end))
        if made is None:
            made = self._levels[start, end] = _levels(found, site, start, end, step)
        return made


class _Row:
    """A reservation as JSON; its start and end count from ``since``, for who asked last."""

    __slots__ = ("_after", "_before", "entry", "lease", "numbers", "since", "text")

    def __init__(self, entry: Reserved, site: Site) -> None:
        runs = _runs(sorted([host for host, _ in entry.use]))
        self.entry = entry
        self.numbers = len(runs) + 6
        self._before = f"[{entry.lease_id},{_NUMBER_OF_PURPOSE[entry.purpose]},"
        rest = ",".join(map(str, (int(entry.firm), _share(entry, site), *runs)))
        self._after = f",{rest}]"
        # By hand: a model for each of many thousand takes longer than all the rest of a row.
        owner, label = encode_basestring_ascii(entry.owner), encode_basestring_ascii(entry.label)
        self.lease = f'{{"id":{entry.lease_id},"owner":{owner},"label":{label}}}'
        self.since: int | None = None
        self.text = ""

    def written(self, since: int) -> str:
        """Return the row as :class:`TimelineOut` describes it."""
        start, end = self.entry.start, self.entry.end
        ends = -1 if end >= FOREVER else end - since
        self.since, self.text = since, f"{self._before}{start - since},{ends}{self._after}"
        return self.text


class Rows:
    """Rows of reservations that were seen before, as long as these are the same.

    Between two turns few of many thousand change, and writing the others anew would hold up
    the scheduler, which shares the processor.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Row] = {}

    def of(self, entries: Iterable[Reserved], site: Site) -> Iterator[_Row]:
        """Yield the row of each."""
        known = self._known
        if len(known) > _MOST_ROWS_KEPT:
            known.clear()
        for entry in entries:
            row = known.get(id(entry))
            # A row keeps its entry, so that nothing else has that number meanwhile.
            if row is None:
                row = known[id(entry)] = _Row(entry, site)
            yield row


def _runs(hosts: Iterable[int]) -> list[int]:
    """Write hosts in order as runs: the first one and how many, in pairs."""
    runs: list[int] = []
    last = -2
    for host in hosts:
        if host == last + 1:
            runs[-1] += 1
        else:
            runs += [host, 1]
        last = host
    return runs


def _outage(outage: Outage, since: int) -> OutageOut:
    return OutageOut.model_construct(
        status=outage.status,
        start=outage.start - since,
        end=-1 if outage.end is None else outage.end - since,
        hosts=_runs(outage.hosts),
        **reason_fields(outage.reason),
        window=outage.window_id,
    )


def _share(entry: Reserved, site: Site) -> int:
    """The largest part that it takes of any resource of its first host, in percent."""
    if not entry.use or entry.purpose is Purpose.TRANSFER:
        return 0
    host, amounts = entry.use[0]
    return 100 if host >= len(site.hosts) else _part(amounts, site.hosts[host].capacity)


@lru_cache(maxsize=1024)
def _part(amounts: Capacity, capacity: Capacity) -> int:
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
