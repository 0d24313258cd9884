"""Decisions and records as JSON: nothing is lost, and what is strange is refused in words."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from store_stories import record
from store_values import DECISIONS, LEASES, SITES

from haizea.core.model.events import (
    Decision,
    Expected,
    HostChanged,
    OperationEnded,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Host
from haizea.core.model.lease import NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, Reason, because, stated
from haizea.core.model.records import HostRecord, LeaseRecord, SiteRecord
from haizea.store.codec import (
    KINDS,
    read_decision,
    read_lease,
    read_site,
    write_decision,
    write_lease,
    write_site,
)
from haizea.store.errors import CodecError
from haizea.wording import in_words


@tries(300)
@given(DECISIONS)
def test_a_decision_comes_back_as_it_was(decision: Decision) -> None:
    back = read_decision(type(decision).__name__, write_decision(decision))
    assert back == decision
    assert type(back) is type(decision)


@tries(150)
@given(LEASES)
def test_a_lease_comes_back_as_it_was(lease: LeaseRecord) -> None:
    assert read_lease(write_lease(lease)) == lease


@tries(100)
@given(SITES)
def test_what_is_known_of_hosts_comes_back_as_it_was(site: SiteRecord) -> None:
    assert read_site(write_site(site)) == site


def test_every_kind_of_decision_can_be_kept() -> None:
    assert set(KINDS.values()) == set(get_args(Decision))


def with_more(value: Any) -> Any:
    """``value`` as a later program might write it: every object has a field more."""
    if isinstance(value, dict):
        return {**{k: with_more(v) for k, v in value.items()}, "added_later": [{"x": 1}]}
    return [with_more(part) for part in value] if isinstance(value, list) else value


@tries(60)
@given(LEASES, DECISIONS)
def test_fields_that_a_later_program_adds_do_not_matter(
    lease: LeaseRecord, decision: Decision
) -> None:
    assert read_lease(json.dumps(with_more(json.loads(write_lease(lease))))) == lease
    more = json.dumps(with_more(json.loads(write_decision(decision))))
    assert read_decision(type(decision).__name__, more) == decision


def test_a_field_that_an_earlier_program_did_not_know_has_its_default() -> None:
    text = '{"time": 5, "lease_id": 2, "old": "New", "new": "Pending"}'
    assert read_decision("StateChanged", text) == StateChanged(5, 2, State.NEW, State.PENDING)


def test_what_was_written_by_the_first_version_is_still_read() -> None:
    text = (
        '{"lease_id":3,"purpose":"run","start":10,"end":70,'
        '"use":[[4,[100,1024]],[5,[200,1]]],"v":1}'
    )
    decision = OperationEnded(3, Purpose.RUN, 10, 70, ((4, (100, 1024)), (5, (200, 1))))
    assert write_decision(decision) == text.replace('"v":1', '"v":4')
    assert read_decision("OperationEnded", text) == decision


@pytest.mark.parametrize("kept", ["", "expected to start @1164462660", "VM ٣ was deleted"])
def test_sentences_of_the_first_version_stay_sentences(kept: str) -> None:
    document = {**json.loads(write_lease(record(1))), "reason": kept, "late": "", "v": 1}
    read = read_lease(json.dumps(document))
    assert (read.reason, read.late) == (stated(kept), None)
    assert in_words(read.reason) == kept
    assert read_lease(write_lease(read)) == read


SMOKE = because(Code.STATED, text="smoke")


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (
            {"code": "host-failed", "parameters": {"host": "a", "text": "smoke"}},
            because(Code.HOST_FAILED, host="a", cause=SMOKE),
        ),
        (
            {"code": "operation-failed", "parameters": {"purpose": "resume", "text": "smoke"}},
            because(Code.OPERATION_FAILED, purpose="resume", cause=SMOKE),
        ),
        (
            {
                "code": "left-drained-host",
                "parameters": {
                    "cause": {"code": "host-drained", "parameters": {"host": "a", "text": "smoke"}}
                },
            },
            because(
                Code.LEFT_DRAINED_HOST,
                cause=because(Code.HOST_DRAINED, host="a", cause=SMOKE),
            ),
        ),
        (
            {"code": "run-failed", "parameters": {"text": "smoke"}},
            because(Code.RUN_FAILED, cause=SMOKE),
        ),
        ({"code": "stated", "parameters": {"text": "smoke"}}, SMOKE),
    ],
)
def test_sentences_in_reasons_of_the_second_version_become_causes(
    kept: dict[str, object], reason: Reason
) -> None:
    document = {**json.loads(write_lease(record(1))), "reason": kept, "v": 2}
    assert read_lease(json.dumps(document)).reason == reason


def test_what_others_did_by_the_third_version_becomes_a_cause() -> None:
    kept = {"code": "ended-outside", "parameters": {"text": "VM 3 ended"}}
    document = {**json.loads(write_lease(record(1))), "reason": kept, "v": 3}
    read = read_lease(json.dumps(document))
    assert read.reason == because(Code.ENDED_OUTSIDE, cause=because(Code.STATED, text="VM 3 ended"))
    assert in_words(read.reason) == "OpenNebula: VM 3 ended"
    assert read_lease(write_lease(read)) == read


def test_what_the_second_version_said_of_hosts_becomes_reasons() -> None:
    down = '{"hosts":[{"host":1,"status":"down","reason":"smoke"}],"v":2}'
    assert read_site(down) == SiteRecord(hosts=(HostRecord(host=1, status="down", reason=SMOKE),))
    host = '{"id":1,"name":"a","capacity":[100,1024]}'
    for kept, reason in (("smoke", SMOKE), ("", None)):
        text = f'{{"time":5,"host":{host},"status":"down","reason":"{kept}","v":2}}'
        changed = read_decision("HostChanged", text)
        assert changed == HostChanged(5, Host(1, "a", (100, 1024)), "down", reason)
        assert read_decision("HostChanged", write_decision(changed)) == changed


@pytest.mark.parametrize(
    "reason",
    [
        7,
        {"code": "dreams", "parameters": {}},
        {"code": "waits", "parameters": {}},
        {"code": "waits", "parameters": {"nodes": "two"}},
        {"code": "waits", "parameters": [2]},
        {"code": "starts-late", "parameters": {"cause": {"code": "waits"}}},
    ],
)
def test_a_reason_that_makes_no_sense_is_refused(reason: object) -> None:
    with pytest.raises(CodecError, match="LeaseRecord in the store"):
        read_lease(damage(record(1), ["reason"], reason))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@tries(150)
@given(JSON.map(json.dumps) | st.text(max_size=20), st.sampled_from(sorted(KINDS)))
def test_whatever_is_found_there_is_read_or_refused_in_words(text: str, kind: str) -> None:
    for read in (read_lease, read_site, lambda found: read_decision(kind, found)):
        try:
            read(text)
        except CodecError as error:
            assert "store" in str(error)  # noqa: PT017 — what is no error is read


def damage(lease: LeaseRecord, path: list[str | int], value: Any) -> str:
    document = json.loads(write_lease(lease))
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["changed"], "soon"),
        (["changed"], True),
        (["changed"], 1.5),
        (["changed"], 1 << 63),
        (["changed"], None),
        (["state"], "Sleeping"),
        (["state"], ["Done"]),
        (["saved"], 1),
        (["plan", "hosts"], 3),
        (["plan", "exclusive"], [[1]]),
        (["plan", "phases"], [{"purpose": "run", "start": 1}]),
        (["request", "nodes"], []),
        (["request", "nodes", 0], 7),
        (["request", "nodes", 0, "count"], 0),
        (["request", "duration"], 0),
        (["request", "start"], 5),
        (["v"], 5),
        (["v"], "1"),
    ],
)
def test_a_document_that_was_damaged_is_refused(path: list[str | int], value: Any) -> None:
    with pytest.raises(CodecError, match="LeaseRecord in the store"):
        read_lease(damage(record(1), path, value))


def test_a_kind_of_decision_that_is_not_known_is_refused() -> None:
    with pytest.raises(CodecError, match="LeaseSubmitted"):
        read_decision("LeaseSubmitted", "{}")


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**400])
def test_numbers_that_a_database_has_no_room_for_are_not_written(number: int) -> None:
    with pytest.raises(CodecError, match="64 bits"):
        write_decision(Expected(number, 1, None, because(Code.PLANNED_ANEW)))
    with pytest.raises(CodecError, match="64 bits"):
        write_lease(record(1, nodes=(NodeSet(1, (number,)),)))


def test_long_numbers_in_texts_are_just_texts() -> None:
    decision = Expected((1 << 63) - 1, 1, None, because(Code.STATED, text="9" * 40))
    assert read_decision("Expected", write_decision(decision)) == decision
