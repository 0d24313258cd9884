"""From waiting VMs to requests for leases, each made once however often it is looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from haizea.backends.opennebula.matching.lease_hosts import Placing, unplaced
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.requests.drafts import (
    DraftRules,
    Drafts,
    draft_leases,
    speaks,
    vms_by_id,
)
from haizea.backends.opennebula.requests.readiness import Readiness
from haizea.backends.opennebula.state.ledger import Ledger, ended_outside
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import Goal
from haizea.core.model.lease import Draft
from haizea.core.model.lifecycle import FINAL
from haizea.service_types import Decided, Submission
from haizea.wording import in_words

#: So often a request is made again whose lease was given up because of what others did.
_MOST_TIMES = 1000
_ANSWERS = frozenset(state.value for state in FINAL)

#: Tells a VM's owner its status in one word, and why.
Tell = Callable[[int, str, str], None]


@dataclass(slots=True)
class Requests:
    """The VMs that wait, and what became of asking for them. To be used from one thread.

    The answers to what :meth:`make` makes come to :meth:`answered`. ``only_explicit``
    leaves VMs without ``HAIZEA`` alone. ``remnants`` are VMs of groups that can never be
    whole again, ``answered_before`` those not yet seen that had an answer in an earlier run.
    """

    ledger: Ledger
    seen: SeenVms
    placing: Placing
    readiness: Readiness
    rules: DraftRules
    tell: Tell
    remnants: Set[int]
    only_explicit: bool = False
    dirty: bool = False
    answered_before: set[int] = field(default_factory=set)
    _waiting: dict[int, VirtualMachine] = field(default_factory=dict)
    _grouped: dict[int, VirtualMachine] = field(default_factory=dict)
    _asked: set[tuple[int, ...]] = field(default_factory=set)
    #: The keys of requests that were decided on, by VMs.
    _settled: dict[tuple[int, ...], str | None] = field(default_factory=dict)
    _times: dict[str, int] = field(default_factory=dict)
    _told: dict[int, str] = field(default_factory=dict)
    #: What VMs asked for that had an answer: their owners have read what became of it.
    _had: dict[int, str] = field(default_factory=dict)
    _until: int | None = None

    @property
    def idle(self) -> bool:
        """True if nobody waits for an answer."""
        return not self._asked and not self.dirty

    def next_look(self) -> int | None:
        """The next moment when a group may be complete."""
        return self._until

    def notice(self, changed: Iterable[int]) -> None:
        """VMs changed, came or went, have a lease now or have none any more."""
        for number in changed:
            seen = self.seen.get(number)
            if seen is None:
                self._told.pop(number, None)
                self._had.pop(number, None)
            else:
                if number in self.ledger.lease_of:
                    # Also while it does not wait, for its lease may be over when it waits again.
                    self._had[number] = fingerprint(seen.vm)
                elif number in self.answered_before:
                    self._had.setdefault(number, fingerprint(seen.vm))
                self.answered_before.discard(number)
            waits = seen is not None and seen.vm.state in self.seen.waits.usual
            before = self._waiting.pop(number, None)
            self._grouped.pop(number, None)
            if seen is None or not waits:
                self.dirty |= before is not None
            elif number in self.ledger.lease_of:
                if _is_grouped(seen.vm):
                    self._grouped[number] = seen.vm
            elif not self.only_explicit or speaks(seen.vm):
                self._waiting[number] = seen.vm
                self.dirty = True

    def make(self, now: int) -> list[Submission]:
        """The requests to be made now; the key is the same for the same one after a restart."""
        self.dirty, self._until = False, None
        if not self._waiting or not self.placing.ready:
            return []
        drafts = draft_leases(
            [*filter(self._stays, self._waiting.values()), *self._grouped.values()],
            now=now,
            leased=self.ledger.lease_of.keys(),
            rules=self.rules,
            waits_in=self.seen.waits.usual,
        )
        self._say(drafts)
        made = []
        for draft in drafts.leases:
            submission = self._request(draft)
            if submission is not None:
                self._asked.add(vms_by_id(draft))
                made.append(submission)
        return made

    def answered(self, submission: Submission, decided: Decided | None) -> None:
        """Note what was decided on a request; ``None``: no answer came."""
        vms = vms_by_id(submission.draft)
        self._asked.discard(vms)
        if decided is None:
            return  # It is asked again after the next look at everything.
        record = decided.record
        if not decided.repeated:
            self.readiness.take_up(record)
        if decided.repeated and ended_outside(record.reason):
            # It was given up because of what others did, and the VMs wait again.
            digest = _digest(submission.draft)
            times = self._times.get(digest, 0)
            self._times[digest] = times + 1
            self.dirty = times < _MOST_TIMES
        elif record.over:
            self._settled[vms] = submission.key
            for vm in self._waiting.keys() & set(vms):
                # What an earlier run could not tell any more is made up for.
                if decided.repeated and self._is_open(vm):
                    self.tell(vm, record.state.value, in_words(record.reason))
                self._had[vm] = fingerprint(self._waiting[vm])

    def _stays(self, vm: VirtualMachine) -> bool:
        """Tell whether a VM is to wait on: not if it is being ended, with its lease."""
        errand = self.ledger.errands.get(vm.id)
        return errand is None or errand.goal is not Goal.ENDED

    def _say(self, drafts: Drafts) -> None:
        for refusal in drafts.refusals:
            for vm in filter(self._is_open, refusal.vm_ids):
                # Said once: how late it is by now changes with every look.
                asked = f"refused: {fingerprint(self._waiting[vm])}"
                if self._told.get(vm) != asked:
                    self._told[vm] = asked
                    self.tell(vm, "Refused", refusal.message)
        for waiting in drafts.waiting:
            for vm in filter(self._is_open, waiting.vm_ids):
                self._report(vm, "Waiting", waiting.message)
            if waiting.until is not None:
                self._until = min(self._until or waiting.until, waiting.until)

    def _is_open(self, number: int) -> bool:
        """Tell whether the VM's owner has no answer yet to what it asks for."""
        vm = self._waiting[number]
        said = vm.user_template.vector("HAIZEA_STATUS")
        if number not in self._had and said.get("STATE") in _ANSWERS:
            # The answer is an earlier run's.
            self._had[number] = fingerprint(vm)
        return self._had.get(number) != fingerprint(vm)

    def _request(self, draft: Draft) -> Submission | None:
        """The request for a draft, unless it was made already or cannot be met now."""
        by_id = vms_by_id(draft)
        if by_id in self._asked:
            return None
        if any(vm in self.remnants and not self._is_open(vm) for vm in by_id):
            return None  # What is left of a group does not run without the rest.
        digest = _digest(draft)
        times = self._times.get(digest, 0)
        key = f"{digest}/{times}" if times else digest
        if self._settled.get(by_id) == key:
            return None
        problem = self._companions(by_id)
        if problem:
            self._hold_back(by_id, problem)
            return None
        vms = [self._waiting[int(name)] for name in draft.names]
        places = self.placing.places(vms)
        if places.reason:
            self._hold_back(by_id, places.reason)
            return None
        lacking = self.placing.lacking([self._waiting[vm] for vm in by_id], draft.kind)
        if lacking:
            self._hold_back(by_id, lacking)
            return None
        self.placing.ranks.rank(vms[0].id, places.ranking)
        return Submission(
            draft=draft,
            key=key,
            allowed=places.hosts,
            prepare_seconds=self.readiness.seconds(vms, places.hosts),
        )

    def _companions(self, vms: tuple[int, ...]) -> str:
        """The objection of VM groups to asking for it now; empty if there is none."""
        for vm in vms:
            others = self.placing.companions(vm) - set(vms)
            if not others:
                continue
            waits = self.ledger.lease_of.keys() | {v for asked in self._asked for v in asked}
            first = unplaced(others, self.seen, waits)
            if first is not None:
                return f"by its VM group it waits until VM {first} has a host"
        return ""

    def _hold_back(self, vms: tuple[int, ...], message: str) -> None:
        for vm in filter(self._is_open, vms):
            self._report(vm, "Waiting", message)

    def _report(self, vm: int, status: str, message: str) -> None:
        if self._told.get(vm) != message:
            self._told[vm] = message
            self.tell(vm, status, message)


def fingerprint(vm: VirtualMachine) -> str:
    """Fingerprint of what a VM asks for; another one means that it asks for something else."""
    words = [vm.user_template.all("HAIZEA"), vm.template.all("HAIZEA")]
    return json.dumps([words, vm.cpu_percent, vm.memory_mb], sort_keys=True)


def _is_grouped(vm: VirtualMachine) -> bool:
    words = vm.user_template.vector("HAIZEA") or vm.template.vector("HAIZEA")
    return any(name.upper() == "GROUP" for name in words)


def _digest(draft: Draft) -> str:
    """Digest of what is asked for, in a few letters."""
    sizes = [nodes.amounts for nodes in draft.nodes for _ in range(nodes.count)]
    named = zip(draft.names, sizes, strict=True)
    vms = sorted([int(name), size["CPU"], size["Memory"]] for name, size in named)
    asked = [
        vms,
        draft.kind.value,
        draft.start,
        draft.duration,
        draft.preemptible,
        draft.label,
        *([] if draft.deadline is None else [draft.after, draft.deadline]),
        *(["fixed hosts"] if draft.fixed_hosts else []),
    ]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
    return f"vm {vms[0][0]} {digest}"
