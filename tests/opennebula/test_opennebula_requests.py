"""Drafts of leases from what users write in their VMs, or refusals that say what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from local_zone import local_zone
from opennebula_replay import recorded

from haizea.backends.opennebula.model.vm import VirtualMachine, VmState, read_vm
from haizea.backends.opennebula.model.waiting import HOLD
from haizea.backends.opennebula.requests.drafts import (
    DraftRules,
    Drafts,
    Refusal,
    draft_leases,
    vms_by_id,
)
from haizea.backends.opennebula.requests.haizea_attribute import (
    Start,
    parse_duration_word,
    parse_start,
)
from haizea.backends.opennebula.wire.answers import AnswerReader, unwrap
from haizea.core.model.lease import Draft, Kind, Nodes

NOW = 1_800_000_000
BERLIN = ZoneInfo("Europe/Berlin")


def make_vm(
    number: int,
    *,
    state: int = VmState.PENDING,
    uid: int = 5,
    stime: int = NOW - 60,
    legacy: bool = False,
    cpu: str = "1",
    user: str = "",
    **words: str,
) -> VirtualMachine:
    """A VM with these words in its ``HAIZEA``; without any, it has none."""
    haizea = "".join(f"<{k.upper()}>{escape(v)}</{k.upper()}>" for k, v in words.items())
    haizea = f"<HAIZEA>{haizea}</HAIZEA>" if haizea else ""
    return read_vm(
        f"<VM><ID>{number}</ID><UID>{uid}</UID><UNAME>u{uid}</UNAME><STATE>{state}</STATE>"
        f"<LCM_STATE>0</LCM_STATE><STIME>{stime}</STIME>"
        f"<TEMPLATE><CPU>{cpu}</CPU><MEMORY>512</MEMORY>"
        f"<AUTOMATIC_REQUIREMENTS>auto</AUTOMATIC_REQUIREMENTS>{haizea if legacy else ''}"
        f"</TEMPLATE><USER_TEMPLATE>{'' if legacy else haizea}{user}</USER_TEMPLATE></VM>"
    )


def drafts(
    *vms: VirtualMachine, now: int = NOW, leased: set[int] | None = None, **rules: Any
) -> Drafts:
    return draft_leases(vms, now=now, leased=leased or set(), rules=DraftRules(**rules))


def one_lease(*vms: VirtualMachine, **rules: Any) -> Draft:
    found = drafts(*vms, **rules)
    assert (found.refusals, found.waiting) == ((), ())
    (lease,) = found.leases
    return lease


def one_refusal(*vms: VirtualMachine, **rules: Any) -> Refusal:
    found = drafts(*vms, **rules)
    assert (found.leases, found.waiting) == ((), ())
    (refusal,) = found.refusals
    return refusal


def test_a_vm_that_says_nothing_waits_until_it_fits() -> None:
    lease = one_lease(make_vm(7))
    assert lease == Draft(
        kind=Kind.BEST_EFFORT,
        nodes=(Nodes(1, {"CPU": 100, "Memory": 512}),),
        duration=None,
        owner="u5",
        names=("7",),
    )


def test_a_site_may_start_such_vms_now_or_not_at_all() -> None:
    assert one_lease(make_vm(7), default=Kind.IMMEDIATE).kind is Kind.IMMEDIATE
    assert one_lease(make_vm(7, duration="60"), default=Kind.IMMEDIATE).kind is Kind.IMMEDIATE
    assert one_lease(make_vm(7, start="best_effort"), default=Kind.IMMEDIATE).start is None


@pytest.mark.parametrize("version", ["1.4", "6.10.5", "7.4.0"])
def test_the_recorded_request_of_each_version(version: str) -> None:
    reader = AnswerReader(1 << 20)
    reader.feed(recorded(version, "*vm.info__PENDING"))
    vm = read_vm(str(unwrap(reader.finish())[0]), tolerant=version == "1.4")
    waiting = draft_leases([vm], now=vm.stime).waiting
    assert [(one.vm_ids, one.until) for one in waiting] == [((vm.id,), vm.stime + 10)]
    (lease,) = draft_leases([vm], now=vm.stime + 10).leases
    assert (lease.kind, lease.start) == (Kind.AR, vm.stime + 300)
    assert (lease.duration, lease.preemptible, lease.label) == (3600, False, "g1")


def test_a_window_instead_of_a_start() -> None:
    vm = make_vm(1, after="+1h", deadline="+9h", duration="02:00:00")
    lease = one_lease(vm)
    assert (lease.kind, lease.start, lease.duration) == (Kind.DEADLINE, None, 7200)
    assert (lease.after, lease.deadline) == (NOW - 60 + 3600, NOW - 60 + 9 * 3600)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"deadline": "+9h"}, "HAIZEA deadline is without a duration: add duration"),
        ({"after": "+1h", "duration": "60"}, "HAIZEA after is without a deadline"),
        ({"deadline": "+9h", "start": "+1h", "duration": "60"}, "start and deadline: write after"),
        ({"deadline": "soon", "duration": "60"}, "HAIZEA deadline 'soon' is not a time"),
        ({"deadline": "best_effort", "duration": "60"}, "is not a moment"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(words: dict[str, Any], said: str) -> None:
    assert said in one_refusal(make_vm(1, **words)).message


def test_only_vms_that_wait_for_us() -> None:
    vms = [make_vm(number, state=state) for number, state in enumerate(VmState)]
    assert vms_by_id(one_lease(*vms)) == (VmState.PENDING,)
    (held,) = draft_leases(vms, now=NOW, leased=set(), waits_in=HOLD).leases
    assert vms_by_id(held) == (VmState.HOLD,)
    assert drafts(*vms, leased={1}).leases == ()


# -- starts --


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("best_effort", Start(Kind.BEST_EFFORT)),
        ("Best-Effort", Start(Kind.BEST_EFFORT)),
        ("now", Start(Kind.IMMEDIATE)),
        (" NOW ", Start(Kind.IMMEDIATE)),
        ("+00:05:00", Start(Kind.AR, after=300)),
        ("+1:00:00:00", Start(Kind.AR, after=86400)),
        ("+ 90", Start(Kind.AR, after=90)),
        ("2027-01-15 09:00:00", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15 09:00", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15T08:00:00Z", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15 03:00:00-05:00", Start(Kind.AR, moment=1_800_000_000)),
        ("20270115T080000Z", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15 09:00:00 CET", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15 08:00 Europe/London", Start(Kind.AR, moment=1_800_000_000)),
        ("2027-01-15", Start(Kind.AR, moment=1_799_967_600)),
        ("+1h30m", Start(Kind.AR, after=5400)),
        ("+PT1H", Start(Kind.AR, after=3600)),
        ("In 90m", Start(Kind.AR, words="In 90m")),
        ("09:00", Start(Kind.AR, words="09:00")),
        ("Tomorrow 9:00", Start(Kind.AR, words="Tomorrow 9:00")),
    ],
)
def test_forms_of_start(text: str, expected: Start) -> None:
    assert parse_start(text, NOW, BERLIN) == expected


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "3600",
        "2027",
        "2027-13-01 00:00:00",
        "2027-02-29 00:00:00",
        "2027-01-15 25:00:00",
        "2027-01-15 09:00:00.5",
        "0001-01-01 00:00:00",
        "9999-12-31 24:00:00",
        "-00:05:00",
        "+",
        "+00:99:00",
        "+999999999999",
        "+soon",
        "now!",
        "٢٠٢٧-01-15 09:00:00",
        "x" * 1000,
    ],
)
def test_starts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"HAIZEA start ") as caught:
        parse_start(text, NOW, timezone(timedelta(hours=14)))
    told = str(caught.value)
    right = ("write", "leave out", "not a day of the calendar", "a day ends at", "out of reach")
    assert any(words in told for words in right)
    assert len(told) < 300


def test_a_date_that_is_not_there_is_told_as_the_shell_tells_it() -> None:
    with pytest.raises(ValueError, match="2027-02-29 is not a day of the calendar"):
        parse_start("2027-02-29 09:00", NOW, BERLIN)


def test_a_time_of_day_is_the_next_one_after_the_submission() -> None:
    start = parse_start("noon", NOW, BERLIN)
    assert (start.at(NOW), start.at(NOW + 4 * 3600)) == (NOW + 3 * 3600, NOW + 27 * 3600)
    vms = [make_vm(n, stime=NOW - n, start="noon", group="g", group_size="2") for n in (1, 2)]
    assert one_lease(*vms, zone=BERLIN).start == NOW + 3 * 3600


def test_a_time_that_clocks_skip() -> None:
    with pytest.raises(ValueError, match="clocks are put forward"):
        parse_start("2027-03-28 02:30:00", NOW, BERLIN)
    assert parse_start("2027-03-28 02:30:00+01:00", NOW, BERLIN).moment == 1_806_197_400


def test_a_time_that_comes_twice() -> None:
    with pytest.raises(ValueError, match=r"there are two 02:30 .* write '2026-10-25 02:30:00\+02"):
        parse_start("2026-10-25 02:30:00", NOW, BERLIN)
    assert parse_start("2026-10-25 02:30:00+02:00", NOW, BERLIN).moment == 1_792_888_200


@tries(200)
@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(
        lambda d: d.replace(microsecond=0)
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
    st.sampled_from([" ", "T"]),
)
def test_a_local_time_is_that_time_on_the_clock_there(moment: datetime, name: str, t: str) -> None:
    zone = ZoneInfo(name)
    try:
        start = parse_start(moment.isoformat(sep=t), 0, zone)
    except ValueError as error:
        there = moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
        other = moment.replace(tzinfo=zone, fold=1).utcoffset() != there.utcoffset()
        skipped = there.replace(tzinfo=None) != moment
        assert ("put forward" if skipped else "put back") in str(error)  # noqa: PT017
        assert skipped or other
    else:
        assert start.moment is not None
        assert datetime.fromtimestamp(start.moment, zone).replace(tzinfo=None) == moment
        aware = moment.replace(tzinfo=zone).isoformat(sep=t)
        assert parse_start(aware, 0, UTC).moment == start.moment


@tries(200)
@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    for parse in (lambda text: parse_start(text, NOW, BERLIN), parse_duration_word):
        try:
            parse(text)
        except ValueError as error:
            assert str(error).startswith("HAIZEA ")  # noqa: PT017


def test_this_machines_zone_is_the_default() -> None:
    with local_zone("Europe/Berlin"):
        assert one_lease(make_vm(1, start="2027-01-15 09:00:00")).start == NOW
        assert "put forward" in one_refusal(make_vm(1, start="2027-03-28 02:30:00")).message


# -- durations --


@tries(200)
@given(st.integers(0, 900), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_forms_of_duration(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    forms = [
        str(total),
        f"{days:02}:{hours:02}:{minutes:02}:{seconds:02}",
        f"{days * 24 + hours}:{minutes:02}:{seconds:02}",
    ]
    for form in forms:
        if total:
            assert parse_duration_word(form) == total
        else:
            with pytest.raises(ValueError, match="is too short"):
                parse_duration_word(form)


def test_a_duration_without_end() -> None:
    assert parse_duration_word(" Unlimited") is None


@pytest.mark.parametrize("text", ["for ever", "-5", "1:0", "00:60:00", "1x", "9" * 12, "1e3"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^HAIZEA duration .* (write 90m.* or|write) unlimited"):
        parse_duration_word(text)


# -- one VM --


@pytest.mark.parametrize("legacy", [False, True])
def test_a_reservation(legacy: bool) -> None:
    words: dict[str, Any] = {"start": "+00:05:00", "duration": "02:00:00", "preemptible": "Yes"}
    words["hosts"] = "Fixed"
    lease = one_lease(make_vm(1, legacy=legacy, **words))
    assert (lease.kind, lease.start, lease.duration) == (Kind.AR, NOW + 240, 7200)
    assert (lease.preemptible, lease.fixed_hosts) == (True, True)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"start": "soon"}, "'soon'.*best_effort, now"),
        ({"start": "+00:00:59"}, "past.*later start"),
        ({"start": "2001-01-01 00:00:00"}, "past"),
        ({"duration": "0"}, "is too short"),
        ({"duration": "ages"}, "'ages'"),
        ({"preemptible": "maybe"}, "neither yes nor no"),
        ({"hosts": "node-1"}, "'node-1' is neither fixed nor any"),
        ({"duraton": "60"}, "'duraton': is duration meant"),
        ({"colour": "red"}, "'colour': write start"),
        ({"group_size": "2"}, "without a group"),
        ({"group": "g", "group_size": "0"}, "group_size '0'"),
        ({"group": "g", "group_size": "two"}, "group_size 'two'"),
        ({"group": "g" * 200}, "longer than"),
    ],
)
def test_what_makes_no_sense_is_refused(words: dict[str, Any], what: str) -> None:
    refusal = one_refusal(make_vm(1, **words), make_vm(2, state=VmState.ACTIVE))
    assert refusal.vm_ids == (1,)
    assert re.search(what, refusal.message)


def test_amounts_that_make_no_sense_are_refused() -> None:
    assert "CPU is 'lots'" in one_refusal(make_vm(1, cpu="lots")).message


def test_a_plain_text_and_two_vectors_are_refused() -> None:
    assert "plain text" in one_refusal(make_vm(1, user="<HAIZEA>now</HAIZEA>")).message
    two = "<HAIZEA><START>now</START></HAIZEA>" * 2
    assert "more than once" in one_refusal(make_vm(1, user=two)).message


def test_empty_words_say_nothing() -> None:
    lease = one_lease(make_vm(1, start="", duration=" ", preemptible="", group="", group_size=""))
    assert (lease.kind, lease.duration, lease.preemptible) == (Kind.BEST_EFFORT, None, False)
    assert one_lease(make_vm(1, user="<HAIZEA/>")).kind is Kind.BEST_EFFORT


# -- groups --


def test_a_group_is_waited_for_until_it_is_quiet() -> None:
    vms = [make_vm(number, group="g", start="now", stime=NOW + number) for number in (3, 1, 2)]
    found = drafts(*vms, now=NOW + 12)
    assert found.leases == ()
    assert [(one.vm_ids, one.until) for one in found.waiting] == [((1, 2, 3), NOW + 13)]
    lease = one_lease(*vms, settling_seconds=0, now=NOW + 3)
    assert (vms_by_id(lease), lease.label) == ((1, 2, 3), "g")


def test_a_group_with_a_size_is_waited_for_until_it_is_complete() -> None:
    vms = [make_vm(number, group="g", group_size="3", start="now") for number in range(5)]
    found = drafts(*vms[:2], now=NOW + 10_000)
    assert [(one.vm_ids, one.until) for one in found.waiting] == [((0, 1), None)]
    assert "2 of 3" in found.waiting[0].message
    assert vms_by_id(one_lease(*vms[:3], now=NOW - 60)) == (0, 1, 2)
    found = drafts(*vms)
    assert [vms_by_id(lease) for lease in found.leases] == [(0, 1, 2)]
    assert [refusal.vm_ids for refusal in found.refusals] == [(3, 4)]


def test_a_group_that_is_not_complete_at_its_start_is_refused() -> None:
    vms = [make_vm(n, group="g", group_size="3", start="2027-01-15T09:00:00Z") for n in (1, 2)]
    (waiting,) = drafts(*vms, now=NOW + 3600).waiting
    assert waiting.until == NOW + 3601
    refusal = one_refusal(*vms, now=NOW + 3601)
    assert refusal.vm_ids == (1, 2)
    assert "only 2 of 3" in refusal.message


def test_a_group_that_starts_sooner_than_it_settles_is_taken_as_it_is() -> None:
    vms = [make_vm(number, group="g", start="+5", stime=NOW) for number in (1, 2)]
    (waiting,) = drafts(*vms, now=NOW).waiting
    assert waiting.until == NOW + 5
    assert one_lease(*vms, now=NOW + 5).start == NOW + 5


def test_a_relative_start_of_a_group_counts_from_its_last_vm() -> None:
    vms = [make_vm(number, group="g", start="+300", stime=NOW + number) for number in (1, 2)]
    assert one_lease(*vms, now=NOW + 100).start == NOW + 302


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("start", "now", "+00:10:00"),
        ("start", "+00:10:00", "+00:20:00"),
        ("duration", "60", "61"),
        ("duration", "unlimited", "60"),
        ("preemptible", "yes", "no"),
        ("hosts", "fixed", "any"),
        ("group_size", "2", "3"),
    ],
)
def test_members_that_disagree_are_refused_together(name: str, one: str, other: str) -> None:
    said: list[tuple[int, Any]] = [(1, {name: one}), (2, {name: one}), (3, {name: other})]
    vms = [make_vm(number, group="g", **words) for number, words in said]
    refusal = one_refusal(*vms)
    assert refusal.vm_ids == (1, 2, 3)
    assert f"VMs 2 and 3 do not say the same {name}" in refusal.message


def test_the_same_said_differently_is_the_same() -> None:
    vms = [make_vm(1, group="g", duration="3600", preemptible="yes")]
    vms.append(make_vm(2, group=" g ", duration="01:00:00", preemptible="TRUE"))
    assert vms_by_id(one_lease(*vms)) == (1, 2)


def test_one_member_that_makes_no_sense_keeps_its_group_from_starting() -> None:
    vms = [make_vm(1, group="g"), make_vm(2, group="g", duration="x"), make_vm(3, group="h")]
    found = drafts(*vms)
    assert [vms_by_id(lease) for lease in found.leases] == [(3,)]
    assert [refusal.vm_ids for refusal in found.refusals] == [(1,), (2,)]
    assert "its VM 2 is refused" in found.refusals[0].message


def test_a_name_belongs_to_the_user_who_was_first() -> None:
    vms = [make_vm(1, group="g", uid=5), make_vm(2, group="g", uid=6, duration="x")]
    vms += [make_vm(3, group="g", uid=5), make_vm(4, group="g", uid=6)]
    found = drafts(*vms)
    assert [(vms_by_id(lease), lease.owner) for lease in found.leases] == [((1, 3), "u5")]
    assert [refusal.vm_ids for refusal in found.refusals] == [(2, 4)]
    assert "another user's" in found.refusals[0].message


def test_who_comes_late_to_a_lease_is_refused() -> None:
    vms = [make_vm(1, group="g", state=VmState.ACTIVE), make_vm(2, group="g")]
    vms.append(make_vm(3, group="g", uid=6))
    found = drafts(*vms, leased={1})
    assert [refusal.vm_ids for refusal in found.refusals] == [(2,), (3,)]
    assert "came late" in found.refusals[0].message
    assert "another user's" in found.refusals[1].message
    assert drafts(*vms[:1], leased={1}) == Drafts((), (), ())


VMS = st.lists(
    st.fixed_dictionaries(
        {"uid": st.integers(1, 2), "stime": st.integers(NOW - 30, NOW + 5)},
        optional={
            "start": st.sampled_from(["now", "+00:00:20", "best_effort", "?"]),
            "duration": st.sampled_from(["60", "unlimited", "?"]),
            "group": st.sampled_from(["g", "h"]),
            "group_size": st.sampled_from(["1", "2", "3"]),
            "state": st.sampled_from([1, 2, 3]),
        },
    ),
    max_size=8,
)


@tries(200)
@given(VMS, st.sets(st.integers(0, 7)), st.integers(NOW - 30, NOW + 60), st.randoms())
def test_every_waiting_vm_is_in_one_place_whatever_the_order(
    kinds: list[dict[str, Any]], leased: set[int], now: int, chance: Any
) -> None:
    vms = [make_vm(number, **kind) for number, kind in enumerate(kinds)]
    found = draft_leases(vms, now=now, leased=leased)
    places = [vms_by_id(one) for one in found.leases]
    places += [one.vm_ids for one in found.refusals] + [one.vm_ids for one in found.waiting]
    numbers = sorted(number for vm_ids in places for number in vm_ids)
    assert numbers == [vm.id for vm in vms if vm.state == 1 and vm.id not in leased]
    for lease in found.leases:
        assert lease.start is None or lease.start >= now
        assert len({vms[number].uid for number in vms_by_id(lease)}) == 1
    assert all(waiting.until is None or waiting.until > now for waiting in found.waiting)
    shuffled = list(vms)
    chance.shuffle(shuffled)
    assert draft_leases(shuffled, now=now, leased=leased) == found
