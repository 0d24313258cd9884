"""The slot table does what an oracle does that counts every second on every host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from effort import how_hard, seeded, tries
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from slot_oracle import HORIZON, Entry, Oracle

from haizea.core.capacity.fit_index import Levels, SizeIndexes, level_count
from haizea.core.capacity.hold import Hold, shape_of
from haizea.core.capacity.openings import Spans
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Use
from haizea.core.model.hosts import EVERYWHERE, Host, HostSet, host_set
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.resources import FOREVER, Capacity, fits
from haizea.core.placement.mapper import Demand
from haizea.core.placement.shadow import Claim

CAPACITIES = st.tuples(st.sampled_from([4, 4, 8]), st.sampled_from([4, 4, 6]), st.just(2))
SIZES: tuple[Capacity, ...] = ((1, 1, 0), (2, 1, 1), (4, 4, 0), (0, 3, 0), (3, 2, 1), (4, 4, 2))
SIZE = st.sampled_from(SIZES)
LENGTH = st.one_of(st.integers(1, 7), st.just(FOREVER))


def trimmed(levels: Levels) -> list[int]:
    """Levels without empty ones at the end."""
    last = max((i + 1 for i, level in enumerate(levels) if level), default=0)
    return levels[:last]


@dataclass
class Wanted:
    """A number of nodes of a size, on any hosts."""

    size: Capacity | None
    count: int
    allowed: HostSet = EVERYWHERE


@seeded
class SlotTables(RuleBasedStateMachine):
    """Random changes to a slot table and to the oracle."""

    table: SlotTable
    oracle: Oracle

    @initialize(capacities=st.lists(CAPACITIES, min_size=1, max_size=4), now=st.integers(0, 3))
    def begin(self, capacities: list[Capacity], now: int) -> None:
        self.table = SlotTable([Host(i, f"h{i}", c) for i, c in enumerate(capacities)], now)
        self.oracle = Oracle(now, list(capacities))

    # --- what is drawn ------------------------------------------------------------------

    def hosts(self) -> range:
        return range(len(self.oracle.capacities))

    def moment(self, data: st.DataObject) -> int:
        return data.draw(st.integers(self.oracle.now, max(HORIZON, self.oracle.now)), "moment")

    def use(self, data: st.DataObject) -> Use:
        hosts = st.sets(st.integers(0, len(self.oracle.capacities) - 1), min_size=1)
        return tuple([(h, data.draw(SIZE, "size")) for h in sorted(data.draw(hosts, "hosts"))])

    def interval(self, data: st.DataObject) -> tuple[int, int]:
        start = self.moment(data)
        end = start + data.draw(LENGTH, "length")
        return start, end if end <= HORIZON else FOREVER

    def entry(self, data: st.DataObject, suits: Callable[[Entry], bool]) -> Hold | None:
        holds = [hold for hold, entry in self.oracle.entries.items() if suits(entry)]
        return data.draw(st.sampled_from(holds), "hold") if holds else None

    def place(self, data: st.DataObject, table: SlotTable, oracle: Oracle) -> Hold | None:
        start, end = self.interval(data)
        use, firm = self.use(data), data.draw(st.booleans(), "firm")
        if not oracle.fits_on(use, start, end):
            return None
        hold = table.reserve(start, end, use, 1, firm=firm)
        oracle.reserve(hold, start, end, use, firm)
        return hold

    # --- changes ------------------------------------------------------------------------

    @rule(data=st.data())
    def reserve(self, data: st.DataObject) -> None:
        self.place(data, self.table, self.oracle)

    @rule(data=st.data())
    def reserve_again(self, data: st.DataObject) -> None:
        self.place(data, self.table, self.oracle)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        hold = self.entry(data, lambda e: True)
        if hold is not None:
            self.table.release(hold)
            del self.oracle.entries[hold]

    @rule(data=st.data(), back=st.booleans())
    def withdraw(self, data: st.DataObject, back: bool) -> None:
        hold = self.entry(data, lambda e: e.start > self.oracle.now)
        if hold is None:
            return
        self.table.withdraw(hold)
        entry = self.oracle.entries.pop(hold)
        if back:
            self.agree()
            self.table.restore(hold)
            self.oracle.entries[hold] = entry

    @rule(data=st.data())
    def change_end(self, data: st.DataObject) -> None:
        hold = self.entry(data, lambda e: True)
        if hold is None:
            return
        entry = self.oracle.entries.pop(hold)
        end = data.draw(st.integers(max(entry.start, self.oracle.now) + 1, HORIZON + 1), "end")
        end = end if end <= HORIZON else FOREVER
        start = max(entry.start, self.oracle.now)
        if self.oracle.fits_on(tuple(entry.use.items()), start, end):
            self.table.change_end(hold, end)
            entry.end = end
        self.oracle.entries[hold] = entry

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Have some that have not begun go elsewhere all at once, where they fit."""
        before = self.oracle.copy()
        entries = before.entries.items()
        ahead = [hold for hold, e in entries if e.start > before.now and e.end <= HORIZON]
        moves = []
        for hold in data.draw(st.lists(st.sampled_from(ahead), unique=True)) if ahead else []:
            del self.oracle.entries[hold]
        for hold in [hold for hold in ahead if hold not in self.oracle.entries]:
            start, host = self.moment(data), data.draw(st.sampled_from(self.hosts()), "host")
            entry, amount = before.entries[hold], max(before.entries[hold].use.values())
            end, use = start + hold.end - hold.start, ((host, amount),)
            if end > HORIZON or not self.oracle.fits_on(use, start, end):
                self.oracle = before
                return
            self.oracle.entries[hold] = Entry(start, end, dict(use), entry.firm)
            moves.append((hold, start, use, shape_of(use)))
        for (old, *_), new in zip(moves, self.table.move(moves), strict=True):
            self.oracle.entries[new] = self.oracle.entries.pop(old)

    @precondition(lambda self: self.oracle.now < HORIZON)
    @rule(seconds=st.integers(0, 6))
    def advance(self, seconds: int) -> None:
        now = min(self.oracle.now + seconds, HORIZON)
        self.table.advance(now)
        self.oracle.advance(now)

    @precondition(lambda self: len(self.oracle.capacities) < 6)
    @rule(capacity=CAPACITIES)
    def add_host(self, capacity: Capacity) -> None:
        index = len(self.oracle.capacities)
        self.table.add_host(Host(index, f"h{index}", capacity))
        self.oracle.capacities.append(capacity)

    @rule(data=st.data())
    def shut(self, data: st.DataObject) -> None:
        host = data.draw(st.integers(0, len(self.oracle.capacities) - 1), "host")
        self.oracle.shut ^= {host}
        self.table.shut = host_set(self.oracle.shut)

    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        """Change a fork: it does not show here, nor the other way round."""
        twin, twin_oracle = self.table.fork(), self.oracle.copy()
        hold = self.entry(data, lambda e: e.start >= self.oracle.now)
        if hold is not None:
            twin.withdraw(hold)
            entry = twin_oracle.entries.pop(hold)
            if data.draw(st.booleans(), "back"):
                twin.restore(hold)
                twin_oracle.entries[hold] = entry
        self.place(data, twin, twin_oracle)
        self.place(data, self.table, self.oracle)
        self.agree()
        agree(twin, twin_oracle)

    # --- questions ----------------------------------------------------------------------

    @rule(data=st.data(), size=SIZE)
    def ask_for_room(self, data: st.DataObject, size: Capacity) -> None:
        start, end = self.interval(data)
        expected = self.oracle.room(size, start, end)
        assert trimmed(self.table.room(size, start, end)) == expected
        for host in range(len(self.oracle.capacities)):
            least = self.oracle.least_free(host, start, end)
            assert self.table.least_free(host, start, end) == least

    @rule(data=st.data(), size=SIZE)
    def glance(self, data: st.DataObject, size: Capacity) -> None:
        start, end = self.interval(data)
        free, unsure = self.table.glance(size, start, end)
        expected = (self.oracle.room(size, start, end) or [0])[0]
        assert not free & ~expected
        assert not expected & ~free & ~unsure

    @rule(data=st.data())
    def ask_who_stays_free(self, data: st.DataObject) -> None:
        start = self.moment(data)
        free = [h for h in self.hosts() if not self.oracle.held(start, start + 1) >> h & 1]
        starts: dict[int, HostSet] = {}
        for host in free:
            later = [e.start for e in self.oracle.entries.values() if host in e.use]
            first = min([t for t in later if t >= start], default=FOREVER)
            starts[first] = starts.get(first, 0) | 1 << host
        found = [hosts for hosts in self.table.by_next_start(host_set(free), start) if hosts]
        assert found == [starts[first] for first in sorted(starts, reverse=True)]

    @rule(data=st.data(), size=SIZE, count=st.integers(1, 8), length=LENGTH)
    def ask_for_moments(self, data: st.DataObject, size: Capacity, count: int, length: int) -> None:
        start = self.moment(data)
        before = data.draw(st.one_of(st.just(FOREVER), st.integers(start, HORIZON)), "before")
        found = [
            (moment, trimmed(levels.copy()))
            for moment, levels in self.table.moments(Wanted(size, count), length, start, before)
        ]
        first = self.oracle.earliest(size, count, length, start, before)
        assert (found[0][0] if found else None) == first
        assert found == sorted(found)
        for moment, levels in found:
            assert start <= moment < before
            assert levels == self.oracle.room(size, moment, moment + length)
            assert level_count(levels, FOREVER) >= count

    @rule(data=st.data(), size=SIZE, count=st.integers(1, 8), length=LENGTH)
    def ask_for_moments_without_a_hold(
        self, data: st.DataObject, size: Capacity, count: int, length: int
    ) -> None:
        hold = self.entry(data, lambda e: e.start > self.oracle.now)
        if hold is None:
            return
        start = data.draw(st.integers(self.oracle.now, hold.start), "start")
        asked = Wanted(size, count), length, start, hold.start
        found = [
            (moment, trimmed(levels.copy()))
            for moment, levels in self.table.moments(*asked, without=hold)
        ]
        entry = self.oracle.entries.pop(hold)
        first = self.oracle.earliest(size, count, length, start, hold.start)
        rooms = [self.oracle.room(size, moment, moment + length) for moment, _ in found]
        self.oracle.entries[hold] = entry
        assert (found[0][0] if found else None) == first
        assert [levels for _, levels in found] == rooms

    @rule(data=st.data(), length=LENGTH)
    def ask_for_certain_hosts(self, data: st.DataObject, length: int) -> None:
        start = self.moment(data)
        before = data.draw(st.one_of(st.just(FOREVER), st.integers(start, HORIZON)), "before")
        use = self.use(data)
        end = start + length
        assert self.table.fits_on(use, start, end) == self.oracle.fits_on(use, start, end)
        if all(fits(amount, self.oracle.capacities[host]) for host, amount in use):
            expected = self.oracle.earliest_on(use, length, start, before)
            assert self.table.earliest_on(use, length, start, before) == expected
            moments = self.table.candidate_starts(start, before)
            free = [m for m in moments if self.oracle.fits_on(use, m, m + length)]
            assert list(self.table.moments_on(use, length, start, before)) == free

    @rule(data=st.data(), size=SIZE, count=st.integers(1, 8), length=LENGTH)
    def ask_for_enough_in_all(
        self, data: st.DataObject, size: Capacity, count: int, length: int
    ) -> None:
        start = self.moment(data)
        before = data.draw(st.integers(start, HORIZON + 1), "before")
        found = self.table.totals().first(size, count, length, self.oracle.now, start, before)
        assert found == self.oracle.enough_in_all(size, count, length, start, before)

    @rule(data=st.data(), size=SIZE, count=st.integers(1, 4))
    def ask_beside_a_claim(self, data: st.DataObject, size: Capacity, count: int) -> None:
        """Tell whether a claim stands as if the other use was held, which leaves no trace."""
        start, end = self.interval(data)
        first, last = self.interval(data)
        use, claimed = self.use(data), self.use(data)
        if not self.oracle.fits_on(use, first, last):
            return
        held = self.oracle.copy()
        held.reserve(Hold(first, last, use, shape_of(use), 1, True, 0), first, last, use, True)
        levels = self.table.room(size, start, end).copy()
        claim = Claim(1, _demand(size, count), start, end, levels, None)
        stands = level_count(held.room(size, start, end), FOREVER) >= count
        overlap = first < end and last > start
        assert claim.allows(self.table, use, first, last) == (stands or not overlap)
        claim = Claim(1, _demand(size, count), start, end, None, claimed)
        stands = held.fits_on(claimed, start, end)
        assert claim.allows(self.table, use, first, last) == (stands or not overlap)

    @rule(data=st.data())
    def ask_what_is_held(self, data: st.DataObject) -> None:
        start, end = self.interval(data)
        entries = self.oracle.entries
        some = data.draw(st.integers(0, (1 << len(self.oracle.capacities)) - 1), "some")
        assert self.table.held(start, end, some) == self.oracle.held(start, end) & some
        host = data.draw(st.integers(0, len(self.oracle.capacities) - 1), "host")
        assert self.table.next_change(host, start) == self.oracle.next_change(host, start)
        assert self.table.firm_starts(start, end) == self.oracle.firm_starts(start, end)
        between = {hold for hold, e in entries.items() if e.overlaps(start, end)}
        assert set(self.table.holds_between(start, end)) == between
        candidates = list(self.table.candidate_starts(start))
        assert candidates == [start, *sorted({e for e in self.oracle.ends() if e > start})]

    @invariant()
    def agree(self) -> None:
        agree(self.table, self.oracle)


