"""The durable state of a lease manager."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from haizea.core.model.events import Decision
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.service_types import Event, LeaseQuery
from haizea.store import questions
from haizea.store.address import parse_address
from haizea.store.codec import read_site
from haizea.store.database import Database, prepare_file
from haizea.store.errors import StoreError, StoreMissing, StoreUnavailable
from haizea.store.guard import Guard
from haizea.store.migrate import REVISION, migrate, revision
from haizea.store.pruning import prune
from haizea.store.schema import settings, starts, state
from haizea.store.tokens import TokenTable
from haizea.store.turns import KeptTurn, Position, TurnRows, advance, rows_of, text, write_rows

#: What can also say what happens to a row that is there already.
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

#: How often a standby asks for the lock, and how long opening waits for one who upgrades.
_POLL_SECONDS = 0.25
_UPGRADE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """State that a manager goes on from.

    ``now`` is the last turn's moment, ``None`` for a new store. ``records`` are the leases
    that are not over, by id; ids from ``next_lease_id`` on were never used.
    ``last_decisions`` are those that are not known to have been handed over for enactment;
    of what a lease was expected to do, only the latest. ``unreadable`` says of leases that are
    not over why their records cannot be read.
    """

    now: int | None
    records: list[LeaseRecord]
    site: SiteRecord
    next_lease_id: int
    last_event_id: int = 0
    last_decisions: list[Decision] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)


class Store:
    """One manager's hold on a store, and anybody's questions to it.

    :meth:`lock`, :meth:`load`, :meth:`save`, :meth:`enacted` and :meth:`close` are called
    by the manager's thread alone, everything else by any thread at any time; questions are
    answered from what was made durable. All raise :class:`StoreUnavailable` where the
    database cannot be reached or written just now, and may then be tried again.
    """

    def __init__(self, database: Database, notes: list[str]) -> None:
        self._database = database
        self._guard = Guard(database)
        self._position = Position(turn=0, last_event=0, next_lease=1)
        self._enacted = 0
        self._uncertain: KeptTurn | None = None
        #: What was done at opening that an administrator should know, in words.
        self.notes = tuple(notes)
        #: The tokens that are kept here.
        self.tokens = TokenTable(database)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """The store at ``url``: a path, or ``postgresql://user@host/database``.

        A file that is not there is made if ``create``, and tables of an older version are
        brought up to date, a SQLite file being copied first. Raises :class:`StoreMissing` for
        one that is not to be made, and :class:`StoreError`.
        """
        address = parse_address(url)
        notes = prepare_file(address.path, create=create) if address.path is not None else []
        database = Database(address)
        try:
            notes += _bring_up_to_date(database, create=create)
        except BaseException:
            database.close()
            raise
        return cls(database, notes)

    def __repr__(self) -> str:
        return f"Store({self._database.shown!r})"

    @property
    def shown(self) -> str:
        """Place of the store, for people; no password is in it."""
        return self._database.shown

    @property
    def turns(self) -> int:
        """Number of turns that were saved here; to be asked once it is locked."""
        return self._position.turn

    @property
    def kind(self) -> str:
        """Kind of the store, without its place: ``SQLite`` or ``PostgreSQL``."""
        return "PostgreSQL" if self._database.path is None else "SQLite"

    @property
    def silent(self) -> bool:
        """True if its server is there and did not answer when it was asked last."""
        return self._database.silent

    # --- the manager ------------------------------------------------------------------

    def lock(self, wait: bool, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Try to take the store; return whether this manager has it from now on.

        With ``wait``, asks again and again until it has, or ``stopped()``; a server that is
        away does not end this. Without, raises :class:`StoreUnavailable` for that.
        """
        while True:
            try:
                if self._guard.take():
                    self._position, self._enacted, _ = self._read_state()
                    return True
            except StoreUnavailable:
                if not wait:
                    raise
            if not wait or stopped():
                return False
            time.sleep(_POLL_SECONDS)

    def holder(self) -> str:
        """The manager that had the lock last, in words; empty if none ever had."""
        with self._database.reading() as connection:
            return str(connection.execute(sa.select(state.c.holder)).scalar_one())

    def load(self) -> Saved:
        """Load what was saved last."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(state)).one()
            records, unreadable = questions.live_leases(connection)
            return Saved(
                now=row.now,
                records=records,
                unreadable=unreadable,
                site=read_site(row.site),
                next_lease_id=row.next_lease,
                last_event_id=row.last_event,
                last_decisions=questions.decisions_after(connection, row.enacted),
            )

    def save(self, turn: KeptTurn) -> int:
        """Make ``turn`` durable as a whole; the id of the last event there is.

        After :class:`StoreUnavailable` the same turn is saved again until that works: it
        is there once, even if it had become durable before the connection broke. Raises
        :class:`StoreLost` where another manager has the store, and
        :class:`haizea.store.errors.CodecError` for a turn that no store can keep.
        """
        assert self._uncertain in (None, turn), "a turn that was not saved is saved again"
        rows = rows_of(turn)
        uncertain, self._uncertain = self._uncertain is not None, turn
        with self._database.one_writer():
            if not self._try_to_save(rows):
                self._catch_up(unnoticed=uncertain)
        self._uncertain = None
        return self._position.last_event

    def enacted(self) -> None:
        """The commands of all turns saved so far were handed over.

        This costs nothing: it becomes durable with the next turn, or at closing.
        """
        self._enacted = self._position.last_event

    def close(self) -> None:
        """Give the lock back and close all connections."""
        try:
            if self._guard.epoch is not None:
                with self._database.one_writer(), self._guard.transaction() as connection:
                    own = state.c.epoch == self._guard.epoch
                    connection.execute(sa.update(state).where(own).values(enacted=self._enacted))
        except StoreError:
            pass  # Commands that are not known to be enacted are enacted again.
        finally:
            self._guard.release()
            self._database.close()

    # --- questions --------------------------------------------------------------------

    def lease(self, lease_id: int) -> LeaseRecord | None:
        """The lease with this id, over or not, unless it was forgotten."""
        with self._database.reading() as connection:
            return questions.lease(connection, lease_id)

    def leases(
        self, query: LeaseQuery, known: questions.Known = lambda lease_id: None
    ) -> list[LeaseRecord]:
        """One page of leases; at most ``questions.MOST_ROWS``.

        ``known`` finds the record of one that is at hand, which takes less than to read it.
        """
        with self._database.reading() as connection:
            return questions.find_leases(connection, query, known)

    def count(self, query: LeaseQuery) -> int:
        """Return the number of leases on all pages of ``query``."""
        with self._database.reading() as connection:
            return questions.count_leases(connection, query)

    def events(
        self, after: int, limit: int, lease_id: int | None = None, owner: str | None = None
    ) -> list[Event]:
        """At most ``limit`` events after the one with id ``after``, oldest first.

        Of what a waiting lease was expected to do only the latest is kept.
        """
        with self._database.reading() as connection:
            return questions.find_events(connection, after, limit, lease_id, owner)

    def operations(self, start: int, end: int, limit: int, owner: str | None = None) -> list[Event]:
        """At most ``limit`` operations that were under way in ``[start, end)`` and are over."""
        with self._database.reading() as connection:
            return questions.operations(connection, start, end, limit, owner)

    def about_hosts(self) -> list[Decision]:
        """List what became of hosts and maintenance windows, as far as it is kept, in order."""
        with self._database.reading() as connection:
            return questions.about_hosts(connection)

    def labels(self, lease_ids: Collection[int]) -> dict[int, str]:
        """The labels of these leases; those that were forgotten are left out."""
        with self._database.reading() as connection:
            return questions.labels(connection, lease_ids)

    def first_runs(self, lease_ids: Sequence[int]) -> dict[int, int]:
        """Return when each of these leases first ran, in seconds since the epoch, if it did."""
        with self._database.reading() as connection:
            return questions.first_runs(connection, lease_ids)

    def lease_for_key(self, owner: str, key: str, digest: str | None = None) -> int | None:
        """The lease that ``owner`` asked for with this idempotency key, if any.

        Raises :class:`haizea.service_types.KeyReused` where another request had it, by its digest.
        """
        with self._database.reading() as connection:
            return questions.lease_for_key(connection, owner, key, digest)

    def setting(self, name: str) -> str | None:
        """The text kept under ``name``, if any."""
        select = sa.select(settings.c.value).where(settings.c.name == text(name))
        with self._database.reading() as connection:
            return connection.execute(select).scalar()

    def service_periods(self) -> list[tuple[int, int]]:
        """List when managers started, each with the moment of its last turn, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(starts).order_by(starts.c.started)).all()
            now = connection.execute(sa.select(state.c.now)).scalar()
        ends = [*[row.down_since for row in rows], now][1:]
        return [
            (row.started, row.started if end is None else max(row.started, end))
            for row, end in zip(rows, ends, strict=True)
        ]

    # --- changes beside the turns -----------------------------------------------------

    def set_setting(self, name: str, value: str) -> None:
        """Keep a small text under ``name``."""
        insert = _INSERTS[self._database.write.dialect.name](settings)
        row = {"name": text(name), "value": text(value)}
        keep = insert.on_conflict_do_update(index_elements=[settings.c.name], set_=row)
        with self._database.changing() as connection:
            connection.execute(keep, row)

    def note_start(self, down_since: int | None, now: int) -> None:
        """A manager started at ``now``; the one before had its last turn at ``down_since``."""
        insert = _INSERTS[self._database.write.dialect.name](starts)
        row = {"started": now, "down_since": down_since}
        with self._database.changing() as connection:
            connection.execute(insert.on_conflict_do_nothing(), row)

    def prune(self, before: int) -> int:
        """Forget leases that ended before this moment, with all that was kept for them.

        Also what hosts did before it. Answers how many leases were forgotten. Works in
        small steps, between which turns can be saved.
        """
        return prune(self._database, before)

    # --- saving -----------------------------------------------------------------------

    def _try_to_save(self, rows: TurnRows) -> bool:
        """Return whether the store was where this manager left it; the turn is then durable."""
        before, epoch = self._position, self._guard.epoch
        assert epoch is not None, "lock() comes before save()"
        after = rows.after(before)
        with self._guard.transaction() as connection:
            if not advance(connection, epoch, before, after, rows.now, self._enacted):
                return False
            write_rows(connection, rows, before)
        self._position = after
        return True

    def _catch_up(self, unnoticed: bool) -> None:
        """The store is elsewhere: the turn became durable unnoticed, or it is another's now."""
        found, _, (epoch, holder) = self._read_state()
        if epoch != self._guard.epoch:
            raise self._guard.lost(holder)
        if not unnoticed or found.turn != self._position.turn + 1:
            raise self._guard.lost("unknown: what is in it is not what this one saved")
        self._position = found

    def _read_state(self) -> tuple[Position, int, tuple[int, str]]:
        """Position, the last event that was enacted, epoch and holder."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(state)).one()
        position = Position(turn=row.turn, last_event=row.last_event, next_lease=row.next_lease)
        return position, row.enacted, (row.epoch, row.holder)


def _bring_up_to_date(database: Database, *, create: bool) -> list[str]:
    """Make or upgrade the tables, under the lock: nobody uses them meanwhile."""
    deadline = time.monotonic() + _UPGRADE_SECONDS
    while (found := revision(database)) != REVISION:
        if found is None and not create:
            raise StoreMissing(f"the store {database.shown} is empty")
        guard = Guard(database)
        try:
            if guard.hold():
                return migrate(database)
        finally:
            guard.release()
        if time.monotonic() > deadline:
            raise StoreError(
                f"the store {database.shown} has the schema {found}, must be upgraded to"
                f" {REVISION}, and is in use: stop the manager that runs, then start this one"
            )
        time.sleep(_POLL_SECONDS)
    return []
