"""Hosts as OpenNebula tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.errors import BadAnswer
from haizea.backends.opennebula.model.template import (
    Attributes,
    Template,
    read_attributes,
    read_template,
)
from haizea.backends.opennebula.model.trees import (
    identifiers,
    read_object,
    read_pool,
    text_of,
    whole,
)


class HostState(IntEnum):
    """``STATE`` of a host. One may have a number that is not listed here."""

    INIT = 0
    MONITORING_MONITORED = 1
    MONITORED = 2
    ERROR = 3
    DISABLED = 4
    MONITORING_ERROR = 5
    MONITORING_INIT = 6
    MONITORING_DISABLED = 7
    OFFLINE = 8


_USABLE = frozenset([HostState.MONITORING_MONITORED, HostState.MONITORED])


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """A host. ``cpu_percent`` and ``memory_mb`` are what VMs can have of it in all.

    What the administrator reserves is already taken off; before a host is monitored it
    shows 0. ``used_…`` is what the VMs on it asked for. ``cluster_id`` is -1 without a
    cluster. ``vm_ids`` is empty in OpenNebula 1.4.
    ``attributes`` is the whole element, for requirements and ranks. ``error`` is why
    OpenNebula cannot monitor it, empty where it can.
    """

    id: int
    name: str
    state: int
    cluster_id: int
    cluster: str
    cpu_percent: int
    memory_mb: int
    used_cpu_percent: int
    used_memory_mb: int
    vm_ids: tuple[int, ...]
    template: Template
    attributes: Attributes
    error: str = ""

    @property
    def usable(self) -> bool:
        """True if VMs may be started on it: it is monitored, and neither off nor disabled."""
        return self.state in _USABLE

    def monitored(self, monitoring: Attributes) -> HostInfo:
        """The same host with what a later monitoring says."""
        return replace(self, attributes={**self.attributes, "MONITORING": monitoring})


def read_host(text: str, *, tolerant: bool = False) -> HostInfo:
    """The host of an answer to ``one.host.info``; ``tolerant`` is for OpenNebula 1.4.

    Raises :class:`BadAnswer` where the text is malformed or has no id or state.
    """
    return host_of(read_object(text, "HOST", tolerant=tolerant))


def read_hosts(text: str, *, tolerant: bool = False) -> Iterator[HostInfo]:
    """The hosts of a pool, in its order; errors as in :func:`read_host`."""
    for element in read_pool(text, "HOST_POOL", tolerant=tolerant):
        yield host_of(element)


def read_monitoring(text: str) -> dict[int, Attributes]:
    """The last monitoring of each host, ``CAPACITY`` and ``SYSTEM``, by the host's id.

    Raises :class:`BadAnswer` where the text is malformed.
    """
    return {
        whole(element.findtext("ID"), "the ID of a monitored host"): read_attributes(element)
        for element in read_pool(text, "MONITORING_DATA")
    }


def host_of(element: Element) -> HostInfo:
    """The host that an element ``<HOST>`` is; errors as in :func:`read_host`."""
    if element.tag != "HOST":
        raise BadAnswer(f"expected <HOST>, and got <{element.tag[:40]}>")
    number = whole(element.findtext("ID"), "the ID of a host")
    template = read_template(element.find("TEMPLATE"))
    found = element.find("HOST_SHARE")
    share = {} if found is None else {child.tag: child.text or "" for child in found}
    return HostInfo(
        id=number,
        name=text_of(element, "NAME"),
        state=whole(element.findtext("STATE"), f"the STATE of host {number}"),
        cluster_id=whole(element.findtext("CLUSTER_ID"), f"the CLUSTER_ID of host {number}", -1),
        cluster=text_of(element, "CLUSTER"),
        cpu_percent=_share(share, "MAX_CPU", number),
        memory_mb=_share(share, "MAX_MEM", number) // 1024,
        used_cpu_percent=_share(share, "CPU_USAGE", number),
        # Rounded up: what is used in part is not free.
        used_memory_mb=-(-_share(share, "MEM_USAGE", number) // 1024),
        vm_ids=identifiers(element.find("VMS")),
        template=template,
        attributes=read_attributes(element),
        error=template.text("ERROR"),
    )


def _share(share: Mapping[str, str], name: str, number: int) -> int:
    if name not in share:
        return 0
    # More than there is reserved shows as less than nothing.
    return max(0, whole(share[name], f"{name} of host {number}"))
