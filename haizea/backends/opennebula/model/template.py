"""Templates: the attributes that users and administrators give to VMs and hosts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Union
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.errors import BadAnswer

#: An attribute is text, or a vector of named texts, ``DISK = [ IMAGE_ID="1", … ]``.
Attribute = str | dict[str, str]

#: An XML element: its text, the elements in it by name, or a list of several of one name.
Tree = Union[str, "Attributes", Sequence["Tree"]]
Attributes = Mapping[str, Tree]

#: Longer values are scripts and pictures, which no scheduler reads: they are left out.
LONGEST_VALUE = 1 << 16
_MOST_ATTRIBUTES = 2000
_DEEPEST = 12

_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", re.ASCII)

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Template:
    """Attributes by name, in upper case; the same name may occur several times."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Attribute | list[Attribute]] | None = None) -> None:
        self._entries: dict[str, Attribute | list[Attribute]] = dict(entries or {})

    def __repr__(self) -> str:
        return f"Template({self._entries!r})"

    def __eq__(self, other: object) -> bool:
        return self._entries == other._entries if isinstance(other, Template) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def attributes(self) -> Attributes:
        """The same by name, a list where a name occurs several times."""
        return self._entries

    def all(self, name: str) -> tuple[Attribute, ...]:
        """Every attribute of this name, in the order of the template."""
        found = self._entries.get(name)
        if found is None:
            return ()
        return tuple(found) if isinstance(found, list) else (found,)

    def text(self, name: str, default: str = "") -> str:
        """The first attribute of this name that is text, or ``default``."""
        found = self._entries.get(name)
        if isinstance(found, str):
            return found
        return next((value for value in self.all(name) if isinstance(value, str)), default)

    def vectors(self, name: str) -> tuple[Mapping[str, str], ...]:
        """Every attribute of this name that is a vector."""
        return tuple(value for value in self.all(name) if not isinstance(value, str))

    def vector(self, name: str) -> Mapping[str, str]:
        """The first vector of this name, empty where there is none."""
        return next(iter(self.vectors(name)), _NOTHING)


NO_TEMPLATE = Template()


def read_template(element: Element | None, left_out: Collection[str] = ()) -> Template:
    """The template that ``element`` is, without the names in ``left_out``.

    Values longer than :data:`LONGEST_VALUE` and what comes after 2,000 attributes are
    left out too: a user's template cannot take the scheduler's memory.
    """
    if element is None or not len(element):
        return NO_TEMPLATE
    template = Template()
    entries = template._entries
    for child in element[:_MOST_ATTRIBUTES]:
        name = child.tag
        if name in left_out:
            continue
        if len(child):
            value: Attribute = {part.tag: _short(part.text) for part in child[:_MOST_ATTRIBUTES]}
        else:
            value = _short(child.text)
        if name not in entries:
            entries[name] = value
            continue
        before = entries[name]
        if isinstance(before, list):
            before.append(value)
        else:
            entries[name] = [before, value]
    return template


def read_attributes(element: Element, depth: int = 0) -> dict[str, Tree]:
    """All that is in an element, by name. Long values are left out, as in a template.

    Raises :class:`BadAnswer` where elements are nested deeper than OpenNebula's are.
    """
    if depth > _DEEPEST:
        raise BadAnswer(f"<{element.tag[:40]}> is nested too deep")
    found: dict[str, Tree] = {}
    lists: dict[str, list[Tree]] = {}
    for child in element:
        name = child.tag
        value: Tree = read_attributes(child, depth + 1) if len(child) else _short(child.text)
        if name not in found:
            found[name] = value
        elif name in lists:
            lists[name].append(value)
        else:
            found[name] = lists[name] = [found[name], value]
    return found


def elements_at(element: Attributes, *path: str) -> Iterator[Attributes]:
    """The elements with others in them that are at this path."""
    return (found for found in _at(element, path) if isinstance(found, Mapping))


def text_at(element: Attributes, *path: str) -> str:
    """The first text at this path, without the blanks around it; "" if there is none."""
    return next((found for found in _at(element, path) if isinstance(found, str)), "").strip()


def _at(element: Tree, path: Sequence[str]) -> Iterator[Tree]:
    if not path:
        yield element
    elif isinstance(element, Mapping) and path[0] in element:
        child = element[path[0]]
        for one in [child] if isinstance(child, (str, Mapping)) else child:
            yield from _at(one, path[1:])


def leading_number(text: str) -> float | None:
    """The number that a text starts with, after blanks; ``None`` if it is not finite."""
    found = _NUMBER.match(text)
    number = float(found[1]) if found else math.inf
    return number if math.isfinite(number) else None


def _short(text: str | None) -> str:
    return text if text and len(text) <= LONGEST_VALUE else ""


_UNQUOTED = str.maketrans({'"': "'", "\\": "/", **dict.fromkeys(map(chr, range(32)), " ")})


def quotable(text: str) -> str:
    """``text`` as it comes out of a template that it was written into."""
    return text.translate(_UNQUOTED)


def write_template(attributes: Mapping[str, str | Mapping[str, str]]) -> str:
    """Attributes in OpenNebula's template language, to send with ``one.vm.update``.

    What cannot stand inside its quotes is replaced, so that no value can become another
    attribute: a quote by an apostrophe, a backslash by a slash, a line end by a space.
    """
    return "\n".join(f"{name}={_written(value)}" for name, value in attributes.items())


def _written(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return f'"{quotable(value)}"'
    parts = ", ".join(f"{name}={_written(part)}" for name, part in value.items())
    return f"[ {parts} ]"
