"""The part of ``docs/performance.md`` on limits that are meant for every case and axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bench.cases import AXES, every_case
from bench.speed import there
from bench.tables import table
from bench.yardsticks import IN_SUMS

#: Leases per CPU second at least, where the targets were set.
_LEAST_SPEED: Final = 1500
#: Times the yardstick that counts in sums at most, where there is one.
_MOST_TIMES: Final = 3
#: Exponent of time over what grows at most, along axes that have no such yardstick.
_MOST_GROWTH: Final = 1.2

_TEXT = """\
## Everywhere

Beside these targets, limits hold for all cases and axes: at least {speed:,} leases per CPU second,
at the speed of the machine on which the targets were set, but for deep conservative queues, where
it is at most {times} times the yardstick that counts in sums, the time to start up taken off; and
growth with an exponent of at most {growth}. {met} of {all} figures keep them. The others follow,
the furthest from it first; what was found about them stands below, under *what was tried*.
"""


class _Figure(NamedTuple):
    """A figure that has a limit, and how often it is beyond that."""

    subject: str
    what: str
    limit: str
    measured: str
    factor: float


def missed(
    cases: Sequence[Mapping[str, Any]], axes: Iterable[Mapping[str, Any]], times: float | None
) -> str:
    """The figures beyond the limits; nothing where the speed of the machine is not known."""
    if times is None:
        return ""
    found = [*_of_cases(cases, times), *_of_axes(axes)]
    beyond = sorted((f for f in found if f.factor > 1), key=lambda f: (-f.factor, f.subject))
    text = _TEXT.format(
        speed=_LEAST_SPEED,
        times=_MOST_TIMES,
        growth=_MOST_GROWTH,
        met=len(found) - len(beyond),
        all=len(found),
    )
    rows = [(f.subject, f.what, f.limit, f.measured, f"{f.factor:.2f}") for f in beyond]
    return text + "\n" + table(("what", "figure", "limit", "there", "missed by a factor of"), rows)


def _of_cases(cases: Sequence[Mapping[str, Any]], times: float) -> Iterator[_Figure]:
    known = every_case()
    start_up = next((c["cpu_seconds"] for c in cases if c["name"] == "start-up"), 0.0)
    for case in cases:
        if case["leases"] <= 1 or case["name"] not in known:
            continue
        name = f"`{case['name']}`"
        if known[case["name"]].yardstick == IN_SUMS:
            alone = case["yardstick"]["simulation_seconds"]
            ratio = (case["cpu_seconds"] - start_up) / alone
            limit, measured = f"≤ {_MOST_TIMES}", f"{ratio:.1f}"
            yield _Figure(name, "times the yardstick", limit, measured, ratio / _MOST_TIMES)
            continue
        speed = there("leases_per_second", case["leases_per_second"], times)
        assert speed is not None, "it depends on the machine"
        limit, measured = f"≥ {_LEAST_SPEED:,}", f"{speed:,.0f}"
        yield _Figure(name, "leases per CPU second", limit, measured, _LEAST_SPEED / speed)


def _of_axes(axes: Iterable[Mapping[str, Any]]) -> Iterator[_Figure]:
    in_sums = {axis.name for axis in AXES if axis.cases[0][0].yardstick == IN_SUMS}
    for axis in axes:
        slope = axis["exponent"]
        if slope is None or axis["name"] in in_sums:
            continue
        limit, measured = f"≤ {_MOST_GROWTH}", f"{slope:.2f}"
        yield _Figure(axis["title"], "growth exponent", limit, measured, slope / _MOST_GROWTH)
