"""The requests that users make in their VMs: waiting VMs become drafts of leases, or refusals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import pairwise

from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.model.waiting import PENDING
from haizea.backends.opennebula.requests.haizea_attribute import Start, Words, parse_words, unquoted
from haizea.core.model.lease import Kind
from haizea.times import format_time

#: Can be typed as it is printed: with apostrophes, and so without spaces in values.
EXAMPLE = "HAIZEA=[ START='+01:00:00', DURATION='02:00:00' ]"

#: Fields of :class:`Words` that the VMs of a group say alike, and what they call them.
_ALIKE = {
    **{name: name for name in ("start", "after", "deadline", "duration", "preemptible")},
    "fixed_hosts": "hosts",
    "group_size": "group_size",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDraft:
    """One lease node: a VM and what it asks for.

    ``requirements`` and ``rank`` are expressions as the user wrote them, empty where there
    are none; ``automatic_requirements`` is OpenNebula's own.
    """

    vm_id: int
    cpu_percent: int
    memory_mb: int
    requirements: str = ""
    automatic_requirements: str = ""
    rank: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseDraft:
    """A lease that VMs ask for; lease node *i* + 1 is ``nodes[i]``, by VM id.

    Times are seconds since the epoch, ``duration`` seconds or ``None`` without end.
    ``submitted`` is when its last VM was. ``group`` is empty for a VM by itself.
    ``explicit`` says whether its VMs have a ``HAIZEA``, or it is what those without get.
    """

    nodes: tuple[NodeDraft, ...]
    kind: Kind
    start: int | None
    duration: int | None
    preemptible: bool
    submitted: int
    owner: str
    uid: int
    group: str = ""
    explicit: bool = True
    after: int | None = None
    deadline: int | None = None
    fixed_hosts: bool = False

    @property
    def vm_ids(self) -> tuple[int, ...]:
        """Its VMs, in the order of its nodes."""
        return tuple(node.vm_id for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Refusal:
    """VMs that ask for something senseless, and what to tell their owner."""

    vm_ids: tuple[int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """VMs of a group that may not be complete. ``until`` is when to look again, if by itself."""

    vm_ids: tuple[int, ...]
    message: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Drafts:
    """The requests of VMs; every VM that waits is in exactly one of these."""

    leases: tuple[LeaseDraft, ...]
    refusals: tuple[Refusal, ...]
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRules:
    """Rules for reading VMs.

    ``default`` is the kind of lease, BEST_EFFORT or IMMEDIATE, of VMs that do not say when
    to start. ``settling_seconds`` is how long a group without ``group_size`` is quiet until
    it counts as complete. ``zone`` is that of the frontend, ``None`` for this machine's.
    """

    default: Kind = Kind.BEST_EFFORT
    settling_seconds: int = 10
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        assert self.default is not Kind.AR, "a VM that does not say when cannot be an AR"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A VM and what it says; ``asks`` is whether it says anything at all."""

    vm: VirtualMachine
    words: Words
    asks: bool


@dataclass(slots=True)
class _Group:
    """The VMs of one group, by id: those that make sense, and those that do not."""

    members: list[_Asked] = field(default_factory=list)
    senseless: list[Refusal] = field(default_factory=list)
    uids: dict[int, int] = field(default_factory=dict)
    #: Whose lease it is already, if it is one.
    started_by: int | None = None


class _Senseless(Exception):
    """A request that is to be refused; its text is for the owner."""


def draft_leases(
    vms: Iterable[VirtualMachine],
    *,
    now: int,
    leased: Collection[int] = (),
    rules: DraftRules | None = None,
    waits_in: frozenset[int] = PENDING,
) -> Drafts:
    """The leases that VMs in the states ``waits_in`` ask for, by VM id.

    ``leased`` are the VMs that belong to leases already: they are passed over, but a VM
    that comes late to a group of theirs is refused. The same VMs at the same ``now`` give
    the same drafts. O(n log n) for n VMs.
    """
    rules = rules or DraftRules()
    result = _Result([], [], [])
    groups: defaultdict[str, _Group] = defaultdict(_Group)
    for vm in sorted(vms, key=lambda vm: vm.id):
        name = _words_of(vm).get("GROUP", "").strip()
        if vm.id in leased:
            groups[name].started_by = vm.uid
            continue
        if vm.state not in waits_in:
            continue
        groups[name].uids[vm.id] = vm.uid
        try:
            groups[name].members.append(_read(vm, rules))
        except _Senseless as error:
            groups[name].senseless.append(Refusal((vm.id,), str(error)))
    alone = groups.pop("", _Group())
    result.refusals += alone.senseless
    for asked in alone.members:
        result.draft([asked], now)
    for name, group in groups.items():
        result.group(name, group, now, rules)
    return result.drafts()


