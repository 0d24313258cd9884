"""Edits of ``HAIZEA`` in VMs that have a lease: each is a change of the lease, asked for once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.requests.drafts import DraftRules, Refusal, read_again
from haizea.backends.opennebula.requests.intake import fingerprint
from haizea.backends.opennebula.state.ledger import Ledger, Tracked
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.core.model.events import LeaseAltered
from haizea.core.model.lease import Draft, Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.service_types import Alteration

#: What VMs that say nothing get by default; it may be configured otherwise by now.
_DEFAULTS = frozenset([Kind.BEST_EFFORT, Kind.IMMEDIATE])
#: The answer to words that are being asked for: whoever starts next does not know what came of it.
_PENDING = "?"
GRANTED = "granted"
#: Begins what an owner reads of an edit that changes nothing.
REFUSED = "refused, and nothing has changed: "


@dataclass(frozen=True, slots=True)
class _Answered:
    """The words of a VM when its lease was asked for them, and the answer to that."""

    said: str
    answer: str


#: Has the owners of these leases told, where there is something new to read.
TellAgain = Callable[[Iterable[int]], None]


@dataclass(slots=True)
class Edits:
    """Finds out which leases are to change. To be used from one thread.

    ``ask`` hands a change over; its answer comes to :meth:`answered`, and ``tell_again`` is told
    the leases whose owners have something to read. What VMs say that their leases are not – as
    that was refused, or as others changed the lease – is kept from run to run (``kept``,
    ``keep``), so that it is asked for once.
    """

    ledger: Ledger
    seen: SeenVms
    rules: DraftRules
    kept: str | None
    keep: Callable[[str], object]
    ask: Callable[[Alteration], None]
    tell_again: TellAgain
    _answers: dict[int, _Answered] = field(default_factory=dict)
    _considered: dict[int, str] = field(default_factory=dict)
    _dirty: set[int] = field(default_factory=set)
    _asked: dict[int, dict[int, str]] = field(default_factory=dict)
    #: Leases that others changed: what their VMs say is no request.
    _altered: set[int] = field(default_factory=set)
    #: Leases that could not change in this state.
    _busy: dict[int, State] = field(default_factory=dict)
    #: Those whose state is another since: what was answered is asked for again.
    _again: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        known = json.loads(self.kept) if self.kept else {}
        self._answers = {int(vm): _Answered(*one) for vm, one in known.items()}

    def answer(self, vm: int) -> str:
        """Return the answer to the VM's last edit; empty if there was none."""
        known = self._answers.get(vm)
        return "" if known is None or known.answer == _PENDING else known.answer

    def notice(self, vms: Iterable[int]) -> None:
        """VMs changed, came or went, have a lease now or have none any more."""
        for vm in vms:
            lease, seen = self.ledger.lease_of.get(vm), self.seen.get(vm)
            if lease is None or seen is None:
                self._considered.pop(vm, None)
                continue
            said = _said(seen.vm)
            if self._considered.get(vm) != said:
                self._considered[vm] = said
                self._dirty.add(lease)

    def note_altered(self, decision: LeaseAltered) -> None:
        """A lease is something else from now on, by an edit or by others."""
        lease = self.ledger.leases.get(decision.request.id)
        if lease is None or lease.request == decision.request:
            return
        lease.request = decision.request
        if lease.id not in self._asked and lease.id not in self._dirty:
            # At once: a manager that ended before it looks again would take for an edit what
            # the VMs said all along, and undo the change when it starts next.
            self._altered.add(lease.id)
            self._consider(lease)

    def note_altered_before(self, lease_id: int) -> None:
        """A lease was changed shortly before a restart; it is what its record says.

        If it was by an edit, that is noted. What VMs say whose owners edited nothing is no request
        to have it as it was before others changed it.
        """
        lease = self.ledger.leases.get(lease_id)
        if lease is not None and not any(vm in self._answers for vm in lease.vms):
            self._altered.add(lease_id)
            self._dirty.add(lease_id)

    def is_another_request(self, lease: Tracked, vm: VirtualMachine) -> bool:
        """Tell whether a VM that waits asks for another lease: none can become that."""
        request = lease.request
        if request.node_capacities()[lease.vms.index(vm.id)] != (vm.cpu_percent, vm.memory_mb):
            return True
        if request.kind is not Kind.BEST_EFFORT:
            return False  # It is promised, and what cannot be is refused.
        found = self._read(request, [vm])
        return isinstance(found, Draft) and not _is_of_this(request, found)

    def make(self) -> None:
        """Ask for the changes that are due."""
        for lease_id, state in list(self._busy.items()):
            lease = self.ledger.leases.get(lease_id)
            if lease is None or lease.state is not state:
                del self._busy[lease_id]
                self._again.add(lease_id)
                self._dirty.add(lease_id)
        due = self._dirty - self._asked.keys()
        self._dirty -= due
        for lease_id in sorted(due):
            lease = self.ledger.leases.get(lease_id)
            if lease is not None and not lease.let_go:
                self._consider(lease)

    def answered(
        self, change: Alteration, answer: str | None, *, granted: bool = False, later: bool = False
    ) -> None:
        """Note the answer to a change. Where none came (``None``), the change is asked for again.

        With ``later`` it is asked for again as soon as the lease is in another state.
        """
        said = self._asked.pop(change.request.id)
        lease = self.ledger.leases.get(change.request.id)
        if lease is None:
            return
        if answer is None:
            self._dirty.add(lease.id)
            return
        if granted:
            lease.request = change.request
        self._settle(lease, said, answer)
        if later:
            self._busy[lease.id] = lease.state

    def _consider(self, lease: Tracked) -> None:
        vms = self.seen.all_of(lease.vms)
        if vms is None:
            return
        said = {vm.id: _said(vm) for vm in vms}
        if lease.id in self._altered:
            self._altered.discard(lease.id)
            self._settle(lease, said, "")
            return
        again = lease.id in self._again
        self._again.discard(lease.id)
        if self._is_answered(said) and not again:
            return
        found = self._read(lease.request, vms)
        if isinstance(found, Refusal):
            self._settle(lease, said, f"{REFUSED}{found.message}")
        elif not _is_of_this(lease.request, found):
            self._settle(lease, said, f"{REFUSED}{_another(lease.request, found)}")
        elif (asked := _changed(lease.request, found)) == lease.request:
            if self._is_pending(said):
                self._settle(lease, said, GRANTED)
            else:
                self._settle(lease, {}, "")
        else:
            self._asked[lease.id] = said
            self._note(lease, said, _PENDING)
            change = Alteration(
                request=asked,
                instead_of=lease.request,
                owner=asked.owner,
                weight=asked.node_count,
            )
            self.ask(change)

    def _read(self, request: LeaseRequest, vms: Iterable[VirtualMachine]) -> Draft | Refusal:
        """Read what the VMs of a lease ask for now; what they do not say stays what it is."""
        unsaid = request.kind if request.kind in _DEFAULTS else None
        return read_again(sorted(vms, key=lambda vm: vm.id), self.rules, unsaid)

    def _is_answered(self, said: Mapping[int, str]) -> bool:
        known = [(vm, self._answers.get(vm)) for vm in said]
        return said == {vm: x.said for vm, x in known if x is not None and x.answer != _PENDING}

    def _is_pending(self, said: Mapping[int, str]) -> bool:
        """Tell whether these words were asked for, and Haizea ended before it noted the answer."""
        return all(self._answers.get(vm) == _Answered(said[vm], _PENDING) for vm in said)

    def _settle(self, lease: Tracked, said: Mapping[int, str], answer: str) -> None:
        """Keep what VMs said, and the answer to it, and have their owners told."""
        if self._note(lease, said, answer):
            self.tell_again([lease.id])

    def _note(self, lease: Tracked, said: Mapping[int, str], answer: str) -> bool:
        """Keep what VMs said, and the answer to it; tell whether that is new."""
        before = {vm: known for vm in lease.vms if (known := self._answers.get(vm))}
        after = {vm: _Answered(words, answer) for vm, words in said.items()}
        if before == after:
            return False
        for vm in self._answers.keys() - self.ledger.lease_of.keys() | before.keys():
            del self._answers[vm]
        self._answers.update(after)
        shown = {vm: [one.said, one.answer] for vm, one in self._answers.items()}
        self.keep(json.dumps(shown, sort_keys=True))
        return True


def _said(vm: VirtualMachine) -> str:
    return hashlib.sha256(fingerprint(vm).encode()).hexdigest()[:16]


def _is_of_this(request: LeaseRequest, draft: Draft) -> bool:
    """Tell whether a lease can become what a draft asks for: it keeps its kind and its group."""
    return (draft.kind, draft.label) == (request.kind, request.label)


def _another(request: LeaseRequest, draft: Draft) -> str:
    if draft.kind is not request.kind:
        return (
            f"HAIZEA asks for a lease that is {draft.kind}, and this one is {request.kind}:"
            " a lease keeps its kind, so submit another VM"
        )
    return f"HAIZEA names group {draft.label!r}: a lease keeps its VMs, so submit another VM"


def _changed(request: LeaseRequest, draft: Draft) -> LeaseRequest:
    return replace(
        request,
        start=draft.start,
        after=draft.after,
        deadline=draft.deadline,
        duration=draft.duration,
        preemptible=draft.preemptible,
        fixed_hosts=draft.fixed_hosts,
    )
