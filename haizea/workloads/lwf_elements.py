"""The elements of LWF: which there are, and how one is held while it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Element → its attributes and its children. Everything else is an error.
ELEMENTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(attributes.split()), frozenset(children.split()))
    for name, attributes, children in [
        ("lease-workload", "name", "description site lease-requests"),
        ("description", "", ""),
        ("site", "", "resource-types nodes"),
        ("resource-types", "names", ""),
        ("nodes", "", "node-set"),
        ("node-set", "numnodes", "res"),
        ("res", "type amount", ""),
        ("lease-requests", "", "lease-request"),
        ("lease-request", "arrival", "realduration lease change"),
        ("realduration", "time", ""),
        ("change", "time preemptible hosts", "nodes start duration deadline"),
        ("lease", "id preemptible hosts", "nodes start duration deadline software extra"),
        ("start", "", "now exact"),
        ("now", "", ""),
        ("exact", "time", ""),
        ("duration", "time", ""),
        ("deadline", "time", ""),
        ("software", "", "disk-image none"),
        ("disk-image", "id size", ""),
        ("none", "", ""),
        ("extra", "name value", "attr"),
        ("attr", "name value", ""),
    ]
}
#: Children that may occur more than once.
REPEATED = frozenset({"node-set", "res", "lease-request", "change", "extra", "attr"})
ROOTS = ("lease-workload", "lease-request", "lease")


@dataclass(slots=True)
class Element:
    """An element as it was read: its attributes, its line, its children and its text."""

    name: str
    attributes: Mapping[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """Return the first child of that name."""
        return next((c for c in self.children if c.name == name), None)
