"""The real rates at which each host saves and restores VMs, learned from what leases' VMs took.

A suspension that takes longer than planned puts off the lease that it makes room for. So
what is planned next goes by what was seen: a little slower than that, at once where a host
is slower than was known, and after several times where it is faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine, VmState
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Errand, Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import Verb
from haizea.core.model.events import HostRates, Input, Purpose
from haizea.core.model.records import RatesRecord
from haizea.core.placement.durations import Rates

#: So many of the latest operations of a host count.
_REMEMBERED = 5
#: From so many on, the slowest one is taken for an accident, and faster rates are believed.
_ENOUGH = 3
#: What is planned is this part of what was seen.
_CAUTION = 0.9
#: A host has to be so many times as fast as is planned before more is planned.
_WORTH_TELLING = 1.2

_SAVING = frozenset([LcmState.RUNNING, LcmState.SAVE_STOP, LcmState.SAVE_SUSPEND])
_SAVED = frozenset([VmState.STOPPED, VmState.SUSPENDED])
_RESTORING = frozenset([LcmState.PROLOG_RESUME, LcmState.BOOT_STOPPED, LcmState.BOOT_SUSPENDED])


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRules:
    """The rates that planning begins with, MB/s; ``None`` where it goes by no rate.

    Each VM takes ``overhead_seconds`` beside them.
    """

    suspend_mb_s: float | None = None
    resume_mb_s: float | None = None
    overhead_seconds: int = 0


class Estimate:
    """The present rate of one host, as far as is known. ``planned`` is what to plan by."""

    def __init__(self, planned_mb_s: float) -> None:
        self.planned_mb_s = planned_mb_s
        self._seen: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def note(self, memory_mb: int, seconds: int) -> None:
        """Note how much was saved, or restored, and how long it took."""
        if memory_mb <= 0:
            return
        self._seen.append((memory_mb, memory_mb / max(seconds, 1)))
        rate, careful = self._rate(), _rounded(self._rate() * _CAUTION)
        believed = len(self._seen) >= _ENOUGH and careful > self.planned_mb_s * _WORTH_TELLING
        if rate < self.planned_mb_s or believed:
            self.planned_mb_s = careful

    def _rate(self) -> float:
        """The slowest of those that count, or the one after it where there are enough.

        Small VMs say little of how long large ones take.
        """
        most = max(memory_mb for memory_mb, _ in self._seen)
        rates = sorted(rate for memory_mb, rate in self._seen if 2 * memory_mb >= most)
        return rates[1] if len(rates) >= _ENOUGH else rates[0]


def _rounded(rate_mb_s: float) -> float:
    """Three digits, for people."""
    return float(f"{rate_mb_s:.3g}")


@dataclass(slots=True)
class _Share:
    """The part of an operation that is saved or restored on one host."""

    began: int
    ended: int
    memory_mb: int = 0
    vms: int = 0


@dataclass(slots=True)
class _Operation:
    """A suspension or a resumption of a lease, under way. ``spoilt``: it says nothing."""

    purpose: Purpose
    errands: dict[int, Errand] = field(default_factory=dict)
    given: set[tuple[int, Verb]] = field(default_factory=set)
    shares: dict[int, _Share] = field(default_factory=dict)
    spoilt: bool = False


class HostRatesLearned:
    """Follows suspensions and resumptions. To be used from one thread.

    Only what was begun by our command, went on without a break and ended well counts.
    """

    def __init__(self, rules: RateRules, ledger: Ledger, seen: SeenVms, table: HostTable) -> None:
        self._rules = rules
        self._ledger = ledger
        self._seen = seen
        self._table = table
        self._operations: dict[int, _Operation] = {}
        #: By purpose and OpenNebula's number of the host.
        self._estimates: dict[tuple[Purpose, int], Estimate] = {}
        #: By index, what the schedule knows.
        self._told: dict[int, Rates] = {}

    def restore(self, records: Iterable[RatesRecord]) -> None:
        """Take up what was learned before a restart."""
        for record in records:
            rates = Rates(record.suspend_mb_s, record.resume_mb_s)
            self._told[record.host] = rates
            if record.host >= len(self._table.entries):
                continue
            number = self._table.entries[record.host].number
            if self._table.current.get(number) != record.host:
                continue
            for purpose, rate in zip((Purpose.SUSPEND, Purpose.RESUME), rates, strict=True):
                if rate is not None:
                    self._estimates[purpose, number] = Estimate(rate)

    def accepted(self, now: int, errand: Errand, verb: Verb) -> None:
        """A command for a lease's VM was accepted."""
        lease, seen = self._ledger.leases.get(errand.lease), self._seen.get(errand.vm)
        if lease is None or lease.purpose is None or self._configured(lease.purpose) is None:
            return
        operation = self._operations.get(lease.id)
        if operation is None or operation.purpose is not lease.purpose or self._is_past(operation):
            operation = self._operations[lease.id] = _Operation(lease.purpose)
        if (errand.vm, verb) in operation.given:
            operation.spoilt = True  # It did not work the first time.
        operation.given.add((errand.vm, verb))
        if errand.vm in operation.errands:
            return
        operation.errands[errand.vm] = errand
        host = None
        if seen is not None and _begins(lease.purpose, seen.vm):
            saves = lease.purpose is Purpose.SUSPEND
            host = seen.vm.last_host_id if saves else errand.host
        if host is None:
            operation.spoilt = True
            return
        # Not from when it was planned: OpenNebula may have been away since, or its host taken.
        share = operation.shares.setdefault(host, _Share(now, now))
        share.memory_mb += errand.size[1]
        share.vms += 1

    def review(self) -> None:
        """Take notice of what went wrong. To be called before errands are looked after."""
        for lease, operation in list(self._operations.items()):
            if self._is_past(operation):
                del self._operations[lease]
            elif any(errand.attempts or errand.given_up for errand in operation.errands.values()):
                operation.spoilt = True

    def disturbed(self) -> None:
        """Note that what is under way was not watched all the time."""
        for operation in self._operations.values():
            operation.spoilt = True

    def reached(self, now: int, errand: Errand) -> None:
        """A VM came to where it was to be."""
        lease = self._ledger.leases.get(errand.lease)
        operation = self._operations.get(errand.lease)
        if lease is None or operation is None or operation.errands.get(errand.vm) is not errand:
            return
        seen = self._seen.get(errand.vm)
        host = None if seen is None else seen.vm.last_host_id
        if host in operation.shares:
            operation.shares[host].ended = now
        else:
            operation.spoilt = True
        if all(other.reached for other in self._ledger.of(lease)):
            del self._operations[lease.id]
            self._learn(lease, operation)

    def news(self) -> list[Input]:
        """Return what the schedule has to be told."""
        told: list[Input] = []
        for number in sorted({number for _, number in self._estimates}):
            index = self._table.current.get(number)
            rates = Rates(
                self._planned(Purpose.SUSPEND, number), self._planned(Purpose.RESUME, number)
            )
            if index is not None and rates != self._told.get(index, Rates()):
                self._told[index] = rates
                told.append(HostRates(index, *rates))
        return told

    def _learn(self, lease: Tracked, operation: _Operation) -> None:
        if operation.spoilt or len(operation.errands) < len(lease.vms):
            return
        start = self._configured(operation.purpose)
        assert start is not None, "only what goes by a rate is followed"
        for host, share in operation.shares.items():
            seconds = share.ended - share.began - share.vms * self._rules.overhead_seconds
            estimate = self._estimates.setdefault((operation.purpose, host), Estimate(start))
            estimate.note(share.memory_mb, seconds)

    def _configured(self, purpose: Purpose) -> float | None:
        match purpose:
            case Purpose.SUSPEND:
                return self._rules.suspend_mb_s
            case Purpose.RESUME:
                return self._rules.resume_mb_s
            case _:
                return None

    def _planned(self, purpose: Purpose, number: int) -> float | None:
        """The rate that was learned, if it is not the configured one."""
        estimate = self._estimates.get((purpose, number))
        if estimate is None or estimate.planned_mb_s == self._configured(purpose):
            return None
        return estimate.planned_mb_s

    def _is_past(self, operation: _Operation) -> bool:
        """Tell whether something else is wanted of its VMs by now."""
        errands = self._ledger.errands
        return any(errands.get(vm) is not errand for vm, errand in operation.errands.items())


def _begins(purpose: Purpose, vm: VirtualMachine) -> bool:
    """Tell whether a VM that looks like this has all of the operation before it."""
    if purpose is Purpose.SUSPEND:
        return vm.state == VmState.ACTIVE and vm.lcm_state in _SAVING
    return vm.state in _SAVED or (vm.state == VmState.ACTIVE and vm.lcm_state in _RESTORING)
