"""Requirements and ranks of many objects at once: hosts, or datastores.

A pool becomes a table with a row for every object. An attribute is looked up once for all
rows, a comparison is made once, and what it gives is a bit set of rows, so that thousands of
VMs share the work: joining comparisons is arithmetic on bit sets.

What counts, as in OpenNebula's scheduler:

* A comparison with an attribute that is absent is false, whatever the operator is. So is one
  with the empty text.
* Compared with a whole number, an attribute counts by the whole number that it starts with;
  compared with a decimal one, by the number that it starts with. One without is absent.
* Text is compared with wildcards, and case counts.
* In a rank, what is absent or no number is 0. A host whose rank cannot be calculated (it
  divides by zero) comes last.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from haizea.backends.opennebula.expressions.glob import glob
from haizea.backends.opennebula.expressions.language import (
    Arithmetic,
    Attribute,
    Chain,
    Comparison,
    Condition,
    Negation,
    Negative,
    Rank,
    Requirement,
    Term,
)
from haizea.backends.opennebula.model.template import Attributes, Tree, leading_number
from haizea.core.model.hosts import HostSet, host_set

#: The values of one attribute of one object, in the order of the document.
_Texts = tuple[str, ...]

#: Names of elements, each in the one before it.
_Path = tuple[str, ...]

_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")

_WHOLE = re.compile(r"\s*([+-]?[0-9]+)", re.ASCII)

#: What a table keeps at most, so that nobody fills the memory with expressions: attributes
#: and rankings (of a thousand hosts each takes up to 150 KB), and comparisons.
_MOST_COLUMNS = 300
_MOST_TIERS = 200
_MOST_COMPARED = 20_000

#: What has more digits than this does not count as a number.
_MOST_DIGITS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The places where the attributes of a kind of object are looked up.

    ``root`` is the name of its XML element, for paths that start with "/". ``sections`` are
    the elements of it that are searched for a name, in this order; the first value counts.
    ``members`` are names that stand for a list of identifiers, of which any may be meant.
    """

    root: str
    sections: tuple[_Path, ...]
    members: Mapping[str, _Path]


HOST_PLACES = Places(
    root="HOST",
    sections=(
        (),
        ("HOST_SHARE",),
        ("HOST_SHARE", "DATASTORES"),
        ("TEMPLATE",),
        ("MONITORING", "CAPACITY"),
        ("MONITORING", "SYSTEM"),
        ("CLUSTER_TEMPLATE",),
    ),
    members={"CURRENT_VMS": ("VMS", "ID")},
)

DATASTORE_PLACES = Places(root="DATASTORE", sections=((), ("TEMPLATE",)), members={})

_NUMERIC: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class Ranking:
    """A table's rows by a rank. They are put in order when they are first asked for."""

    __slots__ = ("_rank", "_table")

    def __init__(self, table: AttributeTable, rank: Rank) -> None:
        self._table = table
        self._rank = rank

    @property
    def tiers(self) -> tuple[HostSet, ...]:
        """Sets of equally good rows, the best first; every row is in one of them."""
        return self._table.tiers(self._rank)

    def among(self, rows: HostSet) -> Iterator[HostSet]:
        """``rows`` by rank, the best first; those that the table does not have come last."""
        for tier in self.tiers:
            found = tier & rows
            if found:
                yield found
                rows &= ~found
                if not rows:
                    return
        if rows:
            yield rows


