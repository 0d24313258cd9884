"""The terms of leases and of the site after busy hours: changes, deadlines, maintenance."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from busy_clients import Answers, Form, terms_of
from service_process import moment

from haizea.backends.world import World

#: How late, in service seconds, what was due at one moment may be by another.
Allowance = Callable[[int, int], float]


def check_changes(answers: Answers, stories: Mapping[int, Mapping[str, Any]]) -> None:
    """Check that each granted change is there, once, and that a refused one left no trace."""
    for lease, terms in answers.terms.items():
        story = stories[lease]
        assert terms_of(story) == terms, (terms, story)
        changed = [entry for entry in story["story"] if entry["code"] == "changed"]
        assert len(changed) == answers.granted[lease], (answers.granted[lease], story)


def check_deadlines(stories: Iterable[Mapping[str, Any]], allowance: Allowance) -> None:
    """Check that no lease began before its window, or was at work after it."""
    for story in stories:
        if story["kind"] != "deadline" or story["state"] == "Rejected":
            continue
        deadline = moment(story["deadline"])
        last = story["story"][-1]
        over = moment(last["time"])
        if story["state"] == "Done":
            assert over <= deadline + allowance(deadline, over), story
        elif story["state"] == "Failed" and "not at work" in last["reason"]:
            accepted = moment(story["submitted"])
            assert allowance(accepted, over) >= 1, story
        started = [moment(x["time"]) for x in story["story"] if x["state"] == "Active"]
        if started and story["after"] is not None:
            assert started[0] >= moment(story["after"]), story


class _Outage(NamedTuple):
    host: int
    start: int
    end: int


def check_maintenance(
    answers: Answers,
    results: Path,
    world: Path,
    hosts: Mapping[str, int],
    allowance: Allowance,
    overdue: Allowance,
) -> None:
    """Check that windows are as answered, and that hosts out of use were empty, and in time.

    Where the service was killed between what it decided and its command, that may be ``overdue``.
    """
    with closing(sqlite3.connect(results)) as db:
        query = 'SELECT time, window, status, hosts, start, "end", leases FROM maintenance'
        rows = db.execute(f"{query} ORDER BY rowid").fetchall()
        query = 'SELECT host, start, "end" FROM reservations WHERE lease IS NULL'
        outages = [_Outage(*row) for row in db.execute(query)]
    told: dict[int, list[tuple[int, str, Form]]] = {}
    for time, window, status, indices, start, end, leases in rows:
        if status != "refused":
            names = [name for name, index in hosts.items() if index in json.loads(indices)]
            form = Form(tuple(sorted(names)), start, end, leases)
            told.setdefault(window, []).append((time, status, form))
    for reason, windows in answers.windows.items():
        assert len(windows) == 1, f"{reason} is one window: {windows}"
    for window, form in answers.forms.items():
        assert told[window][-1][2] == form, (form, told[window])
    for window in answers.ended:
        assert told[window][-1][1] == "over", told[window]
    for window, steps in told.items():
        _check_hosts_leave(window, steps, outages, hosts, allowance)
    _check_empty(outages, world, overdue)


def _check_hosts_leave(
    window: int,
    steps: list[tuple[int, str, Form]],
    outages: list[_Outage],
    hosts: Mapping[str, int],
    allowance: Allowance,
) -> None:
    """Check that hosts of a window that waits for nobody are out of use until it is over."""
    for (begun, status, form), (over, _, _) in pairwise(steps):
        if status != "begun" or form.leases == "stay":
            continue
        for name in form.hosts:
            first = min(
                (x.start for x in outages if x.host == hosts[name] and x.end > begun),
                default=over,
            )
            late = min(first, over) - begun
            assert late <= allowance(begun, min(first, over)), (window, name, late, steps, outages)


def _check_empty(outages: list[_Outage], path: Path, overdue: Allowance) -> None:
    """Check that no VM was on a host that was out of use, but for one that was not told to go."""
    world = World.open(path)
    try:
        for stretch in world.history():
            for outage in outages:
                if stretch.host == outage.host and stretch.end is not None:
                    apart = stretch.end <= outage.start or stretch.start >= outage.end
                    if apart or stretch.start == stretch.end:
                        continue
                    most = overdue(outage.start, stretch.end)
                    assert stretch.start < outage.start, (stretch, outage)
                    assert stretch.end - outage.start <= most, (most, stretch, outage)
    finally:
        world.close()