@dataclass(slots=True)
class _Result:
    leases: list[LeaseDraft]
    refusals: list[Refusal]
    waiting: list[Waiting]

    def drafts(self) -> Drafts:
        return Drafts(
            tuple(sorted(self.leases, key=lambda lease: lease.vm_ids)),
            tuple(sorted(self.refusals, key=lambda refusal: refusal.vm_ids)),
            tuple(sorted(self.waiting, key=lambda waiting: waiting.vm_ids)),
        )

    def refuse(self, vm_ids: Sequence[int], message: str) -> None:
        self.refusals.append(Refusal(tuple(vm_ids), message))

    def draft(self, members: Sequence[_Asked], now: int) -> None:
        try:
            self.leases.append(_drafted(members, now))
        except _Senseless as error:
            self.refuse([asked.vm.id for asked in members], str(error))

    def group(self, name: str, group: _Group, now: int, rules: DraftRules) -> None:
        """The lease of a group, once it is complete. A name belongs to who used it first."""
        if not group.uids:
            return
        owner = group.started_by
        if owner is None:
            owner = next(iter(group.uids.values()))
        others = [number for number, uid in group.uids.items() if uid != owner]
        if others:
            self.refuse(others, f"HAIZEA group {name!r} is another user's: choose another name")
        senseless = [one for one in group.senseless if group.uids[one.vm_ids[0]] == owner]
        members = [asked for asked in group.members if asked.vm.uid == owner]
        self.refusals += senseless
        if not members:
            return
        message = _refused(name, group, senseless, members)
        if message:
            self.refuse([asked.vm.id for asked in members], message)
        else:
            self.complete(name, members, now, rules)

    def complete(self, name: str, members: list[_Asked], now: int, rules: DraftRules) -> None:
        """The lease of VMs that say the same, where they are enough."""
        size = members[0].words.group_size
        if size is not None and len(members) > size:
            self.refuse(
                [asked.vm.id for asked in members[size:]],
                f"HAIZEA group {name!r} is complete with {size} VMs: choose another name,"
                " or a larger group_size",
            )
            members = members[:size]
        waiting = _incomplete(name, members, now, rules)
        if waiting is None:
            self.draft(members, now)
        else:
            self.waiting.append(waiting)


def _refused(
    name: str, group: _Group, senseless: Sequence[Refusal], members: Sequence[_Asked]
) -> str:
    """Why no member of a group can be a lease, empty where they can."""
    if group.started_by is not None:
        return (
            f"HAIZEA group {name!r} is a lease already, and this VM came late: choose another"
            " name, or give group_size so that the group is waited for"
        )
    if senseless:
        number = senseless[0].vm_ids[0]
        return f"HAIZEA group {name!r}: its VM {number} is refused: {senseless[0].message}"
    return _disagreement(name, members)


def _words_of(vm: VirtualMachine) -> dict[str, str]:
    """``HAIZEA`` of the user template, or (1.4) of the template, names in upper case."""
    template = vm.user_template if "HAIZEA" in vm.user_template else vm.template
    return {name.upper(): unquoted(text) for name, text in template.vector("HAIZEA").items()}


def _read(vm: VirtualMachine, rules: DraftRules) -> _Asked:
    if vm.problem:
        raise _Senseless(vm.problem)
    template = vm.user_template if "HAIZEA" in vm.user_template else vm.template
    written = template.all("HAIZEA")
    if len(written) > 1:
        raise _Senseless("HAIZEA is there more than once: write one")
    if written and isinstance(written[0], str) and written[0].strip():
        raise _Senseless(f"HAIZEA is a plain text: write {EXAMPLE}")
    default = Start(rules.default)
    try:
        words = parse_words(_words_of(vm), default=default, zone=rules.zone, submitted=vm.stime)
    except ValueError as error:
        raise _Senseless(str(error)) from None
    return _Asked(vm, words, bool(written))


