"""From waiting VMs to requests for leases, each made once however often it is looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from haizea.backends.opennebula.matching.lease_hosts import Placing, unplaced
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.requests.drafts import DraftRules, Drafts, LeaseDraft, draft_leases
from haizea.backends.opennebula.requests.readiness import Readiness
from haizea.backends.opennebula.state.ledger import Ledger, ended_outside
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.core.model.hostrules import Allowed
from haizea.core.model.lifecycle import FINAL
from haizea.core.model.records import LeaseRecord
from haizea.wording import in_words

#: So often a request is made again whose lease was given up because of what others did.
_MOST_TIMES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request for a lease. ``nodes`` are sets of equal VMs, ``names`` the VMs in their order.

    They take ``prepare_seconds`` to start, which count before the start of an AR. ``key``
    is the same for the same request, also after a restart.
    """

    draft: LeaseDraft
    nodes: tuple[tuple[int, dict[str, int]], ...]
    names: tuple[str, ...]
    allowed: Allowed
    key: str
    times: int = 0
    prepare_seconds: int = 0

    @property
    def label(self) -> str:
        """The name that people see."""
        return self.draft.group


_ANSWERS = frozenset(state.value for state in FINAL)

#: Tells a VM's owner its status in one word, and why.
Tell = Callable[[int, str, str], None]


