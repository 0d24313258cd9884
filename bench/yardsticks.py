"""Yardsticks: what a simulation costs that does nothing but count free nodes.

They know no hosts, no resources but nodes, no overheads, no states, no records: only
jobs that wait, start and end on a machine of equal nodes. So they show how much of a run
is the problem itself, in the same Python on the same machine, and how much is Haizea.

Where nodes differ, conservative backfilling counts what jobs need of each type of resources and
what all hosts have free together: all types in one number, each with a bit above it that it
never reaches. It does not know on which hosts that is, so that jobs start sooner than they can.

All follow one rule: at each distinct time, ends are applied, then submissions, then the
queue is looked at once. They answer when each job starts, in the order given.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

_NEVER = 1 << 60


class Job(NamedTuple):
    """A rigid job; ``run_seconds`` is at most ``requested_seconds``, and at least 1.

    ``nodes`` may be what they need in all, of several types in one number.
    """

    submitted: int
    nodes: int
    requested_seconds: int
    run_seconds: int


def easy(jobs: Sequence[Job], nodes: int) -> list[int]:
    """Start times with EASY backfilling. ``jobs`` are in order of submission.

    The first that does not fit gets a *shadow time*, when it could start by the times
    requested; later ones may start if they end by then or use only nodes that are *extra*
    even then. Where no job ended, only the jobs that have just come are looked at.
    """
    starts = [0] * len(jobs)
    ends: list[tuple[int, int]] = []  # (real end, job), a heap
    planned: list[tuple[int, int]] = []  # (requested end, job), sorted
    waiting: list[int] = []
    free, shadow, extra = nodes, 0, 0
    submitted, count = 0, len(jobs)
    while submitted < count or ends:
        now = ends[0][0] if ends else jobs[submitted].submitted
        if submitted < count and jobs[submitted].submitted < now:
            now = jobs[submitted].submitted
        ended = False
        while ends and ends[0][0] == now:
            job = heappop(ends)[1]
            free += jobs[job].nodes
            del planned[bisect_left(planned, (starts[job] + jobs[job].requested_seconds, job))]
            ended = True
        first_new = len(waiting)
        while submitted < count and jobs[submitted].submitted == now:
            waiting.append(submitted)
            submitted += 1
        scan = first_new
        if ended or not first_new:
            head = 0
            for job in waiting:
                _, size, requested, run = jobs[job]
                if size > free:
                    break
                head += 1
                free -= size
                starts[job] = now
                heappush(ends, (now + run, job))
                insort(planned, (now + requested, job))
            del waiting[:head]
            if not waiting:
                continue
            extra, needed, shadow = free, jobs[waiting[0]].nodes, now
            for end, job in planned:
                # All that end at the shadow time are free by then.
                if extra >= needed and end > shadow:
                    break
                shadow = end
                extra += jobs[job].nodes
            extra -= needed
            scan = 1
        kept: list[int] = []
        for position in range(scan, len(waiting)):
            if not free:
                kept += waiting[position:]
                break
            job = waiting[position]
            _, size, requested, run = jobs[job]
            if size <= free and (now + requested <= shadow or size <= extra):
                if now + requested > shadow:
                    extra -= size
                free -= size
                starts[job] = now
                heappush(ends, (now + run, job))
                insort(planned, (now + requested, job))
            else:
                kept.append(job)
        waiting[scan:] = kept
    return starts


#: The first time from ``times[0]`` on at which a size fits for a length. From some time on, when
#: it is to start so far, its own nodes count as free.
_Earliest = Callable[[int, int, int], int]


def conservative(jobs: Sequence[Job], nodes: int) -> list[int]:
    """Start times with conservative backfilling. ``jobs`` are in order of submission.

    Every job is given the first time at which it fits beside all that were given theirs
    before. When one ends early, each that waits is placed anew, in order of submission.
    """
    times, free = [0], [nodes]  # free[i] nodes from times[i] on

    def earliest(size: int, length: int, before: int) -> int:
        i, steps = 0, len(times)
        while (begin := times[i]) < before:
            end = begin + length
            if end > before:
                end = before
            while i < steps and times[i] < end and free[i] >= size:
                i += 1
            if i == steps or times[i] >= end:
                return begin
            i += 1
        return before

    return _placed(jobs, times, free, earliest)


def conservative_in_sums(jobs: Sequence[Job], amounts: int, borrows: int) -> list[int]:
    """The same where jobs need amounts of several types, and the site has ``amounts`` in all.

    One of the bits ``borrows`` is set in a difference of which some type is less than nothing.
    """
    times, free = [0], [amounts]

    # As above but for one line: a yardstick pays for no test that its jobs do not need.
    def earliest(size: int, length: int, before: int) -> int:
        i, steps = 0, len(times)
        while (begin := times[i]) < before:
            end = begin + length
            if end > before:
                end = before
            while i < steps and times[i] < end and not free[i] - size & borrows:
                i += 1
            if i == steps or times[i] >= end:
                return begin
            i += 1
        return before

    return _placed(jobs, times, free, earliest)


# One loop with its state in local names: others are measured by how fast this is.
def _placed(  # noqa: C901
    jobs: Sequence[Job], times: list[int], free: list[int], earliest: _Earliest
) -> list[int]:
    """Start times where every job is placed at ``earliest``, which looks at ``times``."""
    starts = [0] * len(jobs)

    def take(start: int, end: int, size: int) -> None:
        first = bisect_left(times, start)
        if first == len(times) or times[first] != start:
            times.insert(first, start)
            free.insert(first, free[first - 1])
        last = bisect_left(times, end, first)
        if last == len(times) or times[last] != end:
            times.insert(last, end)
            free.insert(last, free[last - 1])
        free[first:last] = [f - size for f in free[first:last]]
        for i in (last, first):
            if i and free[i] == free[i - 1]:
                del times[i], free[i]

    events: list[tuple[int, int, int]] = []  # (time, 0 for an end or 1 for a start, job)
    waiting: list[int] = []
    running: set[int] = set()
    submitted, count = 0, len(jobs)
    while submitted < count or events:
        now = events[0][0] if events else jobs[submitted].submitted
        if submitted < count and jobs[submitted].submitted < now:
            now = jobs[submitted].submitted
        past = bisect_right(times, now) - 1
        del times[:past], free[:past]
        times[0] = now
        early = False
        while events and events[0][0] == now and events[0][1] == 0:
            job = heappop(events)[2]
            _, size, requested, run = jobs[job]
            if run < requested:
                take(now, starts[job] + requested, -size)
                early = True
        if early:
            for job in waiting:
                _, size, requested, _ = jobs[job]
                start = starts[job]
                if start == now:
                    continue
                better = earliest(size, requested, start)
                if better < start:
                    take(start, start + requested, -size)
                    take(better, better + requested, size)
                    starts[job] = better
                    heappush(events, (better, 1, job))
        while submitted < count and jobs[submitted].submitted == now:
            _, size, requested, _ = jobs[submitted]
            start = starts[submitted] = earliest(size, requested, _NEVER)
            take(start, start + requested, size)
            waiting.append(submitted)
            heappush(events, (start, 1, submitted))
            submitted += 1
        running.clear()
        while events and events[0][0] == now:
            job = heappop(events)[2]
            if starts[job] == now:  # else it was placed anew
                running.add(job)
        for job in running:
            heappush(events, (now + jobs[job].run_seconds, 0, job))
        if running:
            waiting = [job for job in waiting if job not in running]
    return starts


YARDSTICKS = {"easy": easy, "conservative": conservative}
#: The name of :func:`conservative_in_sums`, which needs other figures.
IN_SUMS = "conservative, in sums"
