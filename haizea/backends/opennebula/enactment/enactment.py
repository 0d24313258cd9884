"""Brings VMs to where they are to be: which commands, when, and what if they do not work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from haizea.backends.opennebula.enactment import remedies
from haizea.backends.opennebula.enactment.commander import Answer, Order
from haizea.backends.opennebula.enactment.outcomes import Limits, Outcome, What, told
from haizea.backends.opennebula.enactment.throttle import Throttle, under_way
from haizea.backends.opennebula.model.errors import RefusalKind
from haizea.backends.opennebula.model.vm import VmState
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Errand, Ledger
from haizea.backends.opennebula.state.room import Room
from haizea.backends.opennebula.state.seen import Seen, SeenVms, size_of
from haizea.backends.opennebula.state.steps import (
    STARTS,
    Finding,
    Goal,
    Manners,
    Verb,
    is_broken,
    next_step,
)
from haizea.backends.opennebula.state.whereabouts import is_elsewhere, was_moved
from haizea.core.model.lease import Kind
from haizea.core.model.reasons import Code, Reason, because, stated
from haizea.core.model.resources import Capacity, add
from haizea.wording import in_words

_log = logging.getLogger(__name__)

#: Commands that put right what went wrong with others.
_REMEDIES = frozenset([Verb.RETRY, Verb.FAIL, Verb.RECREATE, Verb.DELETE])

_WAITS = frozenset([VmState.PENDING, VmState.HOLD])

#: So long, in seconds, after which a command without any visible effect is given again.
_PATIENCE_SECONDS = 15


class Enactment:
    """Works off the open errands of a ledger. To be used from one thread.

    ``send`` hands an order over; ``datastore`` chooses where a VM's files go on a host, or
    says why nowhere; ``suspends`` is how VMs are saved, see :class:`.Manners`;
    ``epilog_seconds`` is how long putting a VM's files away takes.
    """

    def __init__(
        self,
        ledger: Ledger,
        seen: SeenVms,
        hosts: HostTable,
        limits: Limits,
        send: Callable[[Order], None],
        datastore: Callable[[int, int], tuple[int | None, str]],
        suspends: bool,
        epilog_seconds: remedies.Usual = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._seen = seen
        self._hosts = hosts
        self._limits = limits
        self._send = send
        self._datastore = datastore
        self._suspends = suspends
        self._epilog_seconds = epilog_seconds
        self.room = Room(ledger, seen, hosts, suspends)
        self._throttle = Throttle(limits, self._at)
        self._later: int | None = None

    def next_moment(self) -> int | None:
        """The next moment when something can be done that could not be done before."""
        return self._later

    def answered(self, now: int, answer: Answer) -> Outcome | None:
        """Take notice of how sending an order ended."""
        errand = self._ledger.errands.get(answer.order.vm)
        if errand is None:
            return None
        errand.busy = False
        if not (answer.unreachable and answer.sure):
            errand.fresh_after = answer.at
        if not answer.error:
            errand.first_sent = errand.first_sent if errand.first_sent is not None else now
            return None
        self.room.came(errand.vm)
        if errand.verb is not answer.order.verb:
            return None  # Something else is wanted meanwhile.
        errand.verb = None
        if answer.unreachable:
            errand.retry_at = now + 1
            return None
        _log.warning("%s was refused: %s", answer.order, answer.error)
        if answer.kind is RefusalKind.NO_SUCH_OBJECT:
            return None  # The look that follows tells.
        refused = because(Code.COMMAND_REFUSED, command=str(answer.order), text=answer.error)
        return self._failed(now, errand, refused)

    def restarted(self) -> None:
        """OpenNebula was started anew: what it was told before and has not done is lost."""
        for number in self._ledger.open:
            errand = self._ledger.errands[number]
            if not errand.busy:
                errand.verb = errand.working = None
        self.room.nobody_comes()

    def pump(self, now: int) -> Iterator[Outcome]:
        """Do what can be done now; what became of errands meanwhile."""
        self._later = None
        self._throttle.count(under_way(self._ledger, self._seen))
        legacy = self._seen.legacy
        manners = Manners(legacy=legacy, suspends=self._suspends)
        starts: dict[int, list[tuple[Errand, Seen, Verb]]] = {}
        for number in sorted(self._ledger.open | self._ledger.disturbed):
            errand = self._ledger.errands[number]
            seen = self._seen.get(number)
            if errand.busy or self._is_decided_on(errand):
                continue
            if seen is None:
                if number not in self._seen.unread:
                    yield Outcome(errand, What.GONE)
                continue
            if seen.asked < errand.fresh_after:
                continue
            if errand.reached:
                yield from self._free(now, errand, seen)
                continue
            errand.off_first |= is_elsewhere(errand, seen)
            step = next_step(errand.next_goal, errand.host, seen.vm, manners)
            if isinstance(step, Verb):
                step = remedies.harder(now, errand, seen, step, self._limits, legacy=legacy)
                if errand.verb is step and self._is_patient(now, errand):
                    continue
                yield from self._again(now, errand, step)
                if errand.next_goal is Goal.RUNNING:
                    starts.setdefault(errand.lease, []).append((errand, seen, step))
                else:
                    self._command(now, errand, seen, step)
            elif was_moved(errand, seen):
                yield from self._found(now, errand, seen, Finding.REACHED)
            else:
                yield from self._found(now, errand, seen, step)
        for lease in starts.values():
            yield from self._start(now, lease)

    def _is_decided_on(self, errand: Errand) -> bool:
        """Tell whether the schedule knows that it was given up, and will say what is wanted now."""
        lease = self._ledger.leases.get(errand.lease)
        return errand.given_up and lease is not None and lease.purpose is None

    # --- errands -------------------------------------------------------------------------

    def _found(self, now: int, errand: Errand, seen: Seen, found: Finding) -> Iterator[Outcome]:
        match found:
            case Finding.REACHED if errand.off_first:
                errand.off_first = False
                errand.verb = errand.working = None
                errand.attempts, errand.retry_at = 0, now
                self._at(now)
            case Finding.REACHED:
                self.room.came(errand.vm)
                self._ledger.reach(errand)
                yield Outcome(errand, What.REACHED)
            case Finding.GONE:
                yield Outcome(errand, What.GONE)
            case Finding.AWAY:
                yield Outcome(errand, What.AWAY)
            case Finding.BROKEN:
                yield from self._mend(now, errand, seen)
            case Finding.LOST:
                self._look_for(now, errand, seen)
            case Finding.UNDER_WAY:
                if errand.verb not in _REMEDIES:
                    errand.working = errand.verb or errand.working
                errand.verb = errand.mend_at = None
                yield from self._hurry(now, errand, seen)

    def _again(self, now: int, errand: Errand, step: Verb) -> Iterator[Outcome]:
        """A command is needed: where it was given before, it did not work."""
        given = errand.working if errand.verb in _REMEDIES else errand.verb or errand.working
        errand.verb = errand.working = None
        # What is to run comes there by several commands.
        if given is None or (errand.next_goal is Goal.RUNNING and given is not step):
            return
        problem = because(Code.VM_FAILED, vm=errand.vm, text=f"{given} did not work")
        outcome = self._failed(now, errand, problem)
        if outcome is not None:
            yield outcome

    def _mend(self, now: int, errand: Errand, seen: Seen) -> Iterator[Outcome]:
        """An operation on the VM failed."""
        errand.working = None
        if now < errand.retry_at:
            self._at(errand.retry_at)
            return
        if errand.verb in (Verb.RETRY, Verb.RECREATE, Verb.DELETE) and self._is_patient(
            now, errand
        ):
            return
        verb = remedies.remedy(errand, seen)
        if verb is not Verb.RETRY:
            self._command(now, errand, seen, verb)
            return
        if errand.mend_at is None:
            problem = because(Code.VM_FAILED, vm=errand.vm, text=told(seen.vm.lcm_state))
            outcome = self._failed(now, errand, problem)
            errand.mend_at = errand.retry_at
            if outcome is not None:
                yield outcome
        elif now >= errand.mend_at and not errand.given_up:
            if self._is_crowded(errand, seen):
                errand.retry_at = now + self._limits.wait_seconds(errand.attempts)
                self._at(errand.retry_at)
                return
            errand.mend_at = None
            self._command(now, errand, seen, verb)

    def _is_crowded(self, errand: Errand, seen: Seen) -> bool:
        """Tell whether others have the room of a VM that would start if it were tried again.

        Nobody keeps it for one that is only to leave its host in good order, nor for one that
        came to run and that others moved since.
        """
        host = seen.vm.host_id
        has_room = errand.next_goal is Goal.RUNNING and not errand.reached
        if has_room or host is None or seen.vm.lcm_state not in STARTS:
            return False
        return self.room.problem(host, size_of(seen.vm), {errand.vm}) is not None

    def _look_for(self, now: int, errand: Errand, seen: Seen) -> None:
        """Nobody knows whether the VM runs; on a host that died it can begin elsewhere."""
        if errand.next_goal is not Goal.OFF or self._seen.legacy:
            return
        number = seen.vm.last_host_id
        index = None if number is None else self._hosts.current.get(number)
        dead = index is None or self._hosts.entries[index].status == "down"
        if dead and not (errand.verb is Verb.RECREATE and self._is_patient(now, errand)):
            self._command(now, errand, seen, Verb.RECREATE)

    def _hurry(self, now: int, errand: Errand, seen: Seen) -> Iterator[Outcome]:
        """The VM is busy; a state that lasts too long hangs."""
        if self._breaks_off(now, errand, seen):
            return
        hangs = remedies.hangs_at(errand, seen, self._limits, self._epilog_seconds)
        moment = max(hangs, errand.retry_at)
        if now < moment:
            self._at(moment)
            return
        problem = because(Code.VM_HANGS, vm=errand.vm, text=told(seen.vm.lcm_state))
        _log.warning(
            "%s%s", in_words(problem), ": OpenNebula was restarted" if seen.orphaned else ""
        )
        errand.working = None
        again = now + 1
        verb = remedies.way_out(errand, seen, legacy=self._seen.legacy)
        if seen.orphaned is None or verb is None:
            outcome = self._failed(now, errand, problem)
            if outcome is not None:
                yield outcome
                return
            again, errand.retry_at = errand.retry_at, now  # It was waited for long enough.
        if verb is not None:
            self._command(now, errand, seen, verb)
        errand.retry_at = again

    def _breaks_off(self, now: int, errand: Errand, seen: Seen) -> bool:
        """Break off a first start that is of no use any more; tell whether it is of none."""
        moment = remedies.breaks_off_at(errand, seen, legacy=self._seen.legacy)
        if moment is None:
            return False
        if now < moment:
            self._at(moment)
            return True
        self._command(now, errand, seen, remedies.clearance(errand))
        if errand.busy:
            errand.retry_at = now + _PATIENCE_SECONDS
        return True

    def _free(self, now: int, errand: Errand, seen: Seen) -> Iterator[Outcome]:
        """Get a VM that ran as wanted out of what others began with it, and nobody ends."""
        if not is_broken(seen.vm):
            yield from self._hurry(now, errand, seen)
        elif now < seen.changed + self._limits.timeout_seconds:
            self._at(seen.changed + self._limits.timeout_seconds)
        else:
            yield from self._mend(now, errand, seen)

    def _failed(self, now: int, errand: Errand, reason: Reason) -> Outcome | None:
        """Something did not work: it is tried again later, or given up."""
        errand.attempts += 1
        errand.problem = reason
        errand.retry_at = now + self._limits.wait_seconds(errand.attempts)
        self._at(errand.retry_at)
        self._ledger.changed.add(errand.vm)
        if errand.attempts <= self._limits.retries or errand.given_up:
            return None
        if remedies.is_for_ever(errand, legacy=self._seen.legacy):
            return None
        if errand.resumes and now < errand.since + self._limits.timeout_seconds:
            return None  # What is saved of it can go on nowhere else.
        errand.given_up = True
        return Outcome(errand, What.FAILED, reason)

    # --- starting ------------------------------------------------------------------------

    def _start(self, now: int, ready: list[tuple[Errand, Seen, Verb]]) -> Iterator[Outcome]:
        """Start the VMs of a lease, where all their hosts have room for them."""
        if any(now < errand.retry_at for errand, _, _ in ready):
            self._at(max(errand.retry_at for errand, _, _ in ready))
            return
        wanted: dict[int, Capacity] = {}
        for errand, seen, verb in ready:
            if verb is Verb.RESUME and errand.host in seen.places:
                continue
            assert errand.host is not None, "it is to run somewhere"
            wanted[errand.host] = add(wanted.get(errand.host, (0, 0)), size_of(seen.vm))
        for host, amount in wanted.items():
            problem = self.room.problem(host, amount, {errand.vm for errand, _, _ in ready})
            if problem is not None:
                # What has not begun yet can begin elsewhere.
                begun = any(seen.vm.state not in _WAITS for _, seen, _ in ready)
                patient = begun or self.room.is_usable(host)
                limit = self._limits.timeout_seconds if patient else 0
                yield from self._wait_for_room(now, ready, problem, limit)
                return
        for errand, _, verb in ready:
            problem = self._place_problem(errand) if verb is Verb.DEPLOY else None
            if problem is not None:
                errand.problem, errand.retry_at = problem, now + self._limits.backoff_seconds
                self._at(errand.retry_at)
                lease = self._ledger.leases.get(errand.lease)
                patient = lease is not None and lease.request.kind is Kind.AR
                limit = self._limits.timeout_seconds if patient else _PATIENCE_SECONDS
                yield from self._wait_for_room(now, ready, problem, limit)
                return
        for errand, seen, verb in ready:
            errand.waits_since = None
            self._command(now, errand, seen, verb)
            if errand.busy and verb is not Verb.RESUME and errand.host is not None:
                self.room.goes(errand.vm, errand.host)

    def _place_problem(self, errand: Errand) -> Reason | None:
        """Why a VM's files cannot be on its host, if they cannot."""
        problem = self._datastore(errand.vm, errand.index or 0)[1]
        return stated(problem) if problem else None

    def _wait_for_room(
        self, now: int, ready: Iterable[tuple[Errand, Seen, Verb]], problem: Reason, seconds: int
    ) -> Iterator[Outcome]:
        for errand, _, _ in ready:
            if errand.waits_since is None:
                errand.waits_since = now
            limit = errand.waits_since + seconds
            if now >= limit and not errand.given_up:
                errand.given_up = True
                yield Outcome(errand, What.FAILED, problem)
            else:
                self._at(max(limit, now + 1))

    # --- commands ------------------------------------------------------------------------

    def _command(self, now: int, errand: Errand, seen: Seen, verb: Verb) -> None:
        """Give a command, unless the host has enough to do or it is too soon."""
        if now < errand.retry_at:
            self._at(errand.retry_at)
            return
        host = errand.host if verb in (Verb.DEPLOY, Verb.MIGRATE) else seen.vm.last_host_id
        if host is not None and not self._throttle.may(now, host):
            return
        order = Order(vm=errand.vm, verb=verb)
        if verb in (Verb.DEPLOY, Verb.MIGRATE):
            datastore, problem = self._datastore(errand.vm, errand.index or 0)
            if problem:
                errand.problem = stated(problem)
                errand.retry_at = now + self._limits.backoff_seconds
                self._at(errand.retry_at)
                return
            order = Order(vm=errand.vm, verb=verb, host=host, datastore=datastore)
        if host is not None:
            self._throttle.note(now, host)
        errand.verb = verb
        errand.busy = True
        errand.patient_until = now + _PATIENCE_SECONDS
        self._send(order)

    def _is_patient(self, now: int, errand: Errand) -> bool:
        """Tell whether a command was given just now, and may yet show its effect."""
        if now < errand.patient_until:
            self._at(errand.patient_until)
            return True
        return False

    def _at(self, moment: int) -> None:
        if self._later is None or moment < self._later:
            self._later = moment