class AttributeTable:
    """The attributes of a pool's objects. Row *i* is bit *i* of what is answered."""

    def __init__(self, rows: Iterable[Attributes], places: Places) -> None:
        self._rows = tuple(rows)
        self._places = places
        self._absent: list[_Texts] = [()] * len(self._rows)
        self._zeros = [0.0] * len(self._rows)
        self._read: dict[str, list[float]] = {}
        self._texts: dict[str, list[_Texts]] = {}
        self._compared: dict[Comparison, HostSet] = {}
        self._tiers: dict[str, tuple[HostSet, ...]] = {}
        self.everything: HostSet = (1 << len(self._rows)) - 1

    def matching(self, requirement: Requirement) -> HostSet:
        """The rows that meet it."""
        if requirement.condition is None:
            return self.everything
        return self.meeting(requirement.condition)

    def meeting(self, condition: Condition) -> HostSet:
        """The rows for which the condition is true."""
        match condition:
            case Comparison():
                found = self._compared.get(condition)
                if found is None:
                    found = self._compare(condition)
                    _keep(self._compared, condition, found, _MOST_COMPARED)
                return found
            case Negation(operand):
                return self.everything & ~self.meeting(operand)
            case Chain(first, rest):
                found = self.meeting(first)
                for join, other in rest:
                    met = self.meeting(other)
                    found = found & met if join == "&" else found | met
                return found

    def values(self, rank: Rank) -> list[float]:
        """The rank of every row; ``-inf`` where it cannot be calculated."""
        if rank.term is None:
            return [0.0] * len(self._rows)
        return [
            value if math.isfinite(value) else -math.inf for value in self._calculated(rank.term)
        ]

    def ranking(self, rank: Rank) -> Ranking:
        """All rows by their rank."""
        return Ranking(self, rank)

    def tiers(self, rank: Rank) -> tuple[HostSet, ...]:
        """Sets of rows that have the same rank, the highest first."""
        found = self._tiers.get(rank.text)
        if found is None:
            rows: dict[float, list[int]] = {}
            for row, value in enumerate(self.values(rank)):
                rows.setdefault(value, []).append(row)
            found = tuple(host_set(rows[value]) for value in sorted(rows, reverse=True))
            _keep(self._tiers, rank.text, found, _MOST_TIERS)
        return found

    def texts(self, name: str) -> list[_Texts]:
        """For every row, the values of the attribute, a name or a path."""
        paths = self._paths(name)
        if not paths:
            return self._absent
        found = self._texts.get(name)
        if found is None:
            found = [
                tuple([text for path in paths for text in _texts_at(row, path)])
                for row in self._rows
            ]
            _keep(self._texts, name, found, _MOST_COLUMNS)
        return found

    def _paths(self, name: str) -> list[_Path]:
        """The paths where any row has the attribute, from the object on."""
        parts = tuple(name.strip("/").split("/"))
        if name in self._places.members:
            paths = [self._places.members[name]]
        elif name.startswith("/"):
            paths = [parts[1:]] if parts[0] == self._places.root else []
        else:
            paths = [section + parts for section in self._places.sections]
        return [path for path in paths if path in self._existing]

    @cached_property
    def _existing(self) -> set[_Path]:
        """Every path that leads somewhere: looking for what nobody has must cost nothing."""
        existing: set[_Path] = set()
        for row in self._rows:
            existing.update(_paths_in(row))
        return existing

    def _compare(self, comparison: Comparison) -> HostSet:
        is_true = _verdict(comparison, many=comparison.attribute in self._places.members)
        known: dict[_Texts, bool] = {}
        found: list[int] = []
        column = self.texts(comparison.attribute)
        if column is self._absent:
            return self.everything if is_true(()) else 0
        for row, texts in enumerate(column):
            verdict = known.get(texts)
            if verdict is None:
                verdict = known[texts] = is_true(texts)
            if verdict:
                found.append(row)
        return host_set(found)

    def _numbers(self, name: str) -> list[float]:
        """For every row, the number that the attribute is, 0 where it is none."""
        column = self.texts(name)
        if column is self._absent:
            return self._zeros
        found = self._read.get(name)
        if found is None:
            found = [leading_number(texts[0]) or 0.0 if texts else 0.0 for texts in column]
            _keep(self._read, name, found, _MOST_COLUMNS)
        return found

    def _calculated(self, term: Term) -> list[float]:
        match term:
            case Attribute(name):
                return self._numbers(name)
            case Negative(operand):
                return [-value for value in self._calculated(operand)]
            case Arithmetic(first, rest):
                values = self._calculated(first)
                for sign, other in rest:
                    calculate = _ARITHMETIC[sign]
                    values = list(map(calculate, values, self._calculated(other)))
                return values
            case number:
                return [number] * len(self._rows)


def _keep(kept: dict[_Key, _Kept], key: _Key, value: _Kept, most: int) -> None:
    """Keep the value; the oldest makes room for it."""
    if len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value


def _texts_at(element: Tree, path: _Path) -> Iterable[str]:
    found: list[Tree] = [element]
    for name in path:
        inner: list[Tree] = []
        for one in found:
            if isinstance(one, Mapping) and name in one:
                child = one[name]
                inner += [child] if isinstance(child, (str, Mapping)) else child
        if not inner:
            return ()
        found = inner
    return [_content(one) for one in found]


def _paths_in(element: Tree, above: _Path = ()) -> Iterator[_Path]:
    """The paths of all elements in this one."""
    if isinstance(element, Mapping):
        for name, inner in element.items():
            path = (*above, name)
            yield path
            if not isinstance(inner, str):
                yield from _paths_in(inner, path)
    elif not isinstance(element, str):
        for one in element:
            yield from _paths_in(one, above)


def _content(element: Tree) -> str:
    """All text in an element, as XML has it: one thing after the other."""
    if isinstance(element, str):
        return element
    inner = element.values() if isinstance(element, Mapping) else element
    return "".join(_content(one) for one in inner)


def _verdict(comparison: Comparison, *, many: bool) -> Callable[[_Texts], bool]:
    """Return a test of whether the comparison is true of given values."""
    sign = comparison.operator
    is_value = _equality(comparison.value)
    if sign == "@>" or (many and sign == "="):
        return lambda texts: any(is_value(text) for text in texts)
    if many:
        return lambda texts: sign == "!=" and not any(is_value(text) for text in texts)
    if not isinstance(comparison.value, str):
        return _numeric_verdict(_NUMERIC[sign], comparison.value)
    if not comparison.value:
        return lambda texts: False
    return lambda texts: bool(texts) and is_value(texts[0]) == (sign == "=")


def _equality(value: int | float | str) -> Callable[[str], bool]:
    if isinstance(value, str):
        return glob(value) if value else lambda text: False
    read = _whole if isinstance(value, int) else leading_number
    return lambda text: read(text) == value


def _numeric_verdict(
    holds: Callable[[float, float], bool], value: float
) -> Callable[[_Texts], bool]:
    read = _whole if isinstance(value, int) else leading_number

    def is_true(texts: _Texts) -> bool:
        number = read(texts[0]) if texts else None
        return number is not None and holds(number, value)

    return is_true


def _whole(text: str) -> int | None:
    """The whole number that a text starts with."""
    found = _WHOLE.match(text)
    return int(found[1]) if found and len(found[1]) <= _MOST_DIGITS else None


def _divided(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
}
