"""Remedies for VMs whose operation failed or hangs, and when it counts as hanging."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from haizea.backends.opennebula.enactment.outcomes import Limits
from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine
from haizea.backends.opennebula.state.ledger import Errand
from haizea.backends.opennebula.state.seen import Seen
from haizea.backends.opennebula.state.steps import NOTHING_LOST, Goal, Verb, runs, starts

#: The seconds that something takes of a VM; ``None`` where too little is known of it.
Usual = Callable[[VirtualMachine], float | None]

_PROLOGS = frozenset([LcmState.PROLOG, LcmState.PROLOG_RESUME, LcmState.PROLOG_UNDEPLOY])
_BOOTS = frozenset(
    [LcmState.BOOT, LcmState.BOOT_SUSPENDED, LcmState.BOOT_STOPPED, LcmState.BOOT_UNDEPLOY]
)
_EPILOGS = frozenset([LcmState.EPILOG, LcmState.EPILOG_STOP, LcmState.EPILOG_UNDEPLOY])

#: So long after OpenNebula was started anew, monitoring may yet find how an operation ended.
_SETTLING_SECONDS = 4
#: The states of a first start, in which nothing of the VM exists yet that is worth keeping.
_FIRST_STARTS = frozenset([LcmState.PROLOG, LcmState.BOOT])
#: An epilog that began before Haizea did counts as dead after so many times what others took,
#: with the certainty that is planned with, and after so long at least.
_UNUSUAL, _LEAST_EPILOG_SECONDS = 4, 30
#: What is shut down hard is off after so long, or twice as long the next time.
_HARD_SECONDS = 5


def breaks_off_at(errand: Errand, seen: Seen, *, legacy: bool) -> int | None:
    """The moment from which on a first start is broken off; ``None`` where it goes on.

    It is of no use to a VM that is to be off its host, and whoever comes next needs the room:
    it may go on for as long as what is shut down hard, in case it is nearly over.
    """
    unwanted = errand.next_goal in (Goal.OFF, Goal.PARKED, Goal.ENDED)
    if legacy or not unwanted or seen.vm.lcm_state not in _FIRST_STARTS:
        return None
    return errand.since + _HARD_SECONDS


def is_for_ever(errand: Errand, *, legacy: bool) -> bool:
    """Tell whether an errand is tried until it works: nothing else frees the host."""
    goal = errand.next_goal
    return goal is not Goal.RUNNING and (goal is not Goal.SAVED or not legacy)


def clearance(errand: Errand) -> Verb:
    """Return the command that rids a host of a VM of which nothing is worth keeping."""
    return Verb.DELETE if errand.next_goal is Goal.ENDED else Verb.RECREATE


def hangs_at(errand: Errand, seen: Seen, limits: Limits, epilog_seconds: Usual) -> int:
    """The moment from which on a busy VM counts as hanging.

    It neither begins anew when Haizea is started again, nor waits for what nobody does.
    """
    if seen.orphaned is not None:
        return seen.orphaned + _SETTLING_SECONDS
    if errand.next_goal is Goal.ENDED and seen.vm.lcm_state == LcmState.SHUTDOWN:
        if errand.first_sent is None:
            return max(seen.changed, errand.since) + limits.grace_seconds
        patience = min(_HARD_SECONDS << min(errand.attempts, 10), limits.grace_seconds)
        soonest = seen.changed + patience
        return max(errand.first_sent + limits.grace_seconds, soonest)
    hangs = _began(seen) + limits.timeout_seconds
    if errand.next_goal is Goal.ENDED and seen.found_so and seen.vm.lcm_state == LcmState.EPILOG:
        # Whether OpenNebula died and came back before is not known.
        usual = epilog_seconds(seen.vm)
        if usual is not None:
            return min(hangs, _began(seen) + max(_LEAST_EPILOG_SECONDS, ceil(_UNUSUAL * usual)))
    if errand.next_goal is Goal.ENDED and starts(seen.vm):
        # Nobody needs it any more; that OpenNebula forgot it meanwhile may have gone unseen.
        is_first = seen.vm.lcm_state in _FIRST_STARTS
        return min(hangs, errand.since + (_HARD_SECONDS if is_first else limits.grace_seconds))
    return hangs


def _began(seen: Seen) -> int:
    """The moment when a VM came to its state: before it was seen first, by OpenNebula's own times.

    They are those of the first time: what is tried again keeps them.
    """
    stamp = 0
    if seen.found_so and seen.vm.history:
        stay, lcm = seen.vm.history[-1], seen.vm.lcm_state
        if lcm in _PROLOGS:
            stamp = stay.prolog_start
        elif lcm in _BOOTS:
            stamp = stay.running_start
        elif lcm in _EPILOGS:
            stamp = stay.epilog_start
    return min(stamp or seen.changed, seen.changed)


def way_out(errand: Errand, seen: Seen, *, legacy: bool) -> Verb | None:
    """The command that gets a VM out of a state that does not end; ``None`` if there is none."""
    if legacy:
        return Verb.TERMINATE_HARD if errand.next_goal is Goal.ENDED else None
    match seen.vm.lcm_state:
        case LcmState.CLEANUP_RESUBMIT:
            return Verb.RECREATE
        case LcmState.CLEANUP_DELETE:
            return Verb.DELETE
        case _:
            return Verb.FAIL


def remedy(errand: Errand, seen: Seen) -> Verb:
    """Return the command that helps a VM whose operation failed."""
    if errand.next_goal is Goal.ENDED:
        # Its disks may be about to be saved.
        again = seen.vm.lcm_state == LcmState.EPILOG_FAILURE and errand.attempts <= 2
        return Verb.RETRY if again else clearance(errand)
    off = errand.next_goal in (Goal.OFF, Goal.PARKED)
    if off and seen.vm.lcm_state in NOTHING_LOST:
        return clearance(errand)
    return Verb.RETRY


def harder(
    now: int, errand: Errand, seen: Seen, verb: Verb, limits: Limits, *, legacy: bool
) -> Verb:
    """Return the command to give: a VM that was asked to shut down and did not is shut down hard.

    One whose memory can by no means be saved leaves its host without it: whatever that
    is cleared for has to start.
    """
    if verb in (Verb.STOP, Verb.SUSPEND) and runs(seen.vm) and not legacy:
        return Verb.UNDEPLOY if errand.attempts > limits.retries else verb
    if verb is not Verb.TERMINATE:
        return verb
    asked = errand.first_sent
    late = asked is not None and now - asked >= limits.grace_seconds
    return Verb.TERMINATE_HARD if errand.attempts or late else verb
