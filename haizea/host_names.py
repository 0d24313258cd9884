"""Hosts as people name them: by name, by pattern, by how large they are, or by a condition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from haizea.core.model.hosts import Host, HostSet, Site, hosts_in
from haizea.times.durations import shown

#: The hosts of a lease that keeps those that it is given first, and of any other.
FIXED, ANY = "fixed", "any"
_SIZE = re.compile(r"([A-Za-z][\w-]{0,63})(>=|<=|=)(\d{1,15})", re.ASCII)
#: What a pattern has and a plain name has not.
_PATTERN = re.compile(r"[*?\[]")
#: What a condition on attributes has and a name has not.
_COMPARES = re.compile(r"[=<>!@]")

#: Finds the hosts whose attributes meet a condition; raises :class:`ValueError` for a text that
#: is not one.
Meeting = Callable[[str], HostSet]


def no_attributes(condition: str) -> HostSet:
    """Find no host by a condition: nothing but names and sizes is known of these."""
    return 0


def hosts_called(
    site: Site, words: Iterable[str], meeting: Meeting = no_attributes
) -> tuple[int, ...]:
    """The indices of the hosts that any of the words means, in order.

    ``host-3``, ``rack-b-*`` (``*``, ``?`` and ``[…]`` as in a shell), ``Memory>=65536``, or what
    ``meeting`` understands, such as ``RACK="b"``. Raises :class:`ValueError` for a word that means
    no host.
    """
    if not site.hosts:
        raise ValueError("no host of this site is known yet: try again in a moment")
    found: set[int] = set()
    for word in words:
        mine = {host.id for host in site.hosts if _is_meant(host, word, site)}
        if not mine and _COMPARES.search(word):
            mine = {host for host in hosts_in(meeting(word)) if host < len(site.hosts)}
        if not mine:
            raise ValueError(_none_is(word))
        found |= mine
    if not found:
        raise ValueError("no host is named")
    return tuple(sorted(found))


def _none_is(word: str) -> str:
    """Say that a word means no host, as what it is: a condition or a pattern, or else a name."""
    if _COMPARES.search(word) or _PATTERN.search(word):
        return f"no host of this site matches {shown(word)}: see 'haizea hosts'"
    return f"{shown(word)} is not a host of this site: see 'haizea hosts'"


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


def parse_fixed(text: str) -> bool:
    """Tell whether a lease keeps the hosts that it is given first: ``fixed``, or ``any``.

    Raises ``ValueError``.
    """
    word = text.strip().lower()
    if word not in (FIXED, ANY):
        raise ValueError(f"{shown(text)} is neither {FIXED} nor {ANY}")
    return word == FIXED
