"""Reading the Standard Workload Format (version 2.2) of the Parallel Workloads Archive.

Each job becomes one preemptible best-effort lease. What a job's line means is told at
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html; unknown values are -1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from haizea.core.model.members import BEST_EFFORT
from haizea.times import shown
from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import (
    DEFAULT_AMOUNTS,
    LeftOut,
    Nodes,
    Workload,
    WorkloadLease,
    WorkloadSite,
    by_arrival,
)
from haizea.workloads.source import Source

COLUMNS = 18
_WHOLE = b"0123456789- \t\r"
_NUMERIC = b"0123456789.+-eE \t\r"
NEGATIVE_RUN = "negative run time"
NO_SIZE = "neither requested nor used processors known"
NO_TIME = "neither requested time nor run time known"
NO_SUBMIT = "submit time not known"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a trace's processors become lease nodes (``[tracefile]`` of the configuration file).

    A job's processors are divided by ``processors_per_node``, rounded up; each of its
    lease nodes asks for ``node_capacity``.
    """

    processors_per_node: int = 1
    node_capacity: Mapping[str, int] = field(default_factory=lambda: DEFAULT_AMOUNTS)

    def __post_init__(self) -> None:
        assert self.processors_per_node > 0, "a node has processors"


def read_swf(source: Source, options: ReadOptions | None = None) -> Workload:
    """The workload in an SWF file, and in its ``notes`` which jobs were left out, and why.

    The header's ``MaxProcs`` (else ``MaxNodes``) gives the site, ``UnixStartTime`` the epoch.
    """
    options = options or ReadOptions()
    jobs = _Jobs(source.name, options)
    header: dict[str, str] = {}
    for number, line in enumerate(source.lines(), 1):
        fields = line.split()
        if len(fields) == COLUMNS and fields[0][:1] != b";":
            jobs.add(number, line, fields)
        elif fields:
            text = source.decode(line, number) if fields[0][:1] != b";" else ""
            if text:
                raise WorkloadError(
                    source.name,
                    number,
                    message=f"a job has {COLUMNS} columns, this line has {len(fields)}",
                )
            _note_header(header, line)
    made = jobs.made
    return Workload(
        name=source.path.name,
        leases=by_arrival(made) if jobs.unsorted else tuple(made),
        description=header.get("computer", ""),
        site=_site(header, options),
        notes=tuple(LeftOut(count, reason) for reason, count in jobs.left_out.items()),
        source=source.name,
        epoch=_header_number(header, "unixstarttime"),
    )


class _Jobs:
    """Makes leases of lines; leases of one size share their node sets."""

    def __init__(self, file: str, options: ReadOptions) -> None:
        self._file = file
        self._per_node = options.processors_per_node
        self._amounts = dict(options.node_capacity)
        self._nodes: dict[int, tuple[Nodes, ...]] = {}
        self._owners: dict[bytes, str] = {b"-1": ""}
        self._last = 0
        self.unsorted = False
        self.left_out: Counter[str] = Counter()
        self.made: list[WorkloadLease] = []

    def add(self, number: int, line: bytes, fields: list[bytes]) -> None:
        try:
            # Every column is a number, also those that are not used here. Python alone
            # would take 1_000 and nan as well.
            if not line.translate(None, _WHOLE):
                job, submit, _, run, used, _, _, wanted, limit, *_ = map(int, fields)
            else:
                list(map(float, fields))
                if line.translate(None, _NUMERIC):
                    raise ValueError
                job, submit, run = int(fields[0]), int(fields[1]), int(fields[3])
                used, wanted, limit = int(fields[4]), int(fields[7]), int(fields[8])
        except ValueError:
            job, submit, run, used, wanted, limit = self._slowly(number, fields)
        if run < 0:
            self.left_out[NEGATIVE_RUN] += 1
            return
        processors = wanted if wanted > 0 else used
        if processors <= 0:
            self.left_out[NO_SIZE] += 1
            return
        duration = limit if limit > 0 else run
        if duration <= 0:
            self.left_out[NO_TIME] += 1
            return
        if submit < 0:
            self.left_out[NO_SUBMIT] += 1
            return
        if max(submit, duration, run) > values.MAX_SECONDS:
            self._fail(number, None, "a time is too large: 3,000 years are the most")
        if processors > values.MAX_NODES * self._per_node:
            self._fail(number, None, f"the job is too large: {values.MAX_NODES} nodes are the most")
        if submit < self._last:
            self.unsorted = True
        self._last = submit
        count = -(-processors // self._per_node)
        nodes = self._nodes.get(count)
        if nodes is None:
            nodes = self._nodes[count] = (Nodes(count, self._amounts),)
        user = fields[11]
        owner = self._owners.get(user)
        if owner is None:
            owner = self._owners[user] = user.decode()
        if len(self.made) >= values.MAX_LEASES:
            self._fail(number, None, f"more than {values.MAX_LEASES} jobs are too many")
        self.made.append(
            WorkloadLease(
                submit,
                BEST_EFFORT,
                None,
                nodes,
                duration,
                1 if run < 1 else duration if run > duration else run,
                True,
                None,
                str(job),
                None,
                owner,
            )
        )

    def _fail(self, number: int, column: int | None, message: str) -> None:
        place = None if column is None else f"column {column + 1}"
        raise WorkloadError(self._file, number, place, message)

    def _slowly(self, number: int, fields: list[bytes]) -> list[int]:
        """The columns that are used, of a line with fractions in them, or with something wrong."""
        numbers = []
        for column, cell in enumerate(fields):
            text = cell.decode("ascii", "backslashreplace")
            try:
                value = float(cell)
            except ValueError:
                value = math.nan
            if not math.isfinite(value) or b"_" in cell or abs(value) > 10 * values.MAX_AMOUNT:
                self._fail(number, column, f"{shown(text)} is not a usable number")
            numbers.append(math.floor(value))
        return [numbers[i] for i in (0, 1, 3, 4, 7, 8)]


def _note_header(header: dict[str, str], line: bytes) -> None:
    """Keep a header comment of the form ``; Name: value``; the first of a name counts."""
    text = line.decode(errors="replace").strip().lstrip("; \t")
    name, colon, value = text.partition(":")
    if colon and name.isalpha():
        header.setdefault(name.lower(), value.strip())


def _header_number(header: dict[str, str], name: str) -> int | None:
    """The number that a header value begins with (people add remarks); ``None`` if unknown."""
    words = header.get(name, "").split()
    if not words:
        return None
    try:
        return values.whole(words[0])
    except ValueError:
        return None


def _site(header: dict[str, str], options: ReadOptions) -> WorkloadSite | None:
    processors = _header_number(header, "maxprocs") or _header_number(header, "maxnodes")
    if not processors:
        return None
    hosts = -(-processors // options.processors_per_node)
    if hosts > values.MAX_HOSTS:
        return None
    amounts = dict(options.node_capacity)
    return WorkloadSite(tuple(amounts), (Nodes(hosts, amounts),))
