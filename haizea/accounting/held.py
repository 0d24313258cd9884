"""Resources that a reservation held, as rows have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from haizea.core.model.allocation import Apart, Use
from haizea.core.model.resources import Capacity


def alike(use: Use) -> Iterable[tuple[Capacity, Sequence[int]]]:
    """The hosts by what is held of them; most often the same of all."""
    if isinstance(use, Apart):
        return ((use.amount, use.hosts),)
    groups: dict[Capacity, list[int]] = {}
    for host, capacity in use:
        groups.setdefault(capacity, []).append(host)
    return groups.items()


def listed(hosts: Sequence[int], texts: Sequence[str]) -> str:
    """The hosts, in words."""
    if len(hosts) == 1:
        return texts[hosts[0]]
    return ",".join(itemgetter(*hosts)(texts))
