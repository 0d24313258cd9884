"""Writing LWF: the same workload always gives the same text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from haizea.core.model.lease import Kind, Nodes
from haizea.host_names import ANY, FIXED
from haizea.workloads.changes import WorkloadChange
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload, WorkloadLease
from haizea.workloads.values import clock

#: Characters that XML 1.0 cannot hold.
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def lwf_text(workload: Workload) -> Iterator[str]:
    """The workload as LWF, in pieces. What LWF has no place for (labels, owners) is left out.

    Raises :class:`WorkloadError` for a name that XML cannot hold.
    """
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield f"<lease-workload name={_quoted(workload.name, workload)}>\n"
    if workload.description:
        _check(workload.description, workload)
        yield f"  <description>{escape(workload.description)}</description>\n"
    if workload.site is not None:
        yield "  <site>\n"
        yield f"    <resource-types names={_quoted(' '.join(workload.site.types), workload)}/>\n"
        yield from _nodes(workload.site.hosts, "    ", workload)
        yield "  </site>\n"
    yield "  <lease-requests>\n"
    for lease in workload.leases:
        yield "".join(_request(lease, workload))
    yield "  </lease-requests>\n</lease-workload>\n"


def _request(lease: WorkloadLease, workload: Workload) -> Iterator[str]:
    yield f'    <lease-request arrival="{clock(lease.arrival_seconds)}">\n'
    if lease.real_duration_seconds is not None:
        yield f'      <realduration time="{clock(lease.real_duration_seconds)}"/>\n'
    number = "" if lease.id is None else f' id="{lease.id}"'
    preemptible = "true" if lease.preemptible else "false"
    hosts = f' hosts="{FIXED}"' if lease.fixed_hosts else ""
    yield f'      <lease{number} preemptible="{preemptible}"{hosts}>\n'
    yield from _nodes(lease.nodes, "        ", workload)
    yield f"        {_start(lease)}\n"
    duration = lease.duration
    yield f'        <duration time="{"unlimited" if duration is None else clock(duration)}"/>\n'
    if lease.deadline is not None:
        yield f'        <deadline time="{clock(lease.deadline)}"/>\n'
    if lease.image is not None:
        name = _quoted(lease.image.name, workload)
        image = f'<disk-image id={name} size="{lease.image.size_mb}"/>'
        yield f"        <software>{image}</software>\n"
    if lease.extras:
        yield "        <extra>\n"
        for name, value in lease.extras:
            attributes = f"name={_quoted(name, workload)} value={_quoted(value, workload)}"
            yield f"          <attr {attributes}/>\n"
        yield "        </extra>\n"
    yield "      </lease>\n"
    for change in lease.changes:
        yield from _change(change, workload)
    yield "    </lease-request>\n"


def _change(change: WorkloadChange, workload: Workload) -> Iterator[str]:
    words = f'time="{clock(change.at_seconds)}"'
    if change.preemptible is not None:
        words += f' preemptible="{"true" if change.preemptible else "false"}"'
    if change.fixed_hosts is not None:
        words += f' hosts="{FIXED if change.fixed_hosts else ANY}"'
    yield f"      <change {words}>\n"
    if change.nodes is not None:
        yield from _nodes(change.nodes, "        ", workload)
    # That of a lease with a deadline is when it may begin.
    start = change.after_seconds if change.start_seconds is None else change.start_seconds
    if start is not None:
        yield f'        <start><exact time="{clock(start)}"/></start>\n'
    if change.is_endless or change.duration_seconds is not None:
        duration = change.duration_seconds
        yield f'        <duration time="{"unlimited" if duration is None else clock(duration)}"/>\n'
    if change.deadline_seconds is not None:
        yield f'        <deadline time="{clock(change.deadline_seconds)}"/>\n'
    yield "      </change>\n"


def _start(lease: WorkloadLease) -> str:
    match lease.kind:
        case Kind.DEADLINE if lease.after is not None:
            return f'<start><exact time="{clock(lease.after)}"/></start>'
        case Kind.BEST_EFFORT | Kind.DEADLINE:
            return "<start/>"
        case Kind.IMMEDIATE:
            return "<start><now/></start>"
        case Kind.AR:
            assert lease.start is not None
            return f'<start><exact time="{clock(lease.start)}"/></start>'


def _nodes(groups: Iterable[Nodes], indent: str, workload: Workload) -> Iterator[str]:
    yield f"{indent}<nodes>\n"
    for group in groups:
        yield f'{indent}  <node-set numnodes="{group.count}">\n'
        for name, amount in group.amounts.items():
            yield f'{indent}    <res type={_quoted(name, workload)} amount="{amount}"/>\n'
        yield f"{indent}  </node-set>\n"
    yield f"{indent}</nodes>\n"


def _check(text: str, workload: Workload) -> None:
    if _FORBIDDEN.search(text):
        raise WorkloadError(
            workload.source or workload.name,
            message=f"{text!a} has characters that XML cannot hold; rename it",
        )


def _quoted(text: str, workload: Workload) -> str:
    _check(text, workload)
    # A reader makes blanks of line ends inside an attribute unless they are spelled out.
    return quoteattr(text, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
