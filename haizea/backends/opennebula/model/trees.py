"""The XML inside OpenNebula's answers: one object, or a pool's objects one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape

from haizea.backends.opennebula.model.errors import BadAnswer

_ROOT = re.compile(r"\s*<([A-Za-z_][\w.-]*)\s*/?>")
_TAG = re.compile(r"<(/?)([A-Z_][A-Z0-9_]*)(/?)>")
#: Much faster where only their number is asked for.
_ANY_TAG = re.compile(r"</?[A-Z_][A-Z0-9_]*/?>")
_STEP = 1 << 16

#: One object by itself, in characters: a VM with a thousand moves has half of it.
LARGEST_OBJECT = 4 << 20
#: Tags of one object in a pool. Elements take memory, their text next to none.
_MOST_TAGS = 200_000
_DEEPEST = 50
#: The name of an XML attribute that an object has from which parts were left out.
CUT = "cut"


def read_pool(text: str, root: str, *, tolerant: bool = False) -> Iterator[Element]:
    """Each element below ``<root>``, in order; one is forgotten when the next is asked for.

    ``tolerant`` is for OpenNebula 1.4, whose text is not escaped. An object with so many
    attributes that it would take the scheduler's memory is cut and marked with :data:`CUT`,
    so that one user's VM does not hide all the others. Raises :class:`BadAnswer` where
    the text is malformed, or something else. There are no entities: a document type can
    only be declared before the root, and the root has to come first.
    """
    _expect(text, root)
    if tolerant:
        text = repaired(text)
    builder = TreeBuilder()
    # The builder hangs the pool below this element, where we reach it while it grows.
    above = builder.start("answer", {})
    parser = XMLParser(target=builder)
    tags = 0
    try:
        for start in range(0, len(text), _STEP):
            parser.feed(text[start : start + _STEP])
            tags += text.count("<", start, start + _STEP)
            if not len(above):
                continue
            pool = above[0]
            # The last one may not be complete.
            if len(pool) > 1:
                tags = 0
                yield from pool[:-1]
                del pool[:-1]
            elif tags > _MOST_TAGS and len(pool):
                tags = 0
                _cut(pool[0])
        parser.close()
    except (ParseError, ValueError) as error:
        raise BadAnswer(f"<{root}> is malformed: {error}") from None
    yield from above[0]


def _cut(unfinished: Element) -> None:
    """Take what is complete out of the last part of an object, at every depth."""
    unfinished.set(CUT, "1")
    depth = 0
    part = unfinished[-1] if len(unfinished) else unfinished
    while len(part):
        del part[:-1]
        part = part[-1]
        depth += 1
        if depth > _DEEPEST:
            raise BadAnswer(f"<{unfinished.tag[:40]}> is nested too deep")


def read_object(text: str, root: str, *, tolerant: bool = False) -> Element:
    """The element ``<root>`` that ``text`` is; errors as in :func:`read_pool`."""
    _expect(text, root)
    if len(text) > LARGEST_OBJECT:
        raise BadAnswer(f"<{root}> is larger than {LARGEST_OBJECT} characters")
    if tolerant:
        text = repaired(text)
    parser = XMLParser()
    try:
        parser.feed(text)
        found = parser.close()
    except (ParseError, ValueError) as error:
        raise BadAnswer(f"<{root}> is malformed: {error}") from None
    assert isinstance(found, Element)
    return found


def _expect(text: str, root: str) -> None:
    begins = _ROOT.match(text)
    if begins is None or begins[1] != root:
        # Not the text itself: a server may repeat what it was sent, credentials too.
        got = "other text" if begins is None else f"<{begins[1][:40]}>"
        raise BadAnswer(f"expected <{root}>, and got {got}")


def repaired(text: str) -> str:
    """``text`` made well-formed: what is no tag of a pair is text.

    OpenNebula 1.4 writes what users wrote as it is, ``<X>a<b & c</X>``. Its own tags are
    in upper case and come in pairs. Linear in the length of ``text``.
    """
    if _is_right(text):
        return text
    pieces: list[str] = []
    #: Where in ``pieces`` each element began that is still open, with its name.
    opened: list[tuple[str, int]] = []
    counts: dict[str, int] = {}
    position = 0
    for tag in _TAG.finditer(text):
        pieces.append(escape(text[position : tag.start()]))
        position = tag.end()
        closing, name, empty = tag.groups()
        if closing and not counts.get(name):
            pieces.append(escape(tag[0]))
            continue
        pieces.append(tag[0])
        if closing:
            _close(name, opened, counts, pieces)
        elif not empty:
            opened.append((name, len(pieces) - 1))
            counts[name] = counts.get(name, 0) + 1
    pieces.append(escape(text[position:]))
    for _, index in opened:
        pieces[index] = escape(pieces[index])
    return "".join(pieces)


def _is_right(text: str) -> bool:
    """Tell whether all that looks like a tag is one of a pair, and nothing has to be escaped.

    Most objects are: a parser that makes nothing of it sees that in a fraction of the time.
    """
    if "&" in text or text.count("<") != len(_ANY_TAG.findall(text)):
        return False
    try:
        ParserCreate().Parse(text, True)
    except (ExpatError, ValueError):
        return False
    return True


def _close(
    name: str, opened: list[tuple[str, int]], counts: dict[str, int], pieces: list[str]
) -> None:
    """Take the innermost open ``name`` away; what was opened inside it and never closed is text."""
    while True:
        inner, index = opened.pop()
        counts[inner] -= 1
        if inner == name:
            return
        pieces[index] = escape(pieces[index])


def text_of(element: Element, name: str) -> str:
    """The text of the child ``name``, empty where there is none."""
    return element.findtext(name, "")


def whole(text: str | None, what: str, default: int | None = None) -> int:
    """A whole number of an answer; ``default`` where there is none.

    Raises :class:`BadAnswer` where it is no number and there is no default.
    """
    if text and len(text) < 20:
        try:
            return int(text)
        except ValueError:
            pass
    if default is not None:
        return default
    raise BadAnswer(f"{what} is {(text or '')[:40]!r}, and not a whole number")


def identifiers(element: Element | None) -> tuple[int, ...]:
    """The ``<ID>``s below an element, in order; none where it is missing."""
    if element is None:
        return ()
    return tuple(whole(child.text, "an ID") for child in element if child.tag == "ID")
