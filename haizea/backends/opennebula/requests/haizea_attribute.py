"""The words of a ``HAIZEA`` attribute: start or window, duration, preemptible, hosts, group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from haizea.core.model.lease import Kind
from haizea.host_names import parse_fixed
from haizea.plugins import nearest
from haizea.times import parse_lease_duration, shown
from haizea.times.moments import START_FORMS, changing_words, parse_kind, parse_moment
from haizea.times.zones import SystemZone

_TRUE = frozenset(["yes", "true"])
_FALSE = frozenset(["no", "false"])
_NAMES = ("START", "AFTER", "DEADLINE", "DURATION", "PREEMPTIBLE", "HOSTS", "GROUP", "GROUP_SIZE")
_GROUP_SIZE = re.compile(r"[0-9]{1,9}", re.ASCII)
_LONGEST_GROUP = 128
#: A hundred years; what is meant to last longer is meant to have no end.
_LONGEST_SECONDS = 100 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a lease, of an AR at ``moment``, or ``after`` seconds from submission, or at
    the moment that ``words`` (``tomorrow 9:00``) mean in ``zone`` at submission.
    """

    kind: Kind
    moment: int | None = None
    after: int | None = None
    words: str = ""
    zone: tzinfo = field(default=UTC, compare=False)

    def at(self, submitted: int) -> int | None:
        """The start of an AR in seconds since the epoch, ``None`` for the other kinds.

        ``submitted`` is when one of the VMs was that say so.
        """
        if self.words:
            return parse_moment(self.words, submitted, self.zone)
        return self.moment if self.after is None else submitted + self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The meaning of a ``HAIZEA`` attribute. ``duration`` in seconds, ``None`` without end.

    ``after`` and ``deadline`` are the window of a lease that has one instead of a start.
    With ``fixed_hosts`` it keeps the hosts that it is given first, until it begins.
    ``group_size`` is how many VMs the group has, ``None`` where it does not say.
    """

    start: Start
    duration: int | None
    preemptible: bool
    fixed_hosts: bool = False
    group: str = ""
    group_size: int | None = None
    after: Start | None = None
    deadline: Start | None = None


def unquoted(text: str) -> str:
    """Return what a user wrote, without quotes of either kind around it.

    OpenNebula takes apostrophes for part of a value, and what it shows has them for quotes.
    """
    words = text.strip()
    if len(words) > 1 and words[0] == words[-1] and words[0] in "'\"":
        return words[1:-1]
    return words


def parse_words(
    words: Mapping[str, str], *, default: Start, zone: tzinfo | None, submitted: int
) -> Words:
    """A ``HAIZEA`` attribute. What it leaves out: ``default`` start, without end, not preemptible,
    on any hosts.

    ``zone`` is that of the frontend, ``None`` for this machine's. Raises
    :class:`ValueError`, saying what is wrong and what would be right.
    """
    own = zone or SystemZone()
    for name in words:
        if name not in _NAMES:
            raise ValueError(_unknown(name))
    group, group_size = _group(words)
    duration = parse_duration_word(words["DURATION"]) if _said(words, "DURATION") else None
    after, deadline = (_moment(words, name, submitted, own) for name in ("AFTER", "DEADLINE"))
    start = parse_start(words["START"], submitted, own) if _said(words, "START") else default
    if deadline is not None:
        if _said(words, "START"):
            raise ValueError("HAIZEA start and deadline: write after for when it may begin")
        if duration is None:
            raise ValueError("HAIZEA deadline is without a duration: add duration")
        start = Start(Kind.DEADLINE)
    elif after is not None:
        raise ValueError("HAIZEA after is without a deadline: add deadline, or write start")
    return Words(
        start=start,
        after=after,
        deadline=deadline,
        duration=duration,
        preemptible=_boolean(words["PREEMPTIBLE"]) if _said(words, "PREEMPTIBLE") else False,
        fixed_hosts=_said(words, "HOSTS") and _fixed(words["HOSTS"]),
        group=group,
        group_size=group_size,
    )


def parse_start(text: str, submitted: int, zone: tzinfo, name: str = "start") -> Start:
    """Any form of ``start`` in a VM ``submitted`` then; errors as in :func:`parse_words`.

    These call it by its ``name``.
    """
    kind, words = parse_kind(text), " ".join(text.split())
    if kind is not Kind.AR:
        return Start(kind)
    try:
        moment = parse_moment(words, submitted, zone, forms=START_FORMS)
    except ValueError as error:
        raise ValueError(f"HAIZEA {name} {error}") from None
    if not changing_words(words, zone):
        return Start(kind, moment=moment)
    if not words.startswith("+"):
        return Start(kind, words=words, zone=zone)
    after = moment - submitted
    if after > _LONGEST_SECONDS:
        raise ValueError(f"HAIZEA {name} {shown(words)} is over a hundred years ahead: write less")
    return Start(kind, after=after)


def _moment(words: Mapping[str, str], name: str, submitted: int, zone: tzinfo) -> Start | None:
    """A moment of its window, as a start says one."""
    if not _said(words, name):
        return None
    found = parse_start(words[name], submitted, zone, name.lower())
    if found.kind is not Kind.AR:
        raise ValueError(f"HAIZEA {name.lower()} {shown(words[name])} is not a moment: write +2h")
    return found


def parse_duration_word(text: str) -> int | None:
    """``unlimited`` (``None``) or seconds; errors as in :func:`parse_words`."""
    try:
        return parse_lease_duration(text, _LONGEST_SECONDS)
    except ValueError as error:
        raise ValueError(f"HAIZEA duration {error}") from None


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"HAIZEA preemptible {shown(text)} is neither yes nor no")


def _fixed(text: str) -> bool:
    try:
        return parse_fixed(text)
    except ValueError as error:
        raise ValueError(f"HAIZEA hosts {error}") from None


def _group(words: Mapping[str, str]) -> tuple[str, int | None]:
    group = words.get("GROUP", "").strip()
    if len(group) > _LONGEST_GROUP:
        raise ValueError(f"HAIZEA group {shown(group)} is longer than {_LONGEST_GROUP} characters")
    if not _said(words, "GROUP_SIZE"):
        return group, None
    size = words["GROUP_SIZE"].strip()
    if not group:
        raise ValueError("HAIZEA group_size is without a group: add group, or leave it out")
    if not _GROUP_SIZE.fullmatch(size) or int(size) == 0:
        raise ValueError(
            f"HAIZEA group_size {shown(size)} is not a number of VMs: write how many it has"
        )
    return group, int(size)


def _said(words: Mapping[str, str], name: str) -> bool:
    return bool(words.get(name, "").strip())


def _unknown(name: str) -> str:
    names = [known.lower() for known in _NAMES]
    near = nearest(name[:40], names)
    hint = f"is {near} meant?" if near else f"write {', '.join(names)}"
    return f"HAIZEA has no attribute {shown(name.lower())}: {hint}"
