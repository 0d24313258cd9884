"""Hosts of nodes that may not run everywhere, and tables of them that make no sense."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from results_builder import Results
from schedules import preempting

from haizea.checker import UnreadableResults, check_file

Rules = tuple[int, int, dict[str, Any] | None]


def rules(
    *sets: str,
    nodes: tuple[int, ...] = (),
    together: tuple[tuple[int, ...], ...] = (),
    apart: tuple[tuple[int, ...], ...] = (),
) -> dict[str, Any]:
    return {"sets": sets, "nodes": nodes, "together": together, "apart": apart}


def found(
    results: Results,
    path: Path,
    *told: Rules,
    hosts: dict[tuple[int, int], list[int]],
    before: dict[tuple[int, int], list[int]] | None = None,
) -> list[tuple[str, int | None, int | None, int | None]]:
    """Return what is wrong, with these rules (lease, time) and hosts by lease and time.

    What it had ``before`` within the same second is on record, too.
    """
    file = results.write(path)
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE host_rules (lease INTEGER, time INTEGER, rules TEXT)")
        db.execute("CREATE TABLE node_hosts (lease INTEGER, time INTEGER, hosts TEXT)")
        texts = [(i, time, None if rule is None else json.dumps(rule)) for i, time, rule in told]
        db.executemany("INSERT INTO host_rules VALUES (?, ?, ?)", texts)
        chosen = [*(before or {}).items(), *hosts.items()]
        rows = [(*key, json.dumps(value)) for key, value in chosen]
        db.executemany("INSERT INTO node_hosts VALUES (?, ?, ?)", rows)
    return [(v.rule.value, v.lease, v.host, v.time) for v in check_file(file).violations]


def pair() -> Results:
    """One lease of two nodes, on both hosts."""
    r = Results()
    r.best_effort(1, 100, 150, 50, 0, 1)
    return r


BY_NODE = rules("1", "2", nodes=(0, 1))
WRONG = ("hosts", 1, 1, 150)


@pytest.mark.parametrize(
    ("rule", "violations"),
    [
        (BY_NODE, []),
        (rules("3", apart=((0, 1),), nodes=(0, 0)), []),
        (None, []),
        (rules("-1"), []),
        (rules("1"), [WRONG]),
        (rules("-3"), [WRONG]),
        (rules("1", "3", nodes=(1, 0)), [WRONG]),
        (rules("3", nodes=(0, 0), together=((0, 1),)), [WRONG]),
        (rules("3", nodes=(0, 0, 0)), [("hosts", 1, 0, 150)]),
    ],
)
def test_nodes_are_where_they_may_be(
    tmp_path: Path, rule: dict[str, Any] | None, violations: list[Any]
) -> None:
    assert found(pair(), tmp_path / "r", (1, 100, rule), hosts={(1, 150): [0, 1]}) == violations


@pytest.mark.parametrize(
    ("first", "then", "violations"), [([0, 2], [0, 1], []), ([0, 1], [0, 2], [WRONG[:2]])]
)
def test_one_that_starts_twice_within_a_second_stays_where_it_is_then(
    tmp_path: Path, first: list[int], then: list[int], violations: list[Any]
) -> None:
    pair_on_three, start = pair(), (1, 150)
    pair_on_three.hosts = 3
    everywhere = (1, 100, rules("-1"))
    told = found(
        pair_on_three, tmp_path / "r", everywhere, hosts={start: then}, before={start: first}
    )
    assert [violation[:2] for violation in told] == violations


def test_nodes_on_a_host_each_do_not_share_one(tmp_path: Path) -> None:
    r = Results(hosts=1)
    lease = r.best_effort(1, 100, 150, 50, 0, 0)
    lease.node = (50, 512)
    r.rows = [(1, "run", 0, 150, 200, 50, 512)] * 2
    apart = rules("1", nodes=(0, 0), apart=((0, 1),))
    where = {(1, 150): [0, 0]}
    assert found(r, tmp_path / "r", (1, 100, apart), hosts=where) == [("hosts", 1, 0, 150)]
    assert found(r, tmp_path / "s", (1, 100, rules("1")), hosts=where) == []


def test_the_last_rules_before_a_start_hold(tmp_path: Path) -> None:
    where = {(1, 150): [0, 1]}
    before, later = (1, 100, rules("1")), (1, 140, BY_NODE)
    assert found(pair(), tmp_path / "a", before, later, hosts=where) == []
    assert found(pair(), tmp_path / "b", later, (1, 145, rules("1")), hosts=where) == [WRONG]
    # In the same second, nobody knows; afterwards, it does not matter.
    assert found(pair(), tmp_path / "c", later, (1, 150, rules("1")), hosts=where) == []
    assert found(pair(), tmp_path / "d", later, (1, 160, rules("1")), hosts=where) == []


def test_what_is_saved_goes_on_where_it_is(tmp_path: Path) -> None:
    r = preempting()
    where = {(1, 100): [0], (1, 732): [0]}
    assert found(r, tmp_path / "r", (1, 600, rules("2")), hosts=where) == []
    assert found(r, tmp_path / "s", (1, 50, rules("2")), hosts=where) == [("hosts", 1, 0, 100)]


def test_nodes_are_where_the_lease_holds_hosts(tmp_path: Path) -> None:
    wrong = [("hosts", 1, None, 150)]
    anywhere = (1, 100, rules("-1"))
    assert found(pair(), tmp_path / "r", anywhere, hosts={(1, 150): [0, 0]}) == wrong
    assert found(pair(), tmp_path / "s", anywhere, hosts={(1, 150): [0]}) == wrong


def test_a_host_that_is_not_there_is_no_end_of_the_check(tmp_path: Path) -> None:
    where = {(1, 150): [0, 1 << 50]}
    assert ("hosts", 1, None, 150) in found(pair(), tmp_path / "r", (1, 100, BY_NODE), hosts=where)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "[" * 5000,
        '{"sets": []}',
        json.dumps(rules()),
        json.dumps(rules("x")),
        json.dumps(rules("1", nodes=(1,))),
        json.dumps(rules("1", nodes=(-1,))),
        json.dumps(rules("1", nodes=(0,), apart=((0, 1),))),
        json.dumps({**rules("1"), "together": 3}),
        json.dumps({**rules("1"), "sets": [5]}),
    ],
)
def test_rules_that_make_no_sense_are_told(tmp_path: Path, text: str) -> None:
    file = pair().write(tmp_path / "r")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE host_rules (lease INTEGER, time INTEGER, rules TEXT)")
        db.execute("INSERT INTO host_rules VALUES (1, 100, ?)", (text,))
    with pytest.raises(UnreadableResults, match="table host_rules"):
        check_file(file)


@pytest.mark.parametrize("text", ["{}", "[-1]", "[0.5]", '["0"]', "[true]", "0", "x"])
def test_hosts_that_are_none_are_told(tmp_path: Path, text: str) -> None:
    file = pair().write(tmp_path / "r")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE node_hosts (lease INTEGER, time INTEGER, hosts TEXT)")
        db.execute("INSERT INTO node_hosts VALUES (1, 100, ?)", (text,))
    with pytest.raises(UnreadableResults, match="table node_hosts"):
        check_file(file)


def test_a_view_in_the_place_of_a_table_is_not_read(tmp_path: Path) -> None:
    file = pair().write(tmp_path / "r")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE VIEW node_hosts AS SELECT 1 AS lease, 2 AS time, '[]' AS hosts")
    with pytest.raises(UnreadableResults, match="not a plain table"):
        check_file(file)


def moved(mode: str) -> Results:
    """A lease that runs is on the other host from 170 on."""
    r = Results()
    r.options["general", "mode"] = mode
    r.best_effort(1, 100, 150, 50, 0)
    r.rows = [(1, "run", 0, 150, 170, 100, 1024), (1, "run", 1, 170, 200, 100, 1024)]
    return r


def test_who_runs_may_be_taken_elsewhere_by_others_on_a_real_site_only(tmp_path: Path) -> None:
    there = {(1, 150): [0], (1, 170): [1]}
    here_only = (1, 100, rules("1"))
    assert found(moved("opennebula"), tmp_path / "real", here_only, hosts=there) == []
    assert found(moved("simulated"), tmp_path / "simulated", here_only, hosts=there) == [
        ("hosts", 1, 1, 170),
        ("migration", 1, 1, 170),
    ]
    # Whoever starts it chooses its first host.
    there = {(1, 150): [0]}
    elsewhere = (1, 100, rules("2"))
    assert found(moved("opennebula"), tmp_path / "start", elsewhere, hosts=there) == [
        ("hosts", 1, 0, 150)
    ]


def test_who_is_taken_elsewhere_leaves_its_old_host(tmp_path: Path) -> None:
    r = moved("opennebula")
    r.best_effort(2, 160, 170, 30, 0)
    assert found(r, tmp_path / "free", hosts={}) == []
    r.best_effort(3, 165, 171, 20, 1)
    assert ("capacity", 3, 1, 171) in found(r, tmp_path / "taken", hosts={})