def _demand(size: Capacity, count: int) -> Demand:
    nodes = (NodeSet(count, size),)
    return Demand(LeaseRequest(id=1, submitted=0, kind=Kind.BEST_EFFORT, nodes=nodes, duration=1))


def agree(table: SlotTable, oracle: Oracle) -> None:
    """Table and oracle say the same."""
    now = oracle.now
    table.check()
    for start, end in ((now, now + 1), (now, now + 4), (now, FOREVER), (now + 3, now + 9)):
        found = [trimmed(table.room(size, start, end)) for size in SIZES]
        assert found == oracle.rooms(SIZES, start, end)
    for host in range(len(oracle.capacities)):
        there = {hold for hold, e in oracle.entries.items() if host in e.use}
        assert set(table.holds_on(host)) == there
    future = [e for e in oracle.entries.values() if e.start > now]
    assert table.has_future == bool(future)
    assert table.has_firm_future == any(e.firm for e in future)
    same = set(oracle.capacities)
    assert table.uniform_capacity == (next(iter(same)) if len(same) == 1 else None)


TestSlotTables = pytest.mark.slow(SlotTables.TestCase)
TestSlotTables.settings = how_hard(100, stateful_step_count=40)


@tries(200)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 4)), max_size=12),
    st.sampled_from([(4, 4, 2), (2, 2, 1), (1, 3, 2)]),
    st.data(),
)
def test_holds_change_hands_at_once(
    wanted: list[tuple[int, int, int]], part: Capacity, data: st.DataObject
) -> None:
    table = SlotTable([Host(i, f"h{i}", (4, 4, 2)) for i in range(3)], 0)
    holds: list[Hold] = []
    for host, start, length in wanted:
        if table.fits_on(use := ((host, part),), start, start + length):
            holds.append(table.reserve(start, start + length, use, 1))
    some = data.draw(st.lists(st.sampled_from(holds), unique=True)) if holds else []
    trial = table.fork()
    for hold in some:
        trial.withdraw(hold)
    moves = []
    for hold in some:
        start, host = data.draw(st.integers(1, 8)), data.draw(st.integers(0, 2))
        end, use = start + hold.end - hold.start, ((host, part),)
        assume(trial.fits_on(use, start, end))
        trial.reserve(start, end, use, 1)
        moves.append((hold, start, use, shape_of(use)))
    for hold in table.move(moves):
        table.check()
        table.withdraw(hold)
    table.check()


