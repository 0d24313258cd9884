"""Tells VMs' owners, in their VMs, what becomes of them.

Reports are written by a thread of their own, and may wait: while ``oned`` is away, or
because there are many. Only the last word on each VM is written then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from haizea.backends.opennebula.model.errors import (
    NotInThisVersion,
    OpenNebulaError,
    RefusalKind,
    Refused,
    Unreachable,
)
from haizea.backends.opennebula.model.template import quotable
from haizea.backends.opennebula.model.vm import VirtualMachine, VmState
from haizea.backends.opennebula.owners.words import AS_PLANNED, Actual, Report, reports_of
from haizea.backends.opennebula.wire.client import Client
from haizea.core.model.records import LeaseRecord
from haizea.core.model.turn import Turn

_log = logging.getLogger(__name__)

STATUS, MESSAGE = "HAIZEA_STATUS", "SCHED_MESSAGE"
_TIMES = frozenset(["START", "END"])

_BATCH = 100
_MOST_REMEMBERED = 100_000
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The pace of writing, so that ``oned`` is not burdened too much.

    At most so many VMs ``per_second``. Where only times changed, not the state, the host, the
    reason for it nor what is asked for, a VM is written once in ``calm_seconds``. A report that
    is refused is tried so often.
    """

    per_second: float = 20.0
    calm_seconds: float = 30.0
    attempts: int = 3


@dataclass(slots=True)
class _Written:
    """The text in a VM, and when it was written (0: long ago)."""

    report: Report
    at: float


