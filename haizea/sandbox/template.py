"""OpenNebula's templates: text such as ``CPU="1" NIC=[NETWORK_ID="0"]``, and their XML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

#: A simple attribute is text, a vector attribute has attributes of its own.
Value = str | dict[str, str]
#: Attributes in upper case; several values where the name is there more than once.
Template = dict[str, list[Value]]

MOST_TEMPLATE_BYTES = 1 << 20

_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9_][\w./-]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
#: Apostrophes are letters as others are: a value with spaces needs quotes.
_VECTOR_WORD = re.compile(r"[^\s=#,\[\]]+")
_LINE_WORD = re.compile(r"[^\n]*")


class TemplateError(ValueError):
    """The text is no template; the message says where and why."""


class _Reader:
    """Reads one template from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def fail(self, wanted: str) -> TemplateError:
        line = self.text.count("\n", 0, self.position) + 1
        found = self.text[self.position : self.position + 20]
        return TemplateError(f"syntax error in line {line}: {wanted} expected, not {found!r}")

    def take(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise self.fail(wanted)
        self.position = match.end()
        return match

    def at(self, sign: str) -> bool:
        self.skip()
        if not self.text.startswith(sign, self.position):
            return False
        self.position += len(sign)
        return True

    def name(self) -> str:
        self.skip()
        return self.take(_NAME, "a name")[0].upper()

    def word(self, unquoted: re.Pattern[str]) -> str:
        self.skip()
        if self.text.startswith('"', self.position):
            return re.sub(r'\\(["\\])', r"\1", self.take(_QUOTED, "a closing quote")[1])
        return self.take(unquoted, "a value")[0].strip()

    def vector(self) -> dict[str, str]:
        values: dict[str, str] = {}
        while not self.at("]"):
            name = self.name()
            if not self.at("="):
                raise self.fail("=")
            values[name] = self.word(_VECTOR_WORD)
            self.at(",")
        return values

    def pairs(self) -> Iterable[tuple[str, Value]]:
        self.skip()
        while self.position < len(self.text):
            name = self.name()
            if not self.at("="):
                raise self.fail("=")
            yield name, self.vector() if self.at("[") else self.word(_LINE_WORD)
            self.skip()


def parse_template(text: str) -> Template:
    """The attributes in ``text``.

    Raises:
        TemplateError: it is no template, or too long.
    """
    if len(text) > MOST_TEMPLATE_BYTES:
        raise TemplateError(f"a template has at most {MOST_TEMPLATE_BYTES} bytes")
    found: Template = {}
    for name, value in _Reader(text).pairs():
        found.setdefault(name, []).append(value)
    return found


def first(template: Template, name: str) -> str | None:
    """The first simple value of ``name``."""
    for value in template.get(name, ()):
        if isinstance(value, str):
            return value
    return None


def number(template: Template, name: str, otherwise: float = 0.0) -> float:
    """The first value of ``name`` as a number; ``otherwise`` where there is none.

    Raises:
        TemplateError: it is no number, or below zero.
    """
    text = first(template, name)
    if text is None or not text:
        return otherwise
    try:
        found = float(text)
    except ValueError:
        raise TemplateError(f"{name} must be a number, not {text!r}") from None
    if not 0 <= found < 1e12:
        raise TemplateError(f"{name} must be a positive number, not {text!r}")
    return found


def cdata(text: str) -> str:
    """``text`` as a CDATA section, as OpenNebula 5 and later write every attribute."""
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def template_xml(template: Template, *, quoted: bool = True) -> str:
    """The attributes by name. With ``quoted`` false the text goes in as it is, as in 1.4."""
    wrap = cdata if quoted else str
    parts: list[str] = []
    for name in sorted(template):
        for value in template[name]:
            if isinstance(value, dict):
                inner = "".join(f"<{key}>{wrap(value[key])}</{key}>" for key in sorted(value))
                parts.append(f"<{name}>{inner}</{name}>")
            else:
                parts.append(f"<{name}>{wrap(value)}</{name}>")
    return "".join(parts)


def plain(text: object) -> str:
    """``text`` for where OpenNebula writes no CDATA; escaped all the same."""
    return escape(str(text))
