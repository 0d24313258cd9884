"""Turns come back as they were saved, and questions about them are answered rightly."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from store_places import PLACES, place
from store_stories import ending, opened, pages, record, submission
from store_values import DECISIONS, LEASES, SITES

from haizea.core.model.events import (
    Decision,
    Expected,
    HostChanged,
    ImageStored,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
)
from haizea.core.model.hosts import Host
from haizea.core.model.lease import Kind
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code, because, stated
from haizea.core.model.records import HostRecord, LeaseRecord, SiteRecord
from haizea.store import (
    CodecError,
    Event,
    KeptTurn,
    LeaseQuery,
    RequestKey,
    Store,
    StoreError,
    questions,
)

FIRST = because(Code.PLANNED_ANEW)
SECOND = because(Code.ANOTHER_COMES_FIRST)


@pytest.fixture(params=PLACES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that is not there yet."""
    return place(request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A new store, locked."""
    store = opened(url)
    yield store
    store.close()


def test_a_new_store_knows_nothing(store: Store) -> None:
    saved = store.load()
    assert (saved.now, saved.records, saved.site) == (None, [], SiteRecord())
    assert (saved.next_lease_id, saved.last_event_id, saved.last_decisions) == (1, 0, [])
    assert store.lease(1) is None
    assert store.leases(LeaseQuery(finished=True)) == []
    assert store.count(LeaseQuery()) == 0
    assert store.events(0, 100) == []
    assert store.lease_for_key("ann", "key") is None
    assert store.setting("origin") is None
    assert store.service_periods() == []


def test_what_was_saved_is_there_after_a_restart(store: Store, url: str) -> None:
    site = SiteRecord(hosts=(HostRecord(host=3, status="down", reason=stated("smoke")),))
    turn = submission(1, 2, now=1500)
    assert store.save(turn) == 10
    store.save(KeptTurn(now=1600, site=site))
    store.close()
    with_it = opened(url)
    saved = with_it.load()
    assert saved.now == 1600
    assert saved.records == list(turn.records)
    assert saved.site == site
    assert saved.next_lease_id == 3
    assert saved.last_event_id == 10
    assert with_it.lease_for_key("ann", "key 2") == 2
    assert with_it.lease_for_key("bob", "key 2") is None
    assert [event.decision for event in with_it.events(0, 100)] == list(turn.decisions)
    with_it.close()


def test_a_lease_that_is_over_is_kept_but_not_gone_on_with(store: Store) -> None:
    store.save(submission(1, 2))
    store.save(ending(1, now=6000))
    assert [lease.id for lease in store.load().records] == [2]
    assert store.lease(1) == record(1, State.DONE, changed=6000, plan=None)
    assert [lease.id for lease in store.leases(LeaseQuery())] == [2]
    assert [lease.id for lease in store.leases(LeaseQuery(finished=True))] == [1, 2]


def test_only_what_was_not_handed_over_is_enacted_again(store: Store, url: str) -> None:
    first, second, third = submission(1), submission(2), submission(3)
    store.save(first)
    assert store.load().last_decisions == list(first.decisions)
    store.enacted()
    store.save(second)
    assert store.load().last_decisions == list(second.decisions)
    store.save(third)
    store.close()
    again = opened(url)
    assert again.load().last_decisions == [*second.decisions, *third.decisions]
    again.enacted()
    again.close()
    once_more = opened(url)
    assert once_more.load().last_decisions == []
    once_more.close()


def test_of_what_a_lease_is_expected_to_do_the_latest_is_kept(store: Store) -> None:
    store.save(submission(1, 2))
    for now in range(1001, 1020):
        repeated = [Expected(now, 1, now + 50, FIRST), Expected(now, 1, now + 60, SECOND)]
        last = store.save(KeptTurn(now=now, decisions=repeated))
    expected = [e for e in store.events(0, 1000) if isinstance(e.decision, Expected)]
    assert [(e.lease_id, e.owner) for e in expected] == [(2, "ann"), (1, "ann")]
    assert expected[1].decision == Expected(1019, 1, 1079, SECOND)
    assert expected[1].id == last
    assert len(store.events(0, 1000)) == 10


def test_events_about_hosts_are_nobodys(store: Store) -> None:
    host = Host(0, "host-1", (100,))
    decisions: list[Decision] = [
        HostChanged(5, host, "down", stated("smoke")),
        ImageStored(6, 0, 4096),
        OperationEnded(0, Purpose.OUTAGE, 5, 7, ((0, (100,)),)),
        RatesChanged(8, 0, 12.5, None),
    ]
    store.save(KeptTurn(now=8, decisions=decisions))
    assert store.events(0, 10) == [
        Event(id=i, time=4 + i, lease_id=None, owner=None, decision=decision)
        for i, decision in enumerate(decisions, 1)
    ]


def test_what_leases_did_is_told_beyond_a_page_of_other_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of a past week of a large site says that it is complete."""
    monkeypatch.setattr(questions, "MOST_ROWS", 5)
    store.save(submission(1))
    ended = [OperationEnded(1, Purpose.RUN, t, t + 1, ((0, (100,)),)) for t in range(10, 30)]
    store.save(KeptTurn(now=40, decisions=ended))
    assert [event.decision for event in store.operations(12, 27, 100)] == ended[2:17]
    assert len(store.operations(0, 50, 7)) == 7


def test_events_come_page_by_page_of_one_lease_or_owner(store: Store) -> None:
    for i in range(1, 8):
        store.save(submission(i, owner=("ann", "bob")[i % 2]))
    everything = pages(lambda after: store.events(after, 4))
    assert [event.id for event in everything] == list(range(1, 36))
    for owner in ("ann", "bob", "eve"):
        own = pages(partial(store.events, limit=3, owner=owner))
        assert own == [event for event in everything if event.owner == owner]
    for lease in range(9):
        own = pages(partial(store.events, limit=2, lease_id=lease))
        assert own == [event for event in everything if event.lease_id == lease]
    assert store.events(0, 100, lease_id=1, owner="ann") == []
    assert store.events(0, -5) == []


def test_the_first_lease_of_a_key_stays(store: Store) -> None:
    store.save(submission(1))
    store.save(
        KeptTurn(now=1001, keys=[RequestKey("ann", "key 1", 9), RequestKey("bob", "key 1", 5)])
    )
    assert store.lease_for_key("ann", "key 1") == 1
    assert store.lease_for_key("bob", "key 1") == 5


def test_what_was_learned_of_hosts_is_not_forgotten(store: Store) -> None:
    learned = RatesChanged(5, 0, 12.5, None)
    store.save(KeptTurn(now=5, decisions=[learned, ImageStored(5, 0, 1)]))
    store.prune(10)
    assert [event.decision for event in store.events(0, 10)] == [learned]


def test_what_is_forgotten_leaves_nothing_and_ids_go_on(store: Store, url: str) -> None:
    store.save(submission(1, 2, 3))
    store.save(KeptTurn(now=5000, decisions=[ImageStored(5000, 0, 1)]))
    store.save(ending(1, 3, now=6000))
    last = store.save(ending(2, now=7000))
    store.enacted()
    store.save(KeptTurn(now=7001))
    assert store.prune(6000) == 0
    assert store.prune(6001) == 2
    assert store.prune(6001) == 0
    assert [lease.id for lease in store.leases(LeaseQuery(finished=True))] == [2]
    assert {event.lease_id for event in store.events(0, 1000)} == {2}
    assert store.lease_for_key("ann", "key 3") is None
    assert store.lease_for_key("ann", "key 2") == 2
    assert store.prune(8000) == 1
    assert store.events(0, 1000) == []
    store.close()
    again = opened(url)
    assert again.load().next_lease_id == 4
    assert again.save(submission(4)) == last + 5
    assert again.events(0, 1)[0].id == last + 1
    again.close()


def test_many_leases_are_forgotten_in_steps(store: Store) -> None:
    store.save(submission(*range(1, 451)))
    store.save(ending(*range(1, 431), now=6000))
    assert store.prune(10_000) == 430
    assert store.count(LeaseQuery(finished=True)) == 20


def test_a_store_whose_old_leases_are_forgotten_stops_growing(tmp_path: Path) -> None:
    """Every round has the same load; waiting leases are expected anew in every turn."""
    store = opened(str(tmp_path / "store.db"))
    sizes = []
    for beginning in range(1, 1000, 40):
        now = 10_000 + beginning
        leases = range(beginning, beginning + 40)
        store.save(submission(*leases, now=now))
        for moment in range(5):
            store.save(
                KeptTurn(now=now, decisions=[Expected(now, i, moment, FIRST) for i in leases])
            )
        store.save(ending(*leases, now=now))
        store.enacted()
        store.prune(now - 40)
        sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert max(sizes[12:]) <= max(sizes[:12]) * 1.1
    assert store.load().next_lease_id == 1001
    store.close()


def test_a_live_lease_is_never_forgotten(store: Store) -> None:
    store.save(submission(1))
    assert store.prune(1 << 60) == 0
    assert store.lease(1) == record(1)


def test_settings_are_kept(store: Store, url: str) -> None:
    store.set_setting("origin", "1700000000")
    store.set_setting("origin", "1800000000")
    store.set_setting("other", "")
    store.close()
    with_it = opened(url)
    assert with_it.setting("origin") == "1800000000"
    assert with_it.setting("other") == ""
    with_it.close()


def test_when_somebody_was_there_is_kept(store: Store) -> None:
    store.note_start(None, 1000)
    assert store.service_periods() == [(1000, 1000)]
    store.save(KeptTurn(now=1500))
    assert store.service_periods() == [(1000, 1500)]
    store.note_start(1500, 2000)
    store.note_start(1500, 2000)
    assert store.service_periods() == [(1000, 1500), (2000, 2000)]
    store.save(KeptTurn(now=2100))
    assert store.service_periods() == [(1000, 1500), (2000, 2100)]
    store.prune(2050)
    assert store.service_periods() == [(2000, 2100)]


STRANGE = ["", "\0", "a\0b", "\ud800", "'; DROP TABLE leases; --", "%", "ü" * 500, "\u202e"]


@pytest.mark.parametrize("text", STRANGE)
def test_strange_texts_are_texts(store: Store, text: str) -> None:
    store.save(submission(1, owner=text, label=text))
    store.save(KeptTurn(now=1001, keys=[RequestKey(text, text, 1)]))
    store.set_setting(text, text)
    assert store.lease(1) == record(1, owner=text, label=text)
    assert store.count(LeaseQuery(owner=text, label=text)) == 1
    assert store.lease_for_key(text, text) == 1
    assert len(store.events(0, 100, owner=text)) == 5


def test_a_turn_that_cannot_be_kept_is_refused_whole(store: Store) -> None:
    with pytest.raises(CodecError, match="64 bits"):
        store.save(KeptTurn(now=1, records=[record(1), record(2, remaining=1 << 64)]))
    assert store.count(LeaseQuery(finished=True)) == 0
    store.save(submission(1))
    assert store.count(LeaseQuery()) == 1


@pytest.mark.parametrize("kind", PLACES)
@tries(8)
@given(
    turns=st.lists(
        st.tuples(
            st.lists(DECISIONS, max_size=5),
            st.lists(LEASES, max_size=3),
            st.none() | SITES,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_turns_come_back(
    kind: str,
    turns: list[tuple[list[Decision], list[LeaseRecord], SiteRecord | None]],
) -> None:
    latest: dict[int, LeaseRecord] = {}
    site = SiteRecord()
    with TemporaryDirectory() as folder:
        url = place(kind, Path(folder))
        for now, (decisions, records, new_site) in enumerate(turns):
            with closing(opened(url)) as store:
                store.save(KeptTurn(now=now, decisions=decisions, records=records, site=new_site))
            latest |= {each.id: each for each in records}
            site = new_site or site
        with closing(opened(url)) as store:
            saved = store.load()
            kept = [event.decision for event in pages(lambda after: store.events(after, 3))]
    live = [latest[i] for i in sorted(latest) if latest[i].state not in FINAL]
    assert saved.records == live
    assert saved.site == site
    # Ids end where 64 bits do; nobody gets that far.
    assert saved.next_lease_id == min(max([0, *latest]) + 1, (1 << 63) - 1)
    everything = [d for decisions, _, _ in turns for d in decisions]
    last = {d.lease_id: i for i, d in enumerate(everything) if isinstance(d, Expected)}
    assert kept == [
        d for i, d in enumerate(everything) if not isinstance(d, Expected) or last[d.lease_id] == i
    ]


# --- filters ------------------------------------------------------------------------------

OWNERS, LABELS = ("ann", "bob"), ("x", "y", "z")
POPULATION = [
    record(
        i,
        list(State)[i * 7 % len(State)],
        owner=OWNERS[i % 2],
        label=LABELS[i % 3],
        kind=list(Kind)[i % 3],
        start=5000 if list(Kind)[i % 3] is Kind.AR else None,
        submitted=1000 + i * 37 % 50,
    )
    for i in range(1, 81)
]
QUERIES = st.builds(
    LeaseQuery,
    states=st.none() | st.frozensets(st.sampled_from(State)),
    owner=st.none() | st.sampled_from([*OWNERS, "eve"]),
    kind=st.none() | st.sampled_from(Kind),
    label=st.none() | st.sampled_from(LABELS),
    submitted_from=st.none() | st.integers(995, 1055),
    submitted_until=st.none() | st.integers(995, 1055),
    finished=st.booleans(),
    newest_first=st.booleans(),
    limit=st.integers(0, 90),
    after=st.none() | st.integers(0, 90),
)


def wanted(lease: LeaseRecord, query: LeaseQuery) -> bool:
    request = lease.request
    return (
        (query.finished or not lease.over)
        and (query.states is None or lease.state in query.states)
        and query.owner in (None, request.owner)
        and query.kind in (None, request.kind)
        and query.label in (None, request.label)
        and (query.submitted_from is None or request.submitted >= query.submitted_from)
        and (query.submitted_until is None or request.submitted < query.submitted_until)
    )


@pytest.fixture(scope="module", params=PLACES)
def populated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """A store with leases of every sort."""
    store = opened(place(request.param, tmp_path_factory.mktemp("populated")))
    store.save(KeptTurn(now=2000, records=POPULATION))
    yield store
    store.close()


@tries(150)
@given(query=QUERIES)
def test_a_query_finds_what_it_describes(populated: Store, query: LeaseQuery) -> None:
    right = [lease for lease in POPULATION if wanted(lease, query)]
    assert populated.count(query) == len(right)
    if query.newest_first:
        right.reverse()
    if query.after is not None:
        after = query.after
        right = [x for x in right if (x.id < after if query.newest_first else x.id > after)]
    assert populated.leases(query) == right[: query.limit]


# --- readers while the manager saves --------------------------------------------------------


def test_readers_see_whole_turns_while_others_are_saved(store: Store) -> None:
    """Each turn touches the same two leases: nobody ever sees one of them ahead."""
    store.save(submission(1, 2))
    done = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        try:
            while not done.is_set():
                both = store.leases(LeaseQuery())
                if len({lease.remaining for lease in both}) != 1 or len(both) != 2:
                    wrong.append(both)
                store.events(0, 20, owner="ann")
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    for i in range(150):
        store.save(KeptTurn(now=2000 + i, records=[record(1, remaining=i), record(2, remaining=i)]))
        if i % 50 == 0:
            store.prune(1)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


# --- files --------------------------------------------------------------------------------


def test_nobody_else_can_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = opened(str(tmp_path / "new" / "deep" / "store.db"))
        store.save(submission(1))
        folder = tmp_path / "new" / "deep"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes) == {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"}
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        store.close()
    finally:
        os.umask(before)


def test_a_store_that_others_can_read_is_repaired_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(str(path)).close()
    path.chmod(0o644)
    store = Store.open(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "0644" in store.notes[0]
    store.close()
    store = Store.open(str(path))
    assert store.notes == ()
    store.close()


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("", "no usable address"),
        ("a\0b", "no usable address"),
        ("mysql://ann:hush@db/x", "cannot be kept in 'mysql'"),
        ("sqlite://", "path of a file"),
        ("sqlite:///:memory:", "path of a file"),
        ("sqlite:///x.db?mode=ro", "path of a file"),
        ("http://[", "not a valid URL|cannot be kept"),
        ("postgresql://ann:hush@db:port/x", "not a valid URL"),
        ("~nobody-of-this-name/x.db", "home"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, what: str) -> None:
    with pytest.raises(StoreError, match=what) as caught:
        Store.open(address)
    assert "hush" not in str(caught.value)


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "store.db"):
        with pytest.raises(StoreError, match="cannot be opened"):
            Store.open(str(path))


def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        Store.open(str(path))
    assert path.read_text() == "Dear diary, " * 1000


def test_a_store_that_must_be_there_already(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(str(path), create=False)
    assert not path.exists()
    Store.open(str(path)).close()
    Store.open(f"sqlite:///{path}", create=False).close()


def test_when_leases_first_ran(store: Store) -> None:
    """A transfer is no run, and of several runs the first one counts."""
    store.save(KeptTurn(now=1000, decisions=[], records=[record(i) for i in (1, 2, 3)]))

    def began(time: int, lease_id: int, purpose: Purpose) -> OperationStarted:
        return OperationStarted(time, lease_id, purpose, time + 50, (0,))

    for time, purposes in {
        1100: {1: Purpose.TRANSFER, 2: Purpose.RUN},
        1200: {1: Purpose.RUN, 2: Purpose.SUSPEND, 3: Purpose.TRANSFER},
        1300: {1: Purpose.RUN, 2: Purpose.RESUME},
        1400: {2: Purpose.RUN},
    }.items():
        store.save(
            KeptTurn(
                now=time, decisions=[began(time, lease, what) for lease, what in purposes.items()]
            )
        )
    assert store.first_runs([1, 2, 3, 4]) == {1: 1200, 2: 1100}
    assert store.first_runs([3]) == store.first_runs([]) == {}
