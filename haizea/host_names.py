"""Hosts as people name them: by name, by pattern, or by how large they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from haizea.core.model.hosts import Host, Site
from haizea.times.durations import shown

_SIZE = re.compile(r"([A-Za-z][\w-]{0,63})(>=|<=|=)(\d{1,15})", re.ASCII)
#: What a pattern has and a plain name has not.
_PATTERN = re.compile(r"[*?\[]")


def hosts_called(site: Site, words: Iterable[str]) -> tuple[int, ...]:
    """The indices of the hosts that any of the words means, in order.

    ``host-3``, ``rack-b-*`` (``*``, ``?`` and ``[…]`` as in a shell), ``Memory>=65536``. Raises
    :class:`ValueError` for a word that means no host.
    """
    found: set[int] = set()
    for word in words:
        mine = {host.id for host in site.hosts if _is_meant(host, word, site)}
        if not mine:
            raise ValueError(f"{shown(word)} is not a host of this site: see 'haizea hosts'")
        found |= mine
    if not found:
        raise ValueError("no host is named")
    return tuple(sorted(found))


def _is_meant(host: Host, word: str, site: Site) -> bool:
    if host.name == word:
        return True
    size = _SIZE.fullmatch(word)
    if size is not None and size[1] in site.types.names:
        amount, wanted = host.capacity[site.types.names.index(size[1])], int(size[3])
        match size[2]:
            case ">=":
                return amount >= wanted
            case "<=":
                return amount <= wanted
            case _:
                return amount == wanted
    return bool(_PATTERN.search(word)) and fnmatchcase(host.name, word)