def read_again(vms: Sequence[VirtualMachine], rules: DraftRules) -> LeaseDraft | Refusal:
    """Read what the VMs of one lease ask for now, by VM id; a start may be past."""
    vm_ids, members = tuple(vm.id for vm in vms), []
    for vm in vms:
        try:
            members.append(_read(vm, rules))
        except _Senseless as error:
            which = f"VM {vm.id}: " if len(vms) > 1 else ""
            return Refusal(vm_ids, f"{which}{error}")
    name = members[0].words.group
    for member in members:
        if member.words.group != name:
            return Refusal(vm_ids, f"VMs {vm_ids[0]} and {member.vm.id} name different groups")
    message = _disagreement(name, members)
    return Refusal(vm_ids, message) if message else _draft_of(members)


def _disagreement(name: str, members: Sequence[_Asked]) -> str:
    """Name what the members of a group do not say alike, in words for their owner."""
    for field_name, what in _ALIKE.items():
        for first, other in pairwise(members):
            if getattr(other.words, field_name) != getattr(first.words, field_name):
                return (
                    f"HAIZEA group {name!r}: VMs {first.vm.id} and {other.vm.id} do not say the"
                    f" same {what}: all its VMs start and end together, so write it alike in all"
                )
    return ""


def _incomplete(
    name: str, members: Sequence[_Asked], now: int, rules: DraftRules
) -> Waiting | None:
    vm_ids = tuple(asked.vm.id for asked in members)
    size = members[0].words.group_size
    last = max(asked.vm.stime for asked in members)
    start = members[0].words.start.at(last)
    if size is not None:
        if len(members) == size or (start is not None and start < now):
            return None
        message = f"HAIZEA group {name!r}: {len(members)} of {size} VMs are here"
        return Waiting(vm_ids, message, None if start is None else start + 1)
    until = last + rules.settling_seconds
    if start is not None:
        # A group that starts sooner is taken as it is.
        until = min(until, start)
    if until <= now:
        return None
    return Waiting(vm_ids, f"HAIZEA group {name!r}: waiting for more of its VMs", until)


def _drafted(members: Sequence[_Asked], now: int) -> LeaseDraft:
    words = members[0].words
    if words.group_size is not None and len(members) < words.group_size:
        raise _Senseless(
            f"HAIZEA group {words.group!r}: only {len(members)} of {words.group_size} VMs were"
            " here when it was to start: submit it again, with a later start"
        )
    draft = _draft_of(members)
    if draft.start is not None and draft.start < now:
        raise _Senseless(
            f"HAIZEA start {format_time(draft.start)} is past (it is {format_time(now)}): submit it"
            " again with a later start, or with now or best_effort"
        )
    return draft


def _draft_of(members: Sequence[_Asked]) -> LeaseDraft:
    """The lease of VMs that say the same."""
    first = members[0]
    words = first.words
    submitted = max(asked.vm.stime for asked in members)
    return LeaseDraft(
        nodes=tuple(_node(asked.vm) for asked in members),
        kind=words.start.kind,
        start=words.start.at(submitted),
        after=None if words.after is None else words.after.at(submitted),
        deadline=None if words.deadline is None else words.deadline.at(submitted),
        duration=words.duration,
        preemptible=words.preemptible,
        fixed_hosts=words.fixed_hosts,
        submitted=submitted,
        owner=first.vm.uname,
        uid=first.vm.uid,
        group=words.group,
        explicit=first.asks,
    )


def _node(vm: VirtualMachine) -> NodeDraft:
    return NodeDraft(
        vm_id=vm.id,
        cpu_percent=vm.cpu_percent,
        memory_mb=vm.memory_mb,
        requirements=_expression(vm, "SCHED_REQUIREMENTS", "REQUIREMENTS"),
        automatic_requirements=vm.template.text("AUTOMATIC_REQUIREMENTS"),
        rank=_expression(vm, "SCHED_RANK", "RANK"),
    )


def _expression(vm: VirtualMachine, *names: str) -> str:
    """The first that there is: newer names first, the user's template before OpenNebula's."""
    for name in names:
        found = vm.user_template.text(name) or vm.template.text(name)
        if found:
            return found
    return ""
