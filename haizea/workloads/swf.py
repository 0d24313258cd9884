"""Reading the Standard Workload Format (version 2.2) of the Parallel Workloads Archive.

Each job becomes one preemptible best-effort lease. What a job's line means is told at
https://www.cs.huji.ac.il/labs/parallel/workload/swf.html; unknown values are -1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from haizea.core.model.lease import Nodes
from haizea.core.model.members import BEST_EFFORT
from haizea.times import shown
from haizea.workloads import values
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import (
    DEFAULT_AMOUNTS,
    LeftOut,
    Workload,
    WorkloadLease,
    WorkloadSite,
    by_arrival,
    remark,
)
from haizea.workloads.source import Source

COLUMNS = 18
_WHOLE = b"0123456789- \t\r"
_NUMERIC = b"0123456789.+-eE \t\r"
NEGATIVE_RUN = "negative run time"
NO_SIZE = "neither requested nor used processors known"
NO_SUBMIT = "submit time not known"
#: A trace that begins later than this after its own start has dates for submit times.
FIRST_ARRIVAL_SECONDS = 366 * 86400
_COMMENT = re.compile(rb"[;#]")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Rules that turn a trace's processors into lease nodes (``[tracefile]`` of the configuration).

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
    What is not quite SWF but can be read is read, and told in ``remarks``. Where submit times
    are dates, they count from the first.
    """
    options = options or ReadOptions()
    jobs = _Jobs(source.name, options)
    header: dict[str, str] = {}
    number = 0
    for number, line in enumerate(source.lines(), 1):
        fields = line.split()
        if len(fields) == COLUMNS and b";" not in line and b"#" not in line:
            jobs.add(number, line, fields)
        elif fields and fields[0][:1] in (b";", b"#"):
            if fields[0][:1] == b"#":
                jobs.remarks["line", "a comment that begins with # and not with ;"] += 1
            _note_header(header, line)
        elif fields:
            _add_unusual(jobs, source, number, line)
    head = source.head()
    if b"\r" in head and b"\n" not in head:
        jobs.remarks["line", "ended by a carriage return, as on old Macs"] = number
    leases = by_arrival(jobs.made) if jobs.unsorted else tuple(jobs.made)
    since = leases[0].arrival_seconds if leases else 0
    epoch = _header_number(header, "unixstarttime")
    if since >= FIRST_ARRIVAL_SECONDS:
        said = f"submit time counted from that of the first one, {since}"
        jobs.remarks["job", said] = len(leases)
        leases = tuple([replace(x, arrival_seconds=x.arrival_seconds - since) for x in leases])
        epoch = since if epoch is None or epoch <= since else epoch + since
    site, problem = _site(header, options)
    return Workload(
        name=source.path.name,
        leases=leases,
        description=header.get("computer", ""),
        site=site,
        notes=tuple(LeftOut(count, reason) for reason, count in jobs.left_out.items()),
        source=source.name,
        epoch=epoch,
        remarks=jobs.told(),
        site_problem=problem,
    )


def _add_unusual(jobs: _Jobs, source: Source, number: int, line: bytes) -> None:
    """Add the job of a line with a comment behind it, or with more columns than there should be."""
    content = _COMMENT.split(line, 1)[0]
    fields = content.split()
    if len(fields) < COLUMNS:
        source.decode(line, number)
        message = f"a job has {COLUMNS} columns, this line has {len(fields)}"
        raise WorkloadError(source.name, number, message=message)
    if len(content) < len(line):
        jobs.remarks["job", "followed by a comment, which is not read"] += 1
    if len(fields) > COLUMNS:
        said = f"more than {COLUMNS} columns, of which the first {COLUMNS} are read"
        jobs.remarks["job", said] += 1
        del fields[COLUMNS:]
        content = b" ".join(fields)
    jobs.add(number, content, fields)


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
        self.remarks: Counter[tuple[str, str]] = Counter()
        self.instant = 0
        self.cut = 0
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
        processors = wanted if wanted > 0 else used
        if run < 0 or processors <= 0 or submit < 0:
            reason = NEGATIVE_RUN if run < 0 else NO_SIZE if processors <= 0 else NO_SUBMIT
            self.left_out[reason] += 1
            return
        duration = limit if limit > 0 else run if run > 0 else 1
        if max(submit, duration, run) > values.MAX_SECONDS:
            self._fail(number, None, "a time is too large: 3,000 years are the most")
        if processors > values.MAX_NODES * self._per_node:
            self._fail(number, None, f"the job is too large: {values.MAX_NODES} nodes are the most")
        if run == 0:
            self.instant += 1
        elif run > duration:
            self.cut += 1
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
                arrival_seconds=submit,
                kind=BEST_EFFORT,
                nodes=nodes,
                duration=duration,
                real_duration_seconds=1 if run < 1 else duration if run > duration else run,
                preemptible=True,
                label=str(job),
                owner=owner,
            )
        )

    def told(self) -> tuple[str, ...]:
        """Describe what was read otherwise than it is written, a line each."""
        self.remarks["job", "run time 0, lasts 1 second"] = self.instant
        self.remarks["job", "run time longer than requested, cut to that"] = self.cut
        return tuple(
            remark(self._file, count, what, said)
            for (what, said), count in self.remarks.items()
            if count
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
    text = line.decode(errors="replace").strip().lstrip("; #\t")
    name, colon, value = text.partition(":")
    if colon and name.isalpha():
        header.setdefault(name.lower(), value.strip())


def _header_number(header: dict[str, str], name: str) -> int | None:
    """The number that a header value begins with (people add remarks); ``None`` if unknown."""
    words = header.get(name, "").split()
    if not words:
        return None
    number = words[0].replace(",", "") if _THOUSANDS.fullmatch(words[0]) else words[0]
    try:
        return values.whole(number)
    except ValueError:
        return None


def _site(header: dict[str, str], options: ReadOptions) -> tuple[WorkloadSite | None, str]:
    """The site that the header tells of; why it is none, if it tells of one."""
    told = {name: header.get(name.lower(), "") for name in ("MaxProcs", "MaxNodes")}
    processors = _header_number(header, "maxprocs") or _header_number(header, "maxnodes")
    if not processors:
        odd = [f"{name}: {shown(text)}" for name, text in told.items() if text.strip("-01")]
        return None, f"its header says {odd[0]}, which is not a usable number" if odd else ""
    hosts = -(-processors // options.processors_per_node)
    if hosts > values.MAX_HOSTS:
        return None, (
            f"its header tells of {processors} processors, which are {hosts} hosts, and"
            f" {values.MAX_HOSTS} are the most; set processors-per-node"
        )
    amounts = dict(options.node_capacity)
    return WorkloadSite(tuple(amounts), (Nodes(hosts, amounts),)), ""
