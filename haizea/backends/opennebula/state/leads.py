"""Lead times: what it takes from a VM's deployment until it runs, and at its end until it is gone.

Learned from VMs' own histories. A lease that is to run at a moment is deployed so much earlier;
one that is to be off its hosts is shut down so much earlier. How long copying took, and putting
files away, is OpenNebula's own word; what remains of the time from the command until the VM runs
counts as booting, and until it is gone as shutting down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from haizea.backends.opennebula.model.disks import Images, images_of
from haizea.backends.opennebula.model.vm import HistoryRecord, VirtualMachine, VmState
from haizea.backends.opennebula.state.lead_times import (
    ENOUGH,
    ENOUGH_OF_HOST,
    Figures,
    Kinds,
    Timed,
)
from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.seen import Seen, SeenVms
from haizea.backends.opennebula.state.steps import Verb

_FIRST_STARTS = frozenset([VmState.PENDING, VmState.HOLD])
#: All of a sort, whatever their kind.
_ALL = ""
_NO_IMAGE = "no image"
#: For so many certainties, of which each number of VMs has its own, hosts are kept in order.
_MOST_CERTAINTIES = 16
#: What is learned, and how people read it.
_SORTS = {
    "copying": "copy from",
    "booting": "boot of",
    "hosts": "boot on",
    "shutdown": "shutdown of",
    "ending": "end of",
    "leaving": "undeploy of",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRules:
    """Rules for planning lead times.

    Images are taken to be copied at ``image_mb_s`` and VMs to boot for ``boot_seconds`` until
    something was learned. ``certainty``, from 0 to 1, is that all VMs of a lease run by its
    start, or are gone by its end. ``ahead`` is whether leases are deployed before their start at
    all. The schedule plans ``shutdown_seconds`` for their ends until it is told otherwise.
    """

    ahead: bool = True
    certainty: float = 0.98
    image_mb_s: float = 100.0
    boot_seconds: int = 10
    shutdown_seconds: int = 0


class LeadTimes:
    """Follows VMs that are started for the first time, or ended. To be used from one thread.

    Only what began by our command, went on without a break and ended well counts. ``keep``
    makes durable what was learned; ``kept`` is that of an earlier run.
    """

    def __init__(
        self, rules: LeadRules, seen: SeenVms, kept: str | None, keep: Callable[[str], object]
    ) -> None:
        self.rules = rules
        self._seen = seen
        self._keep = keep
        found = json.loads(kept) if kept else {}
        self._sorts = {sort: Kinds(found.get(sort)) for sort in _SORTS}
        #: By certainty, until one more time is known.
        self._slowest: dict[float, list[tuple[float, str]]] = {}
        self._starts: dict[int, tuple[Errand, int]] = {}
        self._ends: dict[int, tuple[Errand, int]] = {}
        self._leaves: dict[int, tuple[Errand, int]] = {}
        #: Something was learned that is not shown or kept yet.
        self._is_new = False
        #: What was learned, for people; replaced, never changed, so that any thread may read it.
        self.shown = tuple(self._figures())

    # --- what is planned ----------------------------------------------------------------

    def seconds(self, vms: Sequence[VirtualMachine], hosts: Collection[str]) -> int:
        """The time from deploying these VMs together until all of them run.

        On whichever of ``hosts``, by name, they are: until they are deployed, these may change.
        A set of them is quickest. O(hosts that are slower than usual) for each.
        """
        each = self.rules.certainty ** (1 / max(len(vms), 1))
        longest = max((self._vm_seconds(vm, hosts, each) for vm in vms), default=0.0)
        return ceil(longest)

    def shutdown_seconds(self, vms: Sequence[VirtualMachine]) -> int | None:
        """The time from ending these VMs together until all are gone; ``None``: nothing learned."""
        shutdown, ending = self._sorts["shutdown"], self._sorts["ending"]
        each = self.rules.certainty ** (1 / max(len(vms), 1))
        longest = 0.0
        for vm in vms:
            images = images_of(vm)
            off = shutdown.get(template_of(vm), ENOUGH) or shutdown.get(_ALL)
            put_away = ending.get(images.kind or _NO_IMAGE) or ending.get(_ALL)
            if off is None:
                return None
            files = 0.0 if put_away is None else put_away.seconds(each, images.kept_mb)
            longest = max(longest, off.seconds(each) + files)
        return ceil(longest)

    def leaving_seconds(self, vms: Sequence[VirtualMachine]) -> int | None:
        """The time from undeploying these VMs until all are off; ``None``: nothing learned."""
        each = self.rules.certainty ** (1 / max(len(vms), 1))
        longest = 0.0
        for vm in vms:
            window = self._sorts["leaving"].get(template_of(vm))
            if window is None:
                return None
            longest = max(longest, window.seconds(each))
        return ceil(longest)

    def epilog_seconds(self, vm: VirtualMachine) -> float | None:
        """The time that putting a VM's files away takes; ``None``: too little was learned of it."""
        images = images_of(vm)
        put_away = self._sorts["ending"].get(images.kind or _NO_IMAGE, ENOUGH)
        if put_away is None:
            return None
        return put_away.seconds(self.rules.certainty, images.kept_mb)

    def copy_seconds(self, vm: VirtualMachine) -> float:
        """The time that copying a VM's images takes at most, with the certainty of the rules."""
        return self._copying(images_of(vm), self.rules.certainty)

    def _vm_seconds(self, vm: VirtualMachine, hosts: Collection[str], certainty: float) -> float:
        copying = self._copying(images_of(vm), certainty)
        return copying + self._booting(template_of(vm), hosts, certainty)

    def _copying(self, images: Images, certainty: float) -> float:
        if not images.size_mb:
            return 0.0
        copying = self._sorts["copying"]
        window = copying.get(images.kind) or copying.get(_ALL)
        if window is None:
            return images.size_mb / self.rules.image_mb_s
        return window.seconds(certainty, images.size_mb)

    def _booting(self, template: str, hosts: Collection[str], certainty: float) -> float:
        booting = self._sorts["booting"]
        window = booting.get(template, ENOUGH) or booting.get(_ALL)
        if window is None:
            return float(self.rules.boot_seconds)
        usual = window.seconds(certainty)
        for seconds, host in self._slowest_first(certainty):
            if seconds <= usual:
                break
            if host in hosts:
                return seconds
        return usual

    def _slowest_first(self, certainty: float) -> list[tuple[float, str]]:
        """List the hosts that count by themselves, with what to expect, the slowest first."""
        found = self._slowest.get(certainty)
        if found is None:
            if len(self._slowest) >= _MOST_CERTAINTIES:
                self._slowest.clear()
            by_host = self._sorts["hosts"].having(ENOUGH_OF_HOST)
            found = sorted(((w.seconds(certainty), host) for host, w in by_host), reverse=True)
            self._slowest[certainty] = found
        return found

    def _figures(self) -> Iterator[tuple[str, Figures]]:
        for sort, name in _SORTS.items():
            for figures in self._sorts[sort].figures(self.rules.certainty):
                if figures.kind != _ALL:
                    yield name, figures

    # --- what is learned ----------------------------------------------------------------

    def accepted(self, now: int, errand: Errand, verb: Verb) -> None:
        """A command for a lease's VM was accepted."""
        seen = self._seen.get(errand.vm)
        again = self._starts.pop(errand.vm, None) is not None
        is_new = verb is Verb.DEPLOY and not again and errand.attempts == 0
        if is_new and seen is not None and _starts_first(seen.vm):
            self._starts[errand.vm] = (errand, now)

        if verb is Verb.TERMINATE and seen is not None and errand.attempts == 0:
            # Where this is of no effect, so is the time until it is done the hard way.
            self._ends.setdefault(errand.vm, (errand, now))
        elif verb is not Verb.TERMINATE_HARD:
            self._ends.pop(errand.vm, None)

        self._leaves.pop(errand.vm, None)
        if verb is Verb.UNDEPLOY and seen is not None and seen.vm.state == VmState.ACTIVE:
            self._leaves[errand.vm] = (errand, now)

    def disturbed(self) -> None:
        """Note that what is under way was not watched all the time."""
        self._starts.clear()
        self._ends.clear()
        self._leaves.clear()

    def reached(self, now: int, errand: Errand) -> None:
        """A VM came to where it was to be."""
        seen = self._seen.get(errand.vm)
        left, asked = self._leaves.pop(errand.vm, (None, 0))
        if left is errand and not errand.attempts and seen is not None:
            self._note("leaving", template_of(seen.vm), Timed(0, max(now - asked, 1)))
        self._came_to_run(now, errand, seen)

    def _came_to_run(self, now: int, errand: Errand, seen: Seen | None) -> None:
        """A VM runs, if it was started for the first time."""
        begun, since = self._starts.pop(errand.vm, (None, 0))
        if begun is not errand or errand.attempts or seen is None or len(seen.vm.history) != 1:
            return
        stay, images = seen.vm.history[0], images_of(seen.vm)
        if images.size_mb:
            copied = _copying_seconds(stay)
            if copied is None:
                return
            self._note("copying", images.kind, Timed(images.size_mb, copied))
        else:
            copied = 0
        boot = Timed(0, max(now - since - copied, 1))
        self._note("booting", template_of(seen.vm), boot)
        self._sorts["hosts"].note(stay.host_name, boot)
        self._slowest.clear()

    def ended(self, now: int, vm: VirtualMachine) -> None:
        """A VM is over, and its history is complete; to be told before it is forgotten."""
        errand, since = self._ends.pop(vm.id, (None, 0))
        stay = vm.history[-1] if vm.history and self._seen.get(vm.id) else None
        if stay is None:
            return
        put_away = 0
        if 0 < stay.epilog_start <= stay.epilog_end:
            images, put_away = images_of(vm), stay.epilog_end - stay.epilog_start
            self._note("ending", images.kind or _NO_IMAGE, Timed(images.kept_mb, put_away))
        if errand is not None and not errand.attempts:
            off = Timed(0, max(now - since - put_away, 1))
            self._note("shutdown", template_of(vm), off)

    def _note(self, sort: str, kind: str, timed: Timed) -> None:
        self._sorts[sort].note(kind, timed)
        self._sorts[sort].note(_ALL, timed)
        self._is_new = True

    def settle(self) -> None:
        """Show and keep what was learned since the last time: once a turn, of however many VMs."""
        if not self._is_new:
            return
        self._is_new = False
        self.shown = tuple(self._figures())
        self._keep(json.dumps({sort: kinds.kept() for sort, kinds in self._sorts.items()}))


def _starts_first(vm: VirtualMachine) -> bool:
    """Tell whether a VM that is deployed begins from nothing, rather than from what was stored.

    By an event it may be on its way already.
    """
    on_its_way = vm.state == VmState.ACTIVE and len(vm.history) == 1
    return vm.state in _FIRST_STARTS or (on_its_way and vm.history[0].sequence == 0)


def template_of(vm: VirtualMachine) -> str:
    """Name the template that a VM was made from."""
    number = vm.template.text("TEMPLATE_ID")[:20]
    return f"template {number}" if number else "no template"


def _copying_seconds(stay: HistoryRecord) -> int | None:
    """Return how long a VM's files were prepared; ``None`` where OpenNebula does not say."""
    end = stay.prolog_end or stay.running_start
    return end - stay.prolog_start if 0 < stay.prolog_start <= end else None
