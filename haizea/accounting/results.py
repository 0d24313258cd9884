"""The results file of a run: what the scheduler decided, as it went.

The file is written under a temporary name beside its own and renamed when the run is
over, so that under its own name it is always whole. Its content depends on the
decisions alone. Rows are buffered and written in large blocks; a lease that has ended
leaves memory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, assert_never

from haizea.accounting import figures, freshfile, schema
from haizea.accounting.changes import ChangeRows
from haizea.accounting.counter_rows import CounterRows
from haizea.accounting.delivery import Delivery, blamed
from haizea.accounting.errors import ResultsError
from haizea.accounting.held import alike, listed
from haizea.accounting.lease_rows import NO_REASON, STATE_NAMES, LeaseRows, reason_columns
from haizea.accounting.leases import COUNTED, LeaseRecord
from haizea.accounting.limited import Limited
from haizea.accounting.planned import Planned
from haizea.accounting.probes.base import Probe
from haizea.accounting.rows import Rows
from haizea.accounting.underway import UnderWay
from haizea.accounting.windows import window_row
from haizea.core.model.allocation import Use
from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    Expected,
    HostChanged,
    HostsLimited,
    HostsPlanned,
    ImageStored,
    LeaseAccepted,
    LeaseAltered,
    MaintenanceChanged,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.members import ACTIVE, OUTAGE
from haizea.core.model.reasons import Reason
from haizea.core.model.turn import Turn
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned

Status = Literal["complete", "interrupted", "failed"]

# SQLite takes an exact str at once, but asks around what to do with a subclass of it.
_PURPOSE: Final = {purpose: purpose.value for purpose in Purpose}

#: Buffers are written when one holds about this many values, or after so many notes.
_BUFFERED_VALUES: Final = 100_000
_BUFFERED_NOTES: Final = 4096
#: So many notes are taken in at a time.
_PENDING_NOTES: Final = 1024

#: A change of state whose numbers go into a row as they are: compiled code, which has numbers
#: in a form of its own, takes them out of Python's and makes new ones where it knows of them.
_PassingThrough = tuple[Any, Any, State, State, Reason | None, str]


class ResultsFile:
    """Writes one results file.

    ``settings`` are the options in effect, ``(section, option, value)``; ``labels`` are
    the run's; ``probes`` are told of every decision, and what they find is recorded. Give
    every moment's decisions to :meth:`note`, in order of time, and call :meth:`finish`
    once. The run starts at ``start``, or else at the first moment noted. ``faults`` says in
    a few words what was made to go wrong in it; in ``absences`` nobody was there to carry
    out what was due.

    Raises :class:`ResultsError` where it cannot be written, at once or for a full disk later.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        site: Site,
        settings: Iterable[tuple[str, str, str]] = (),
        labels: Mapping[str, str] | None = None,
        workload: str = "",
        version: str = "",
        *,
        probes: Sequence[Probe] = (),
        start: int | None = None,
        faults: str = "",
        absences: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._path = Path(path)
        self._site = site
        self._hosts = {host.id: host for host in site.hosts}
        self._host_texts = [str(i) for i in range(len(site.hosts))]
        self._workload = workload
        self._version = version
        self._faults = faults
        self._absences = absences
        self._probes = probes
        self._delivery = Delivery(probes)
        self._started_boxes = self._delivery.boxes(OperationStarted)
        self._ended_boxes = self._delivery.boxes(OperationEnded)
        self._start: int | None = None
        self._live: dict[int, LeaseRecord] = {}
        self._under_way = UnderWay()
        self._work = figures.Work(site)
        self._notes = 0
        self._pending: list[tuple[int, Sequence[Decision]]] = []
        self._patience = 1 if self._delivery.impatient else _PENDING_NOTES
        types = site.types.names
        _check_types(types)
        freshfile.check_replaceable(self._path)
        self._temporary = freshfile.create_beside(self._path)
        try:
            with self._telling():
                self._db = _empty_database(self._temporary, types)
                self._insert("configuration", settings)
                self._insert("labels", sorted((labels or {}).items()))
            self._leases = LeaseRows(self._db)
            self._reservations = Rows(self._db, "reservation_sets")
            self._states = Rows(self._db, "states")
            self._host_states = Rows(self._db, "host_states")
            self._limited = Limited(self._db)
            self._planned = Planned(self._db)
            self._maintenance = Rows(self._db, "maintenance")
            self._changes = ChangeRows(self._db)
            self._counters = CounterRows(self._db)
            if start is not None:
                self._begin(start)
        except BaseException:
            self._temporary.unlink(missing_ok=True)
            raise

    @property
    def path(self) -> Path:
        """The path of the results once the run is over."""
        return self._path

    def note(self, turn: Turn) -> None:
        """Record what was decided in a turn.

        Many are taken in at a time, faster by a third, unless a probe wants each as it comes.
        """
        if self._start is None:
            self._begin(turn.now)
        self._pending.append((turn.now, turn.decisions))
        if len(self._pending) >= self._patience:
            self._catch_up()

    def finish(self, status: Status, now: int) -> None:
        """The run is over: write the rest, and give the file its name.

        Leases that have not ended get the state they are in; what is under way gets
        ``now`` as its end.
        """
        if self._start is None:
            self._begin(now)
        assert self._start is not None
        self._catch_up()
        nothing = self._site.types.zero()
        for operation in self._under_way.cut(now, self._live, self._hosts, nothing):
            self._reserve(*operation)
        for lease_id in sorted(self._live):
            self._write_lease(self._live[lease_id])
        try:
            self._flush()
            with self._telling():
                for rows in self._rows():
                    rows.finish()
                self._counters.finish()
                self._insert(
                    "hosts",
                    ((h.id, h.name, *h.capacity) for _, h in sorted(self._hosts.items())),
                )
                found = figures.standard(self._work, self._start, now)
                for probe in self._probes:
                    try:
                        found.update(probe.figures(now))
                    except Exception as error:
                        raise blamed(probe, now, error) from error
                self._insert("figures", sorted(found.items()))
                self._insert("run", sorted(self._facts(status, self._start, now).items()))
                self._db.execute("COMMIT")
                self._db.close()
            freshfile.give_name(self._temporary, self._path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Leave nothing behind; what had the file's name before stays."""
        self._db.close()
        self._temporary.unlink(missing_ok=True)

    def _catch_up(self) -> None:  # noqa: C901
        """Take in the notes that are pending."""
        # Every decision of a run passes here: the most frequent first, fields unpacked at
        # once, nothing made that is not a row, and nothing called that need not be.
        live, states, delivery = self._live, self._states.values, self._delivery
        started_boxes, ended_boxes = self._started_boxes, self._ended_boxes
        limited = self._limited.leases
        ended: list[int] = []
        for now, decisions in self._pending:
            for decision in decisions:
                if isinstance(decision, StateChanged):
                    change: _PassingThrough = decision
                    time, lease_id, old, new, reason, code = change
                    said = NO_REASON if reason is None else reason_columns(reason)
                    states += (lease_id, time, STATE_NAMES[new], *said, code)
                    record = live[lease_id]
                    if new in COUNTED or old is ACTIVE:
                        record.count(record.last, decision)
                        if new in FINAL:
                            ended.append(lease_id)
                    record.last = record.told = decision
                    for box in record.boxes:
                        box.append(decision)
                elif isinstance(decision, OperationStarted):
                    self._under_way.started(decision)
                    if limited:
                        self._limited.started(decision)
                    for box in started_boxes:
                        box.append(decision)
                elif isinstance(decision, OperationEnded):
                    self._under_way.ended(decision)
                    self._reserve(*decision)
                    for box in ended_boxes:
                        box.append(decision)
                else:
                    self._note_rare(decision)
            if self._probes:
                delivery.hand_out(now, decisions)
            if ended:
                for lease_id in ended:
                    self._write_lease(live.pop(lease_id))
                self._limited.ended(ended)
                ended.clear()
        self._notes += len(self._pending)
        self._pending.clear()
        if (
            len(states) > _BUFFERED_VALUES
            or len(self._reservations.values) > _BUFFERED_VALUES
            or self._notes >= _BUFFERED_NOTES
        ):
            self._notes = 0
            self._flush()

    def _note_rare(self, decision: Decision) -> None:
        """Record what is decided once per lease or less, or what few write down."""
        match decision:
            case ImageStored():  # Probes alone ask for it; there is one for each host.
                pass
            case LeaseAccepted():
                time, request = decision
                self._states.values += (request.id, time, "New", *NO_REASON, "")
                boxes = self._delivery.changes[request.kind]
                self._live[request.id] = LeaseRecord(request, time, boxes)
            case HostsLimited():
                self._limited.limited(decision)
            case Expected():
                self._live[decision.lease_id].told = decision
            case HostsPlanned() | RatesChanged() | PreparationPlanned() | ShutdownPlanned():
                self._planned.note(decision)
            case HostChanged():
                time, host, status, reason = decision
                self._hosts[host.id] = host
                self._host_texts += map(str, range(len(self._host_texts), host.id + 1))
                said = NO_REASON if reason is None else reason_columns(reason)
                self._host_states.values += (host.id, time, status, *said)
            case StateChanged() | OperationStarted() | OperationEnded():
                raise AssertionError("frequent decisions do not come here")
            case LeaseAltered() | ChangeRefused():
                self._changes.note(decision, self._live)
            case MaintenanceChanged():
                self._maintenance.values += window_row(decision)
            case _:
                assert_never(decision)
        for box in self._delivery.boxes(type(decision)):
            box.append(decision)

    def _begin(self, now: int) -> None:
        self._start = now
        for probe in self._probes:
            try:
                probe.begin(now, self._site, self._live)
            except Exception as error:
                raise blamed(probe, now, error) from error

    def _facts(self, status: Status, start: int, now: int) -> dict[str, str]:
        facts = {
            "schema_version": str(schema.SCHEMA_VERSION),
            "haizea_version": self._version,
            "status": status,
            "started": str(start),
            "ended": str(now),
            "resource_types": " ".join(self._site.types.names),
            "workload": self._workload,
        }
        if self._faults:
            facts["faults"] = self._faults
        if self._absences:
            facts["absences"] = " ".join(f"{start}-{end}" for start, end in self._absences)
        return facts

    def _reserve(
        self,
        lease_id: int,
        purpose: Purpose,
        start: int,
        end: int,
        use: Use,
    ) -> None:
        lease = None if purpose is OUTAGE else lease_id
        cpu_index = self._work.cpu_index
        cpu = 0
        for capacity, hosts in alike(use):
            names = f"[{listed(hosts, self._host_texts)}]"
            self._reservations.values += (lease, _PURPOSE[purpose], start, end, names, *capacity)
            cpu += capacity[cpu_index] * len(hosts)
        self._work.seconds[purpose] += cpu * (end - start)

    def _write_lease(self, record: LeaseRecord) -> None:
        self._leases.add(record)
        self._work.count(record)

    def _flush(self) -> None:
        """Write what makes whole blocks of rows."""
        with self._telling():
            for rows in self._rows():
                rows.write()
            for probe in self._probes:
                for counter in probe.counters:
                    self._counters.take(counter)

    def _rows(self) -> tuple[Rows, ...]:
        return (
            *self._leases.rows,
            self._reservations,
            self._states,
            self._host_states,
            *self._limited.rows,
            *self._planned.rows,
            self._maintenance,
            self._changes.rows,
        )

    def _insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        to = Rows(self._db, table)
        for row in rows:
            to.values += row
        to.finish()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what SQLite says into words for the user."""
        try:
            yield
        except sqlite3.Error as error:
            raise ResultsError(
                f"{self._path}: writing the results failed: {error}. Is there room on that disk?"
            ) from error


def _check_types(names: Sequence[str]) -> None:
    """Each type becomes a column, and SQLite does not tell upper from lower case."""
    taken = set(schema.TAKEN_COLUMNS)
    for name in names:
        if name.lower() in taken:
            raise ResultsError(
                f"the resource type {name!r} cannot be a column of the results file:"
                f" there is already one called {name.lower()!r}. Rename the type"
            )
        taken.add(name.lower())


def _empty_database(path: Path, types: Sequence[str]) -> sqlite3.Connection:
    """The tables, in a transaction that the end of the run commits.

    No journal and no syncing: nobody reads the file before it is whole.
    """
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size = 4096")
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    db.execute("BEGIN")
    for statement in schema.statements(types):
        db.execute(statement)
    return db