@tries(300)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(2, 6)), min_size=6),
    st.lists(st.sampled_from([(4, 4, 2), (2, 2, 1), (1, 1, 0)]), min_size=16, max_size=16),
    st.sampled_from([(1, 1, 0), (2, 1, 1), (3, 2, 1)]),
    st.data(),
)
def test_a_sooner_moment_has_room_on_hosts_where_some_came_free(
    wanted: list[tuple[int, int, int]], parts: list[Capacity], size: Capacity, data: st.DataObject
) -> None:
    table = SlotTable([Host(i, f"h{i}", (4, 4, 2)) for i in range(3)], 0)
    holds: list[Hold] = []
    for (host, start, length), part in zip(wanted, parts, strict=False):
        if table.fits_on(use := ((host, part),), start, start + length):
            holds.append(table.reserve(start, start + length, use, 1))
    length = data.draw(st.integers(2, 6))
    fit = level_count(table.room(size, 0, length), FOREVER)
    asked = Wanted(size, fit + data.draw(st.integers(1, 2)))
    mine = [h for h in holds if h.start > 2]
    own = data.draw(st.one_of(st.none(), st.sampled_from(mine))) if mine else None
    last = own.start if own else FOREVER
    before = next((t for t, _ in table.moments(asked, length, 0, last, None, own)), last)
    table.openings.listen()
    table.advance(data.draw(st.integers(0, 2)))
    for hold in data.draw(st.lists(st.sampled_from(holds), unique=True)) if holds else []:
        if hold is not own:
            table.release(hold)
    spans = Spans(table.openings.since(0), EVERYWHERE)
    found = [moment for moment, _ in table.moments(asked, length, 0, before, None, own)]
    assert [t for t, _ in table.moments(asked, length, 0, before, spans, own)] == found


def test_releasing_again_what_had_started_changes_nothing() -> None:
    table = SlotTable([Host(0, "h", (4, 4))], 0)
    hold = table.reserve(0, 10, ((0, (4, 4)),), 1)
    table.release(hold)
    table.reserve(0, 5, ((0, (3, 3)),), 2)
    table.release(hold)
    table.check()
    assert table.least_free(0, 0, 5) == (1, 1)


def test_more_sizes_than_are_kept_at_once() -> None:
    free: list[Capacity] = [(200, 500), (100, 100)]
    indexes = SizeIndexes(free)
    for amount in range(1, 200):
        levels: Any = indexes.of((amount, 1)).levels
        expected = sum(f[0] // amount for f in free)
        assert level_count(levels, FOREVER) == expected
    free[0] = (10, 10)
    indexes.change(1, (200, 500), (10, 10))
    assert level_count(indexes.of((5, 1)).levels, FOREVER) == 22
    indexes.check()
