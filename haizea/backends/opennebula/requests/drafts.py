"""The requests that users make in their VMs: waiting VMs become drafts of leases, or refusals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import groupby, pairwise

from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.model.waiting import PENDING
from haizea.backends.opennebula.requests.haizea_attribute import Start, Words, parse_words, unquoted
from haizea.backends.opennebula.state.seen import size_of
from haizea.core.model.lease import Draft, Kind, Nodes
from haizea.times import format_time

#: Can be typed as it is printed: with apostrophes, and so without spaces in values.
EXAMPLE = "HAIZEA=[ START='+01:00:00', DURATION='02:00:00' ]"

#: Fields of :class:`Words` that the VMs of a group say alike, and what they call them.
_ALIKE = {
    **{name: name for name in ("start", "after", "deadline", "duration", "preemptible")},
    "fixed_hosts": "hosts",
    "group_size": "group_size",
}


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
    """The requests of VMs; every VM that waits is in exactly one of these.

    Of a draft the ``names`` are the numbers of its VMs, and the label is their group.
    """

    leases: tuple[Draft, ...]
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


#: A VM and what it says.
_Member = tuple[VirtualMachine, Words]


@dataclass(slots=True)
class _Group:
    """The VMs of one group, by id: those that make sense, and those that do not."""

    members: list[_Member] = field(default_factory=list)
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
    for member in alone.members:
        result.draft([member], now)
    for name, group in groups.items():
        result.group(name, group, now, rules)
    return result.drafts()


@dataclass(slots=True)
class _Result:
    leases: list[Draft]
    refusals: list[Refusal]
    waiting: list[Waiting]

    def drafts(self) -> Drafts:
        return Drafts(
            tuple(sorted(self.leases, key=vms_by_id)),
            tuple(sorted(self.refusals, key=lambda refusal: refusal.vm_ids)),
            tuple(sorted(self.waiting, key=lambda waiting: waiting.vm_ids)),
        )

    def refuse(self, vm_ids: Sequence[int], message: str) -> None:
        self.refusals.append(Refusal(tuple(vm_ids), message))

    def draft(self, members: Sequence[_Member], now: int) -> None:
        try:
            self.leases.append(_drafted(members, now))
        except _Senseless as error:
            self.refuse([vm.id for vm, _ in members], str(error))

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
        members = [member for member in group.members if member[0].uid == owner]
        self.refusals += senseless
        if not members:
            return
        message = _refused(name, group, senseless, members)
        if message:
            self.refuse([vm.id for vm, _ in members], message)
        else:
            self.complete(name, members, now, rules)

    def complete(self, name: str, members: list[_Member], now: int, rules: DraftRules) -> None:
        """The lease of VMs that say the same, where they are enough."""
        size = members[0][1].group_size
        if size is not None and len(members) > size:
            self.refuse(
                [vm.id for vm, _ in members[size:]],
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
    name: str, group: _Group, senseless: Sequence[Refusal], members: Sequence[_Member]
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


def speaks(vm: VirtualMachine) -> bool:
    """Tell whether a VM has a ``HAIZEA``."""
    return "HAIZEA" in vm.user_template or "HAIZEA" in vm.template


def _words_of(vm: VirtualMachine) -> dict[str, str]:
    """``HAIZEA`` of the user template, or (1.4) of the template, names in upper case."""
    template = vm.user_template if "HAIZEA" in vm.user_template else vm.template
    return {name.upper(): unquoted(text) for name, text in template.vector("HAIZEA").items()}


def _read(vm: VirtualMachine, rules: DraftRules) -> _Member:
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
    return vm, words


def read_again(
    vms: Sequence[VirtualMachine], rules: DraftRules, unsaid: Kind | None = None
) -> Draft | Refusal:
    """Read what the VMs of one lease ask for now, by VM id; a start may be past.

    Without ``HAIZEA`` they ask for the kind ``unsaid``, if one is given, or the default.
    """
    vm_ids, members = tuple(vm.id for vm in vms), []
    for vm in vms:
        try:
            members.append(_read(vm, rules))
        except _Senseless as error:
            which = f"VM {vm.id}: " if len(vms) > 1 else ""
            return Refusal(vm_ids, f"{which}{error}")
    name = members[0][1].group
    for vm, words in members:
        if words.group != name:
            return Refusal(vm_ids, f"VMs {vm_ids[0]} and {vm.id} name different groups")
    message = _disagreement(name, members)
    if message:
        return Refusal(vm_ids, message)
    draft = _draft_of(members)
    return draft if unsaid is None or speaks(vms[0]) else replace(draft, kind=unsaid)


def _disagreement(name: str, members: Sequence[_Member]) -> str:
    """Name what the members of a group do not say alike, in words for their owner."""
    for field_name, what in _ALIKE.items():
        for (one, said), (other, other_said) in pairwise(members):
            if getattr(other_said, field_name) != getattr(said, field_name):
                return (
                    f"HAIZEA group {name!r}: VMs {one.id} and {other.id} do not say the"
                    f" same {what}: all its VMs start and end together, so write it alike in all"
                )
    return ""


def _incomplete(
    name: str, members: Sequence[_Member], now: int, rules: DraftRules
) -> Waiting | None:
    vm_ids, words = tuple(vm.id for vm, _ in members), members[0][1]
    size, last = words.group_size, _submitted(members)
    start = words.start.at(last)
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


def _drafted(members: Sequence[_Member], now: int) -> Draft:
    words = members[0][1]
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


def _draft_of(members: Sequence[_Member]) -> Draft:
    """The lease of VMs that say the same; the largest have its first nodes."""
    first, words = members[0]
    submitted = _submitted(members)
    vms = [vm for vm, _ in members]
    vms.sort(key=lambda vm: (-vm.cpu_percent, -vm.memory_mb, vm.id))
    return Draft(
        kind=words.start.kind,
        nodes=tuple(
            Nodes(len(list(alike)), {"CPU": cpu_percent, "Memory": memory_mb})
            for (cpu_percent, memory_mb), alike in groupby(vms, size_of)
        ),
        start=words.start.at(submitted),
        after=None if words.after is None else words.after.at(submitted),
        deadline=None if words.deadline is None else words.deadline.at(submitted),
        duration=words.duration,
        preemptible=words.preemptible,
        fixed_hosts=words.fixed_hosts,
        label=words.group,
        owner=first.uname,
        names=tuple(str(vm.id) for vm in vms),
    )


def _submitted(members: Sequence[_Member]) -> int:
    """The moment when the last of them was submitted."""
    return max(vm.stime for vm, _ in members)


def vms_by_id(draft: Draft) -> tuple[int, ...]:
    """The VMs of a draft, by id."""
    return tuple(sorted(map(int, draft.names)))
