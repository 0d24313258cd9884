"""XML-RPC as OpenNebula speaks it: a call to bytes, an answer to values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.parsers import expat
from xml.sax.saxutils import escape

from haizea.backends.opennebula.model.errors import BadAnswer, Fault, Refused

#: A parameter of a call, or a value of an answer.
Value = bool | int | str

#: An honest answer has some twenty elements: everything large is one string.
_MOST_ELEMENTS = 1000
_DEEPEST = 20
_LONGEST_NUMBER = 20

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ENVELOPE = frozenset(
    ["methodResponse", "params", "param", "value", "array", "data", "fault", "struct", "member"]
)
_SCALARS = frozenset(["boolean", "i4", "int", "i8", "string", "double", "name", "nil"])


def encode_call(method: str, parameters: Iterable[Value]) -> bytes:
    """The body of the HTTP request. Characters that XML cannot carry become ``?``."""
    values = "".join(f"<param><value>{_encoded(value)}</value></param>" for value in parameters)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><methodCall>'
        f"<methodName>{escape(method)}</methodName><params>{values}</params></methodCall>"
    )
    return text.encode()


def _encoded(value: Value) -> str:
    match value:
        case bool():
            return f"<boolean>{value:d}</boolean>"
        case int():
            return f"<int>{value}</int>"
        case str():
            return f"<string>{escape(_NOT_IN_XML.sub('?', value))}</string>"


class AnswerReader:
    """Decodes one answer while it arrives.

    Declarations of documents and entities are refused, so nothing can expand; elements
    and nesting are bounded, and strings by ``largest_bytes`` in all.
    """

    def __init__(self, largest_bytes: int) -> None:
        self._left = largest_bytes
        self._largest = largest_bytes
        self._values: list[Value] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self._elements = 0
        self._is_fault = False
        self._had_scalar = False
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        self._parser = parser

    def expect(self, size: int) -> None:
        """Expect so many more bytes. Raises :class:`BadAnswer` where that is too many."""
        if size > self._left:
            raise BadAnswer(f"the answer is larger than {self._largest} bytes")

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises :class:`BadAnswer` as soon as something is wrong."""
        self.expect(len(data))
        self._left -= len(data)
        self._parse(data, False)

    def finish(self) -> tuple[Value, ...]:
        """The values of the answer. Raises :class:`BadAnswer`, and :class:`Fault` for a fault."""
        self._parse(b"", True)
        if self._is_fault:
            raise self._fault()
        if not self._values:
            raise BadAnswer("the answer has no values: is this the XML-RPC port of OpenNebula?")
        return tuple(self._values)

    def _parse(self, data: bytes, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            raise BadAnswer(f"the answer is not XML-RPC: {error}") from None
        except (ValueError, LookupError) as error:
            raise BadAnswer(f"the answer cannot be decoded: {error}") from None

    def _doctype(self, *_: object) -> None:
        raise BadAnswer("the answer declares a document type, which XML-RPC has no use for")

    def _start(self, name: str, _: object) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or len(self._open) >= _DEEPEST:
            raise BadAnswer("the answer has more elements than any answer of OpenNebula has")
        if name not in _ENVELOPE and name not in _SCALARS:
            raise BadAnswer(f"the answer is not XML-RPC: it has an element <{name[:40]}>")
        if not self._open and name != "methodResponse":
            raise BadAnswer(f"the answer is not XML-RPC: it begins with <{name[:40]}>")
        self._is_fault |= name == "fault"
        self._had_scalar &= name != "value"
        self._open.append(name)
        self._text.clear()

    def _end(self, name: str) -> None:
        self._open.pop()
        if name in _SCALARS:
            self._values.append(_decoded(name, "".join(self._text)))
            self._had_scalar = True
        elif name == "value" and not self._had_scalar and "".join(self._text).strip():
            # A value without a type is a string; white space around arrays is not one.
            self._values.append("".join(self._text))
        self._text.clear()

    def _fault(self) -> Fault:
        fields = dict(zip(self._values[::2], self._values[1::2], strict=False))
        code = fields.get("faultCode", 0)
        return Fault(code if isinstance(code, int) else 0, str(fields.get("faultString", "")))


def _decoded(kind: str, text: str) -> Value:
    if kind in ("string", "name", "double", "nil"):
        return text
    text = text.strip()
    if kind == "boolean":
        if text in ("0", "1"):
            return text == "1"
        raise BadAnswer(f"the answer has a boolean {text[:40]!r}")
    try:
        if len(text) <= _LONGEST_NUMBER:
            return int(text)
    except ValueError:
        pass
    raise BadAnswer(f"the answer has a number {text[:40]!r}")


def unwrap(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return what comes after the ``true`` of an answer.

    Raises :class:`Refused` for ``[false, message, code, ...]``, and :class:`BadAnswer`
    where the first value is no boolean.
    """
    succeeded, *rest = values
    if not isinstance(succeeded, bool):
        raise BadAnswer("the answer does not begin with true or false: is this OpenNebula?")
    if succeeded:
        return tuple(rest)
    text = rest[0] if rest else ""
    code = rest[1] if len(rest) > 1 and isinstance(rest[1], int) else 0
    named = rest[2] if len(rest) > 2 and isinstance(rest[2], int) else -1
    raise Refused(str(text) or "refused without a reason", code, named if named >= 0 else None)
