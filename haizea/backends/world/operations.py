"""Operations that a manager believes are under way in a world, and news that it has not been told.

Kept in memory alone: after a restart it is made anew from the manager's records.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from haizea.backends.world.options import WorldOptions
from haizea.backends.world.vm import Vm, VmState
from haizea.core.model.events import Input, OperationDelayed, OperationFailed, Purpose
from haizea.core.model.reasons import Code, because


@dataclass(slots=True, kw_only=True)
class Operation:
    """An operation of a lease, decided ``due`` and planned to be over at ``end``.

    ``until`` is when the last of its VMs is really done with it, ``seconds`` how long one
    takes, ``waiting`` how many of its commands could not be given yet. What happened up to
    the happening ``after`` concerns something earlier.
    """

    lease: int
    purpose: Purpose
    due: int
    end: int
    seconds: int
    after: int
    until: int = 0
    waiting: int = 0

    @property
    def late(self) -> bool:
        """True if it is known that it will not be over in time. A run is never late."""
        return self.purpose is not Purpose.RUN and (self.until > self.end or self.waiting > 0)


class Operations:
    """The operations that are under way, at most one for a lease; each question O(late ones)."""

    def __init__(self) -> None:
        self._all: dict[int, Operation] = {}
        self._late: dict[int, Operation] = {}

    def begin(self, operation: Operation) -> None:
        """This is what the lease does from now on."""
        self._all[operation.lease] = operation
        self._late.pop(operation.lease, None)
        self.weigh(operation)

    def end(self, lease: int, purpose: Purpose) -> None:
        """The lease does not do that any more."""
        operation = self._all.get(lease)
        if operation is not None and operation.purpose is purpose:
            del self._all[lease]
            self._late.pop(lease, None)

    def of(self, lease: int | None) -> Operation | None:
        """Return the operation of the lease."""
        return None if lease is None else self._all.get(lease)

    def weigh(self, operation: Operation) -> None:
        """Find out whether it is late, now that more is known of it."""
        if operation.late:
            self._late[operation.lease] = operation
        else:
            self._late.pop(operation.lease, None)

    def follow(self, operation: Operation, vm: Vm | None) -> None:
        """One of its VMs was told; this is what it does now.

        One that is going to fail is on its host until then, which may be after the planned end
        where it was told late. One that runs is done with its operation, and ``until`` is the end
        of its life.
        """
        if vm is not None and vm.until is not None and vm.state is not VmState.RUNNING:
            operation.until = max(operation.until, vm.until)

    def next_delay(self) -> int | None:
        """The moment when the next delay is to be reported."""
        return min((o.end for o in self._late.values()), default=None)

    def delays(self, now: int) -> list[Input]:
        """Report what should be over by now, and is not; once, until it is longer still."""
        told: list[Input] = []
        for operation in sorted(self._late.values(), key=lambda o: (o.end, o.lease)):
            if operation.end > now:
                break
            if operation.waiting:
                operation.until = max(operation.until, now + max(operation.seconds, 1))
            if operation.until > now:
                lease, purpose = operation.lease, operation.purpose
                told.append(OperationDelayed(lease, purpose, operation.until))
            operation.end = operation.until
            self.weigh(operation)
        return told


@dataclass(slots=True)
class Transfers:
    """Image transfers under way. They belong to no VM, so all there is of one is its fate."""

    options: WorldOptions
    _known: dict[tuple[int, int], tuple[int, Input]] = field(default_factory=dict)

    def begin(self, lease: int, start: int, end: int) -> None:
        """An image is on its way to a lease's hosts over ``[start, end)``."""
        lot = self.options.fate(lease, Purpose.TRANSFER, start, end - start, 1)
        fate = lot.of(1)
        if fate.fails_after_seconds is not None:
            failed = OperationFailed(lease, Purpose.TRANSFER, because(Code.SIMULATED_FAULT))
            self._known[lease, start] = (start + fate.fails_after_seconds, failed)
        elif fate.late_seconds:
            late = OperationDelayed(lease, Purpose.TRANSFER, end + fate.late_seconds)
            self._known[lease, start] = (end, late)

    def end(self, lease: int, start: int) -> None:
        """Note that it is over, or not for this lease any more."""
        self._known.pop((lease, start), None)

    def next_news(self) -> int | None:
        """The next moment when something is to be reported."""
        return min((moment for moment, _ in self._known.values()), default=None)

    def news(self, now: int) -> list[Input]:
        """Report what went wrong by now, in order; not a delay that is over."""
        due = sorted((entry[0], key) for key, entry in self._known.items() if entry[0] <= now)
        found = [self._known.pop(key)[1] for _, key in due]
        return [i for i in found if not (isinstance(i, OperationDelayed) and i.end <= now)]
