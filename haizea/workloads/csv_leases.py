"""Reading leases from a table (CSV), as spreadsheets write it.

The first line names the columns, in any order:

``duration`` (required), ``nodes`` (1), ``cpu`` percent per node (100), ``memory`` MB per
node (1024), ``arrival`` (0), ``start`` (empty or ``best-effort``, ``now``, or a time),
``after`` and ``deadline`` (of a lease that has these instead of a start), ``realduration``,
``image`` and ``image_size`` MB, ``preemptible`` (yes for best-effort,
no otherwise), ``hosts`` (``any`` or ``fixed``), ``id``. Times are seconds, ``HH:MM:SS`` or
``1h30m`` after the workload's start. An empty cell is a missing value.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from haizea.core.model.lease import DiskImage, Kind, Nodes
from haizea.host_names import parse_fixed
from haizea.times.moments import parse_kind
from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload, WorkloadLease, WorkloadSite, by_arrival
from haizea.workloads.source import Source
from haizea.workloads.terms import windowed

T = TypeVar("T")

COLUMNS = (
    "arrival",
    "start",
    "after",
    "deadline",
    "duration",
    "realduration",
    "nodes",
    "cpu",
    "memory",
    "image",
    "image_size",
    "preemptible",
    "hosts",
    "id",
)


def read_csv(source: Source, site: WorkloadSite | None = None) -> Workload:
    """The workload in a table of leases, for ``site`` if one is given."""
    numbers = [0]
    rows = csv.reader(_lines(source, numbers), strict=True)
    leases: list[WorkloadLease] = []
    ids: dict[int, int] = {}
    header: list[str] | None = None
    try:
        for cells in rows:
            if header is None:
                header = _header(source.name, numbers[0], cells)
                continue
            row = _Row(source.name, numbers[0], header, cells)
            leases.append(row.lease(ids))
    except csv.Error as wrong:
        raise WorkloadError(source.name, numbers[0], message=f"this is not CSV: {wrong}") from None
    if header is None:
        raise WorkloadError(
            source.name, message=f"the file is empty; its first line names columns: {COLUMNS}"
        )
    return Workload(name=source.path.name, leases=by_arrival(leases), site=site, source=source.name)


def _lines(source: Source, numbers: list[int]) -> Iterator[str]:
    """The text lines, leaving in ``numbers[0]`` the number of the last one handed out."""
    for number, line in source.text_lines():
        numbers[0] = number
        yield line + "\n"


def _header(file: str, number: int, cells: list[str]) -> list[str]:
    names = [cell.strip().lower().replace("-", "_").replace(" ", "_") for cell in cells]
    for name in names:
        if name not in COLUMNS:
            raise WorkloadError(file, number, message=values.unknown("column", name, COLUMNS))
    if len(set(names)) != len(names):
        raise WorkloadError(file, number, message="a column is named twice")
    if "duration" not in names:
        raise WorkloadError(file, number, message="the column duration is missing")
    return names


class _Row:
    def __init__(self, file: str, number: int, header: list[str], cells: list[str]) -> None:
        self._file = file
        self._number = number
        if len(cells) != len(header):
            self._fail(None, f"there are {len(header)} columns, this line has {len(cells)}")
        self._cells = {n: c.strip() for n, c in zip(header, cells, strict=True) if c.strip()}

    def _fail(self, column: str | None, message: str) -> NoReturn:
        place = None if column is None else f"column {column}"
        raise WorkloadError(self._file, self._number, place, message)

    def _parse(self, column: str, parse: Callable[[str], T], default: T) -> T:
        if column not in self._cells:
            return default
        try:
            return parse(self._cells[column])
        except ValueError as wrong:
            self._fail(column, str(wrong))

    def lease(self, lines_of_ids: dict[int, int]) -> WorkloadLease:
        if "duration" not in self._cells:
            self._fail("duration", "a lease needs one: 1h30m, HH:MM:SS, seconds or unlimited")
        duration = self._parse("duration", values.duration, None)
        real = self._parse("realduration", values.length, None)
        kind, start = self._start()
        after = self._parse("after", values.start, None)
        deadline = self._parse("deadline", values.start, None)
        try:
            kind = windowed(kind, after, deadline, duration)
        except ValueError as wrong:
            self._fail(None, str(wrong))
        number = self._parse("id", lambda t: values.whole(t, 1), None)
        if number is not None:
            if number in lines_of_ids:
                self._fail("id", f"{number} is taken by line {lines_of_ids[number]}")
            lines_of_ids[number] = self._number
        amounts = {
            "CPU": self._parse("cpu", values.whole, 100),
            "Memory": self._parse("memory", values.whole, 1024),
        }
        count = self._parse("nodes", lambda t: values.whole(t, 1, values.MAX_NODES), 1)
        return WorkloadLease(
            arrival_seconds=self._parse("arrival", values.moment, 0),
            kind=kind,
            start=start,
            after=after,
            deadline=deadline,
            nodes=(Nodes(count, amounts),),
            duration=duration,
            real_duration_seconds=None if real is None else values.capped(real, duration),
            preemptible=self._parse("preemptible", values.boolean, kind is Kind.BEST_EFFORT),
            fixed_hosts=self._parse("hosts", parse_fixed, False),
            image=self._image(),
            label="" if number is None else str(number),
            id=number,
        )

    def _start(self) -> tuple[Kind, int | None]:
        kind = parse_kind(self._cells.get("start", Kind.BEST_EFFORT))
        return kind, self._parse("start", values.start, 0) if kind is Kind.AR else None

    def _image(self) -> DiskImage | None:
        if "image" not in self._cells:
            if "image_size" in self._cells:
                self._fail("image_size", "there is a size but no image")
            return None
        if "image_size" not in self._cells:
            self._fail("image_size", "an image needs a size in MB")
        return DiskImage(self._cells["image"], self._parse("image_size", values.whole, 0))
