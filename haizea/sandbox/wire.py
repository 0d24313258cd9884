"""XML-RPC as bytes: calls are read without trust, answers are written fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from haizea.sandbox.render import escaped

Argument = str | int | bool | float

NOT_ENOUGH, UNDEFINED, NOT_XML = -501, -506, -503
_MOST_ARGUMENTS = 40


class Escaped(str):
    """Text that is escaped already."""

    __slots__ = ()


@dataclass
class WireFault(Exception):
    """The call is answered by an XML-RPC fault."""

    code: int
    text: str

    def __str__(self) -> str:
        return self.text


def read_call(body: bytes) -> tuple[str, list[Argument]]:
    """Method and arguments.

    Raises:
        WireFault: it is no XML-RPC call.
    """
    try:
        root = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise WireFault(NOT_XML, f"Call is not valid XML: {error}") from None
    name = root.findtext("methodName")
    if root.tag != "methodCall" or not name:
        raise WireFault(NOT_XML, "Call is no methodCall with a methodName")
    values = root.findall("params/param/value")
    if len(values) > _MOST_ARGUMENTS:
        raise WireFault(NOT_XML, f"Call has more than {_MOST_ARGUMENTS} parameters")
    return name.strip(), [_read_value(value) for value in values]


def _read_value(value: Element) -> Argument:
    inner = list(value)
    if not inner:
        return value.text or ""
    kind, text = inner[0].tag, inner[0].text or ""
    try:
        if kind == "string":
            return text
        if kind in ("int", "i4", "i8"):
            return int(text)
        if kind == "double":
            return float(text)
        if kind == "boolean" and text.strip() in ("0", "1"):
            return text.strip() == "1"
    except ValueError:
        pass
    raise WireFault(NOT_ENOUGH, f"Parameter is of a type that is not understood: {kind}")


def check_types(arguments: Sequence[Argument], required: str, optional: str) -> list[Argument]:
    """The arguments that the method takes: ``i`` integer, ``b`` boolean, ``s`` string each.

    Raises:
        WireFault: one is missing, or of another type.
    """
    if len(arguments) < len(required):
        raise WireFault(NOT_ENOUGH, "Not enough parameters")
    wanted = required + optional
    taken = list(arguments[: len(wanted)])
    for argument, kind in zip(taken, wanted, strict=False):
        expected, name = {"i": (int, "integer"), "b": (bool, "boolean"), "s": (str, "string")}[kind]
        if type(argument) is not expected:
            raise WireFault(NOT_ENOUGH, f"Parameter that is supposed to be {name} is not")
    return taken


def _value(value: Argument) -> str:
    if isinstance(value, Escaped):
        return f"<value><string>{value}</string></value>"
    if isinstance(value, bool):
        return f"<value><boolean>{value:d}</boolean></value>"
    if isinstance(value, int):
        return f"<value><i4>{value}</i4></value>"
    return f"<value><string>{escaped(str(value))}</string></value>"


def answer(values: Sequence[Argument]) -> bytes:
    """An answer, an array of values."""
    inner = "\r\n".join(_value(value) for value in values)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<methodResponse>\r\n<params>\r\n'
        f"<param><value><array><data>\r\n{inner}\r\n</data></array></value></param>\r\n"
        "</params>\r\n</methodResponse>\r\n"
    ).encode()


def fault(problem: WireFault) -> bytes:
    """An answer that is a fault."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<methodResponse>\r\n<fault>\r\n'
        "<value><struct><member><name>faultCode</name>"
        f"<value><i4>{problem.code}</i4></value></member><member><name>faultString</name>"
        f"<value><string>{escaped(problem.text)}</string></value></member></struct></value>\r\n"
        "</fault>\r\n</methodResponse>\r\n"
    ).encode()
