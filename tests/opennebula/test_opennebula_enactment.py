"""Commands that do not work: when they are given again, and which then."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from haizea.backends.opennebula.enactment.commander import Answer, Order
from haizea.backends.opennebula.enactment.enactment import Enactment
from haizea.backends.opennebula.enactment.outcomes import Limits, What
from haizea.backends.opennebula.model.vm import read_vm
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.ledger import Errand, Ledger
from haizea.backends.opennebula.state.seen import Look, SeenVms
from haizea.backends.opennebula.state.steps import Goal, Verb

RUNNING, UNKNOWN, SAVE_STOP, SHUTDOWN = (3, 3), (3, 16), (3, 5), (3, 12)
PROLOG_RESUME_FAILURE = (3, 49)

Reply = Callable[[Verb], tuple[tuple[int, int], tuple[int, int]]]


class OneVm:
    """A VM on host 0, seen anew each second; ``reply`` is what a command leads to, and then."""

    def __init__(self, goal: Goal, state: tuple[int, int], reply: Reply, **words: bool) -> None:
        self.ledger, self.seen = Ledger(), SeenVms()
        self.sent: list[tuple[int, Verb]] = []
        self.given_up: list[int] = []
        self._reply = reply
        self._orders: list[Order] = []
        self._states = [state]
        table = HostTable(None, lambda _: True, 60)
        limits = Limits(retries=3, backoff_seconds=2, timeout_seconds=900)
        self._enactment = Enactment(
            self.ledger,
            self.seen,
            table,
            limits,
            self._orders.append,
            lambda vm, host: (None, ""),
            suspends=False,
        )
        errand = Errand(vm=1, lease=7, size=(100, 512), goal=goal, since=0, host=0, index=0)
        errand.resumes = words.get("resumes", False)
        self.ledger.aim(errand)

    def live(self, seconds: int) -> None:
        """Let so many seconds pass."""
        for now in range(seconds):
            state, lcm = self._states.pop(0) if len(self._states) > 1 else self._states[0]
            text = (
                f"<VM><ID>1</ID><STATE>{state}</STATE><LCM_STATE>{lcm}</LCM_STATE>"
                "<TEMPLATE><CPU>1</CPU><MEMORY>512</MEMORY></TEMPLATE>"
                "<HISTORY_RECORDS><HISTORY><SEQ>0</SEQ><HID>0</HID></HISTORY></HISTORY_RECORDS></VM>"
            )
            self.seen.take(now, Look(asked=now + 0.5, vms=(read_vm(text),)))
            for outcome in self._enactment.pump(now):
                assert outcome.what is What.FAILED
                self.given_up.append(now)
            for order in self._orders:
                self.sent.append((now, order.verb))
                working, after = self._reply(order.verb)
                self._states = [working, working, after]
                self._enactment.answered(now, Answer(order=order, at=now + 0.6))
            self._orders.clear()

    def waits(self) -> list[int]:
        """Return how long after each command the next one was given."""
        times = [time for time, _ in self.sent]
        return [after - before for before, after in itertools.pairwise(times)]


def test_a_shutdown_that_does_not_work_is_asked_for_less_and_less_often() -> None:
    vm = OneVm(Goal.ENDED, UNKNOWN, lambda verb: (SHUTDOWN, UNKNOWN))
    vm.live(600)
    assert vm.sent[0][1] is Verb.TERMINATE
    assert {verb for _, verb in vm.sent[1:]} == {Verb.TERMINATE_HARD}
    waits = vm.waits()
    assert waits == sorted(waits)
    assert 60 <= waits[-1] <= 70
    assert len(vm.sent) < 20
    assert not vm.given_up, "somebody has to end it"


@pytest.mark.parametrize("goal", [Goal.SAVED, Goal.PARKED])
def test_memory_that_can_by_no_means_be_saved_is_given_up_at_last(goal: Goal) -> None:
    vm = OneVm(goal, RUNNING, lambda verb: (SAVE_STOP, RUNNING))
    vm.live(120)
    verbs = [verb for _, verb in vm.sent]
    assert verbs[:4] == [Verb.STOP] * 4
    assert set(verbs[4:]) == {Verb.UNDEPLOY}
    assert not vm.given_up


@pytest.mark.parametrize(("resumes", "soonest"), [(False, 0), (True, 900)])
def test_what_is_saved_is_waited_for(resumes: bool, soonest: int) -> None:
    vm = OneVm(
        Goal.RUNNING,
        PROLOG_RESUME_FAILURE,
        lambda verb: ((3, 9), PROLOG_RESUME_FAILURE),
        resumes=resumes,
    )
    vm.live(1200)
    assert {verb for _, verb in vm.sent} == {Verb.RETRY}
    (given_up,) = vm.given_up
    assert soonest <= given_up <= soonest + 100