class Reports:
    """Writes ``HAIZEA_STATUS`` and ``SCHED_MESSAGE`` into VMs.

    A VM's ``HAIZEA`` is never touched. What a VM says already is not written again, not
    even after a restart: before the first report to a VM it is looked at. VMs that are
    gone are passed over, and where this OpenNebula cannot do it (1.4), all are.
    """

    def __init__(self, client: Client, *, dry_run: bool = False, pace: Pace | None = None) -> None:
        self._client = client
        self._dry_run = dry_run
        self._pace = pace or Pace()
        self._changed = threading.Condition()
        self._wanted: dict[int, Report] = {}
        self._known: dict[int, _Written] = {}
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, float] = {}
        self._busy = False
        self._closing = threading.Event()
        self._mute = False
        self._pause = 0.0
        self._thread: threading.Thread | None = None

    # --- what others call -------------------------------------------------------------

    def report(self, vm_id: int, status: str, message: str) -> None:
        """Tell a VM's owner in one word how it is, and why; for what no lease's state says."""
        self.tell(vm_id, Report({"STATE": status, "REASON": message}, f"Haizea: {message}"))

    def tell(self, vm_id: int, report: Report) -> None:
        """Have a report written in a VM. Returns at once; of several the last one counts.

        What is empty is left out. The thread starts with the first report.
        """
        shown = {name: quotable(text) for name, text in report.status.items() if text}
        report = Report(shown, quotable(report.message), report.asked)
        with self._changed:
            known = self._known.get(vm_id)
            if self._dry_run:
                if known is None or known.report != report:
                    _log.info("dry-run: VM %d would be told: %s", vm_id, report.message)
                    self._remember(vm_id, report, 0.0)
                return
            if self._mute or self._closing.is_set():
                return
            if known is not None and known.report == report:
                self._wanted.pop(vm_id, None)
                return
            if self._wanted.get(vm_id) != report:
                self._wanted[vm_id] = report
                self._failures.pop(vm_id, None)
                self._not_before.pop(vm_id, None)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reports", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def forget(self, vm_ids: Iterable[int]) -> None:
        """These VMs are gone: nothing is to be said in them any more."""
        with self._changed:
            for vm_id in vm_ids:
                self._drop(vm_id)
                self._known.pop(vm_id, None)

    def waiting(self) -> int:
        """Return how many VMs have something to be written."""
        with self._changed:
            return len(self._wanted)

    def flush(self, seconds: float) -> bool:
        """Wait until all that is due now is written, at most so long; whether it is."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._busy or (self._wanted and self._due(time.monotonic())):
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None:
                    return False
                self._changed.wait(min(left, 0.05))
        return True

    def close(self, flush_seconds: float = 2.0) -> None:
        """Write what is due, for at most so long, and end. Before its client is closed."""
        self.flush(flush_seconds)
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    # --- the thread -------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            with self._changed:
                now = time.monotonic()
                batch = self._due(now)[:_BATCH]
                if not batch:
                    self._changed.wait(self._wait_seconds(now))
                    continue
                self._busy = True
            try:
                self._write(batch)
                self._pause = 0.0
            except NotInThisVersion:
                self._give_up()
            except OpenNebulaError as error:
                self._rest(error)
            except Exception:
                # A report less is better than a service that reports nothing any more.
                _log.exception("reports to VMs failed")
                self._closing.wait(_LONGEST_PAUSE_SECONDS)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _give_up(self) -> None:
        _log.warning(
            "this OpenNebula cannot write into VMs: their owners read about their leases"
            " with 'haizea list' and 'haizea show'"
        )
        with self._changed:
            self._mute = True
            self._wanted.clear()

    def _rest(self, error: OpenNebulaError) -> None:
        """Keep everything, and try again later; the first time is told."""
        if not self._pause:
            _log.warning("VMs' owners are told later, OpenNebula does not answer: %s", error)
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._closing.wait(self._pause)

    def _when(self, vm_id: int, report: Report) -> float:
        """The earliest moment for a report: at once, unless only times changed or it failed."""
        not_before = self._not_before.get(vm_id, 0.0)
        known = self._known.get(vm_id)
        if known is None or _gist(known.report) != _gist(report):
            return not_before
        if known.report.asked != report.asked:
            return not_before  # Its owner had the lease changed, and waits for these times.
        return max(not_before, known.at + self._pace.calm_seconds if known.at else 0.0)

    def _due(self, now: float) -> list[int]:
        return [vm_id for vm_id, report in self._wanted.items() if self._when(vm_id, report) <= now]

    def _wait_seconds(self, now: float) -> float | None:
        if not self._wanted:
            return None
        first = min(self._when(vm_id, report) for vm_id, report in self._wanted.items())
        return max(0.0, first - now)

    def _write(self, batch: Sequence[int]) -> None:
        with self._changed:
            strangers = [vm_id for vm_id in batch if vm_id not in self._known]
        if strangers:
            self._look(strangers)
        for vm_id in batch:
            with self._changed:
                report = self._wanted.get(vm_id)
            if report is None:
                continue
            if self._closing.is_set():
                return
            try:
                self._client.update(vm_id, {STATUS: report.status, MESSAGE: report.message})
            except (Unreachable, NotInThisVersion):
                raise
            except OpenNebulaError as error:
                self._failed(vm_id, error)
            else:
                self._done(vm_id, report)
            self._closing.wait(1 / self._pace.per_second)

    def _look(self, vm_ids: Sequence[int]) -> None:
        """See what VMs say already, and which of them are gone."""
        found = {vm.id: vm for vm in self._client.vms_by_id(vm_ids)}
        with self._changed:
            for vm_id in vm_ids:
                vm = found.get(vm_id)
                if vm is None or vm.state == VmState.DONE:
                    self._drop(vm_id)
                    continue
                said = _said(vm)
                self._remember(vm_id, said, 0.0)
                if self._wanted.get(vm_id) == said:
                    self._drop(vm_id)

    def _done(self, vm_id: int, report: Report) -> None:
        with self._changed:
            self._remember(vm_id, report, time.monotonic())
            if self._wanted.get(vm_id) == report:
                self._drop(vm_id)

    def _failed(self, vm_id: int, error: OpenNebulaError) -> None:
        gone = isinstance(error, Refused) and error.kind is RefusalKind.NO_SUCH_OBJECT
        with self._changed:
            self._known.pop(vm_id, None)
            if gone:
                self._drop(vm_id)
                return
            failures = self._failures.get(vm_id, 0) + 1
            if failures < self._pace.attempts:
                self._failures[vm_id] = failures
                self._not_before[vm_id] = time.monotonic() + self._pace.calm_seconds
                return
            self._drop(vm_id)
        _log.warning("VM %d: its owner cannot be told about its lease: %s", vm_id, error)

    def _drop(self, vm_id: int) -> None:
        for kept in (self._wanted, self._failures, self._not_before):
            kept.pop(vm_id, None)

    def _remember(self, vm_id: int, report: Report, at: float) -> None:
        self._known.pop(vm_id, None)
        self._known[vm_id] = _Written(report, at)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.pop(next(iter(self._known)))


def _gist(report: Report) -> dict[str, str]:
    """Return what is said but for times."""
    return {name: text for name, text in report.status.items() if name not in _TIMES}


def _said(vm: VirtualMachine) -> Report:
    """Return what a VM says now."""
    return Report(dict(vm.user_template.vector(STATUS)), vm.user_template.text(MESSAGE))


class LeaseReports:
    """An observer that has the owners of a lease's VMs told whatever changes of it.

    ``actual`` answers how a VM really is.
    """

    def __init__(
        self,
        reports: Reports,
        host_name: Callable[[int], str],
        actual: Callable[[int], Actual] = lambda vm: AS_PLANNED,
    ) -> None:
        self._reports = reports
        self._host_name = host_name
        self._actual = actual
        #: The leases that are not over.
        self._known: dict[int, LeaseRecord] = {}

    def know(self, records: Iterable[LeaseRecord]) -> None:
        """After a restart: these are told about when it is seen how their VMs are."""
        self._known.update((record.id, record) for record in records)

    def begin(self, records: Iterable[LeaseRecord]) -> None:
        """Tell about leases as they are."""
        for record in records:
            if record.over:
                self._known.pop(record.id, None)
            else:
                self._known[record.id] = record
            told = reports_of(record, self._host_name, self._actual)
            for vm_id, report in told.items():
                self._reports.tell(vm_id, report)

    def again(self, lease_ids: Iterable[int]) -> None:
        """The VMs of these leases are otherwise than they were."""
        self.begin([self._known[i] for i in lease_ids if i in self._known])

    def note(self, turn: Turn) -> None:
        """A turn was decided."""
        self.begin(turn.records)
