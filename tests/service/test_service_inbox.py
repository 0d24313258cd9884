"""Requests on their way to the scheduler: in turns between owners, and as much as a turn bears."""

from __future__ import annotations

from dataclasses import replace

from haizea.api.manager import Unavailable
from haizea.core.model.events import (
    Input,
    LeaseCancelled,
    LeaseSubmitted,
    MaintenanceChanged,
)
from haizea.core.model.lease import Draft, Kind, Nodes
from haizea.core.model.maintenance import Impact, Maintenance
from haizea.core.model.reasons import Code, Reason
from haizea.core.model.resources import ResourceTypes
from haizea.service.inbox import (
    MOST_AT_ONCE,
    MOST_NODES_AT_ONCE,
    Cancellation,
    Inbox,
)
from haizea.service.upkeep import Ending, UpkeepDesk, Wish
from haizea.service_types import Submission


def inbox() -> Inbox:
    return Inbox(
        ResourceTypes(),
        1,
        lambda owner, key, digest: None,
        lambda: None,
        lambda request, lease: None,
        UpkeepDesk(lambda window: Impact()),
    )


def asked(owner: str, label: str = "", nodes: int = 1) -> Submission:
    draft = Draft(
        kind=Kind.BEST_EFFORT,
        nodes=(Nodes(nodes, {"CPU": 1}),),
        duration=60,
        label=label or owner,
        owner=owner,
    )
    return Submission(draft=draft, key=None)


def labels(inputs: list[Input]) -> list[str]:
    return [i.request.label for i in inputs if isinstance(i, LeaseSubmitted)]


def test_owners_are_served_in_turns_however_many_requests_each_has() -> None:
    """The thousandth request of one came before the first of another once."""
    line = inbox()
    for number in range(1000):
        line.put(asked("anna", f"anna {number}"))
    line.put(asked("bert"))
    line.put(Cancellation(lease_id=7, reason=Reason(Code.CANCELLED_BY_OWNER), owner="carl"))
    first = line.take(0)
    assert len(first) == MOST_AT_ONCE
    assert labels(first[:2]) == ["anna 0", "bert"]
    assert first[2] == LeaseCancelled(7, Reason(Code.CANCELLED_BY_OWNER))
    assert line.next_arrival() is not None
    line.put(asked("dora"))
    assert labels(line.take(1)[:2]) == [f"anna {MOST_AT_ONCE - 2}", "dora"]


def test_one_owner_s_requests_keep_their_order() -> None:
    line = inbox()
    for number in range(MOST_AT_ONCE + 50):
        line.put(asked("anna", str(number)))
    taken = labels(line.take(0)) + labels(line.take(0))
    assert taken == [str(number) for number in range(MOST_AT_ONCE + 50)]
    assert line.next_arrival() is None


def test_a_turn_takes_so_many_nodes_but_at_least_one_request() -> None:
    line = inbox()
    for owner in ("anna", "bert", "carl"):
        line.put(asked(owner, nodes=MOST_NODES_AT_ONCE - 10))
    line.put(asked("dora", nodes=2 * MOST_NODES_AT_ONCE))
    assert [labels(line.take(0)) for _ in range(4)] == [["anna"], ["bert"], ["carl"], ["dora"]]
    assert line.next_arrival() is None


def test_what_waits_in_a_line_is_answered_when_the_service_ends() -> None:
    line = inbox()
    requests = [asked("anna") for _ in range(MOST_AT_ONCE + 3)]
    for request in requests:
        line.put(request)
    line.take(0)
    line.close("the service ends")
    for request in requests:
        assert isinstance(request.answer.exception(0), Unavailable)


def test_each_wish_in_a_turn_is_told_what_became_of_it() -> None:
    """All of one window were told the last of its news once: refused, or that it begins."""
    desk = UpkeepDesk(lambda window: Impact())
    form = Maintenance(id=3, hosts=(0,), start=10)
    wishes = [
        Wish(window=replace(form, end=end), owner="olga", instead_of=form) for end in (20, 30)
    ]
    ending = Ending(window_id=3, owner="olga")
    for wish in wishes:
        desk.take(wish)
    desk.taken.append(ending)
    refused = Reason(Code.CHANGED_MEANWHILE)
    desk.answer(
        [
            MaintenanceChanged(10, wishes[0].window, "planned"),
            MaintenanceChanged(10, wishes[1].window, "refused", refused),
            MaintenanceChanged(10, wishes[0].window, "begun"),
        ]
    )
    assert [wish.answer.result(0).impact.refusal for wish in wishes] == [None, refused]
    assert ending.answer.result(0) is None
