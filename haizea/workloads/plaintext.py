"""Reading the ten-column lease lists of earlier versions of Haizea.

Columns: ``submit start duration realduration nodes cpu memory disk 'image' image-size``.
Times are seconds; a start of -1 is best-effort (preemptible), any other is an AR's (not
preemptible), and may be before the workload's start. ``cpu`` is in cores. ``disk`` is MB
of the resource type ``Disk``, asked for only where it is not 0. Lines that start with
``#`` are comments. The lists have no ids.
"""

from __future__ import annotations

import shlex
from fractions import Fraction
from typing import NoReturn

from haizea.core.model.lease import DiskImage, Kind, Nodes
from haizea.times import shown
from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload, WorkloadLease, by_arrival
from haizea.workloads.source import Source

COLUMNS = (
    "submit",
    "start",
    "duration",
    "realduration",
    "nodes",
    "cpu",
    "memory",
    "disk",
    "image",
    "image-size",
)


def split(line: str) -> list[str]:
    """The columns of a line; quotes hold a column with blanks together.

    Raises :class:`ValueError` for a quote that is not closed.
    """
    return shlex.split(line) if "'" in line or '"' in line else line.split()


def read_plaintext(source: Source) -> Workload:
    """The workload in a ten-column list."""
    nodes: dict[tuple[str, ...], tuple[Nodes, ...]] = {}
    images: dict[DiskImage, DiskImage] = {}
    leases = []
    for number, line in source.text_lines():
        if line.lstrip().startswith("#"):
            continue
        row = _Row(source.name, number, line)
        leases.append(row.lease(nodes, images))
        if len(leases) > values.MAX_LEASES:
            raise WorkloadError(source.name, number, message="these are too many leases")
    return Workload(name=source.path.name, leases=by_arrival(leases), source=source.name)


class _Row:
    def __init__(self, file: str, number: int, line: str) -> None:
        self._file = file
        self._number = number
        try:
            columns = split(line)
        except ValueError:
            self._fail(None, "a quote is not closed")
        if len(columns) != len(COLUMNS):
            self._fail(
                None,
                f"a lease has {len(COLUMNS)} columns ({' '.join(COLUMNS)}),"
                f" this line has {len(columns)}",
            )
        self._columns = dict(zip(COLUMNS, columns, strict=True))

    def _fail(self, column: str | None, message: str) -> NoReturn:
        place = None if column is None else f"column {column}"
        raise WorkloadError(self._file, self._number, place, message)

    def _whole(self, column: str, least: int = 0, most: int = values.MAX_AMOUNT) -> int:
        try:
            return values.whole(self._columns[column], least, most)
        except ValueError as wrong:
            self._fail(column, str(wrong))

    def _cpu_percent(self) -> int:
        text = self._columns["cpu"]
        try:
            if len(text) > 18 or not set(text) <= set("0123456789."):
                raise ValueError
            return round(Fraction(text) * 100)
        except ValueError:
            self._fail("cpu", f"{shown(text)} is not a number of cores, as in 1 or 0.5")

    def lease(
        self,
        nodes: dict[tuple[str, ...], tuple[Nodes, ...]],
        images: dict[DiskImage, DiskImage],
    ) -> WorkloadLease:
        start = self._whole("start", -values.MAX_SECONDS, values.MAX_SECONDS)
        duration = self._whole("duration", 1, values.MAX_SECONDS)
        real = self._whole("realduration", 0, values.MAX_SECONDS)
        image = None
        if self._columns["image"]:
            image = DiskImage(self._columns["image"], self._whole("image-size"))
            image = images.setdefault(image, image)
        return WorkloadLease(
            arrival_seconds=self._whole("submit", 0, values.MAX_SECONDS),
            kind=Kind.BEST_EFFORT if start == -1 else Kind.AR,
            start=None if start == -1 else start,
            nodes=self._nodes(nodes),
            duration=duration,
            real_duration_seconds=values.capped(real, duration),
            preemptible=start == -1,
            image=image,
        )

    def _nodes(self, shared: dict[tuple[str, ...], tuple[Nodes, ...]]) -> tuple[Nodes, ...]:
        key = tuple(self._columns[c] for c in ("nodes", "cpu", "memory", "disk"))
        if key not in shared:
            amounts = {"CPU": self._cpu_percent(), "Memory": self._whole("memory")}
            if disk := self._whole("disk"):
                amounts["Disk"] = disk
            shared[key] = (Nodes(self._whole("nodes", 1, values.MAX_NODES), amounts),)
        return shared[key]