@dataclass(slots=True)
class Requests:
    """The VMs that wait, and what became of asking for them. To be used from one thread.

    ``ask`` hands a request over; its answer comes to :meth:`answered`. ``only_explicit``
    leaves VMs without ``HAIZEA`` alone. ``remnants`` are VMs of groups that can never be
    whole again, ``answered_before`` those not yet seen that had an answer in an earlier run.
    """

    ledger: Ledger
    seen: SeenVms
    placing: Placing
    readiness: Readiness
    rules: DraftRules
    tell: Tell
    only_explicit: bool = False
    dirty: bool = False
    remnants: set[int] = field(default_factory=set)
    answered_before: set[int] = field(default_factory=set)
    _waiting: dict[int, VirtualMachine] = field(default_factory=dict)
    _grouped: dict[int, VirtualMachine] = field(default_factory=dict)
    _asked: dict[tuple[int, ...], str] = field(default_factory=dict)
    _settled: dict[tuple[int, ...], str] = field(default_factory=dict)
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
            elif number in self.answered_before:
                self.answered_before.discard(number)
                self._had.setdefault(number, fingerprint(seen.vm))
            waits = seen is not None and seen.vm.state in self.seen.waits.usual
            before = self._waiting.pop(number, None)
            self._grouped.pop(number, None)
            if seen is None or not waits:
                self.dirty |= before is not None
            elif number in self.ledger.lease_of:
                self._had[number] = fingerprint(seen.vm)
                if _is_grouped(seen.vm):
                    self._grouped[number] = seen.vm
            elif not self.only_explicit or _speaks(seen.vm):
                self._waiting[number] = seen.vm
                self.dirty = True

    def make(self, now: int) -> list[Asking]:
        """The requests to be made now."""
        self.dirty, self._until = False, None
        if not self._waiting or not self.placing.ready:
            return []
        drafts = draft_leases(
            [*self._waiting.values(), *self._grouped.values()],
            now=now,
            leased=self.ledger.lease_of.keys(),
            rules=self.rules,
            waits_in=self.seen.waits.usual,
        )
        self._say(drafts)
        made = []
        for draft in drafts.leases:
            asking = self._request(draft)
            if asking is not None:
                self._asked[draft.vm_ids] = asking.key
                made.append(asking)
        return made

    def answered(self, asking: Asking, record: LeaseRecord | None, *, repeated: bool) -> None:
        """Note the answer to a request: the lease, ``None`` where there is no answer."""
        vm_ids = asking.draft.vm_ids
        self._asked.pop(vm_ids, None)
        if record is None:
            return  # It is asked again after the next look at everything.
        if repeated and ended_outside(record.reason):
            # It was given up because of what others did, and the VMs wait again.
            self._times[_digest(asking.draft)] = asking.times + 1
            self.dirty = asking.times < _MOST_TIMES
        elif record.over:
            self._settled[vm_ids] = asking.key
            for vm in self._waiting.keys() & set(vm_ids):
                # What an earlier run could not tell any more is made up for.
                if repeated and self._is_open(vm):
                    self.tell(vm, record.state.value, in_words(record.reason))
                self._had[vm] = fingerprint(self._waiting[vm])

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

    def _request(self, draft: LeaseDraft) -> Asking | None:
        """The request for a draft, unless it was made already or cannot be met now."""
        vm_ids = draft.vm_ids
        if vm_ids in self._asked:
            return None
        if any(vm in self.remnants and not self._is_open(vm) for vm in vm_ids):
            return None  # What is left of a group does not run without the rest.
        digest = _digest(draft)
        times = self._times.get(digest, 0)
        key = f"{digest}/{times}" if times else digest
        if self._settled.get(vm_ids) == key:
            return None
        problem = self._companions(draft)
        if problem:
            self._hold_back(draft, problem)
            return None
        ordered = sorted(draft.nodes, key=lambda n: (-n.cpu_percent, -n.memory_mb, n.vm_id))
        vms = [self._waiting[node.vm_id] for node in ordered]
        places = self.placing.places(vms)
        if places.reason:
            self._hold_back(draft, places.reason)
            return None
        lacking = self.placing.lacking([self._waiting[vm] for vm in vm_ids], draft.kind)
        if lacking:
            self._hold_back(draft, lacking)
            return None
        sizes: list[tuple[int, dict[str, int]]] = []
        for node in ordered:
            amounts = {"CPU": node.cpu_percent, "Memory": node.memory_mb}
            if sizes and sizes[-1][1] == amounts:
                sizes[-1] = (sizes[-1][0] + 1, amounts)
            else:
                sizes.append((1, amounts))
        self.placing.ranks.rank(ordered[0].vm_id, places.ranking)
        return Asking(
            draft=draft,
            nodes=tuple(sizes),
            names=tuple(str(node.vm_id) for node in ordered),
            allowed=places.hosts,
            key=key,
            times=times,
            prepare_seconds=self.readiness.seconds(vms, places.hosts),
        )

    def _companions(self, draft: LeaseDraft) -> str:
        """The objection of VM groups to asking for it now; empty if there is none."""
        for vm in draft.vm_ids:
            others = self.placing.companions(vm) - set(draft.vm_ids)
            if not others:
                continue
            waits = self.ledger.lease_of.keys() | {v for vms in self._asked for v in vms}
            first = unplaced(others, self.seen, waits)
            if first is not None:
                return f"by its VM group it waits until VM {first} has a host"
        return ""

    def _hold_back(self, draft: LeaseDraft, message: str) -> None:
        for vm in filter(self._is_open, draft.vm_ids):
            self._report(vm, "Waiting", message)

    def _report(self, vm: int, status: str, message: str) -> None:
        if self._told.get(vm) != message:
            self._told[vm] = message
            self.tell(vm, status, message)


def fingerprint(vm: VirtualMachine) -> str:
    """Fingerprint of what a VM asks for; another one means that it asks for something else."""
    words = [vm.user_template.all("HAIZEA"), vm.template.all("HAIZEA")]
    return json.dumps([words, vm.cpu_percent, vm.memory_mb], sort_keys=True)


def _speaks(vm: VirtualMachine) -> bool:
    return "HAIZEA" in vm.user_template or "HAIZEA" in vm.template


def _is_grouped(vm: VirtualMachine) -> bool:
    words = vm.user_template.vector("HAIZEA") or vm.template.vector("HAIZEA")
    return any(name.upper() == "GROUP" for name in words)


def _digest(draft: LeaseDraft) -> str:
    """Digest of what is asked for, in a few letters."""
    asked = [
        [[node.vm_id, node.cpu_percent, node.memory_mb] for node in draft.nodes],
        draft.kind.value,
        draft.start,
        draft.duration,
        draft.preemptible,
        draft.group,
        *([] if draft.deadline is None else [draft.after, draft.deadline]),
        *(["fixed hosts"] if draft.fixed_hosts else []),
    ]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
    return f"vm {draft.vm_ids[0]} {digest}"
