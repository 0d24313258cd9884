"""Recorded calls of real OpenNebulas, and how an answer of the sandbox is compared with one."""

from __future__ import annotations

import http.client
import re
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import defusedxml.ElementTree

from haizea.sandbox.server import Sandbox

#: 1.4 does not escape what users write; this is what the recorded template has.
_NOT_XML = ("<X>a<b & c</X>", "<X>a&lt;b &amp; c</X>")

#: Moments: what counts is whether there is one.
_MOMENTS = {
    "STIME", "ETIME", "PSTIME", "PETIME", "RSTIME", "RETIME", "ESTIME", "EETIME", "TIMESTAMP",
    "LAST_MON_TIME", "TIME",
}  # fmt: skip
#: Values of one site, or of one moment of its life.
_OF_THE_SITE = {
    "UUID", "PASSWORD", "TOKEN_PASSWORD", "ENDPOINT", "ENDPOINT_GRPC", "REQUEST_ID", "IP", "MAC",
    "ETH0_IP", "ETH0_MAC", "TOTAL_MB", "FREE_MB", "USED_MB", "ERROR", "PORT",
    # What monitoring happened to see of VMs that use nothing.
    "FREE_CPU", "FREE_MEMORY", "FREE_MEM", "USED_CPU", "USED_MEMORY", "FREECPU", "FREEMEMORY",
    "USEDCPU", "USEDMEMORY",
}  # fmt: skip
#: 1.4 writes what it polled from the VM's host; the sandbox never does.
_POLLED = {"LAST_POLL", "NET_TX", "NET_RX"}
_TIME_IN_TEXT = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}")


@dataclass(frozen=True)
class Recording:
    """One call: its number, what it was about, and both messages."""

    number: int
    name: str
    request: bytes
    response: bytes

    @property
    def method(self) -> str:
        """The method called."""
        return xmlrpc.client.loads(self.request)[1] or ""

    def argument(self, at: int) -> str:
        """A parameter, the session being the first."""
        return str(xmlrpc.client.loads(self.request)[0][at])


def recordings(directory: Path) -> list[Recording]:
    """All of one version, in their order."""
    found = []
    for path in sorted(directory.glob("*.request.xml")):
        name = path.name.removesuffix(".request.xml")
        response = path.with_name(f"{name}.response.xml").read_bytes()
        found.append(Recording(int(name[:3]), name, path.read_bytes(), response))
    return found


def send(sandbox: Sandbox, body: bytes) -> bytes:
    """The sandbox's answer to a call."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
    try:
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        connection.close()


def decoded(message: bytes) -> list[object]:
    """The values of an answer; a fault is its code and text."""
    try:
        (values,), _ = xmlrpc.client.loads(message)
    except xmlrpc.client.Fault as fault:
        return ["fault", fault.faultCode, fault.faultString]
    assert isinstance(values, list)
    return values


def differences(expected: bytes, found: bytes) -> list[str]:
    """Return how the second answer differs from the first; nothing where it does not."""
    wanted, got = decoded(expected), decoded(found)
    if [type(value) for value in wanted] != [type(value) for value in got]:
        return [f"shape: {_shape(wanted)} became {_shape(got)}"]
    told: list[str] = []
    for at, (one, other) in enumerate(zip(wanted, got, strict=True)):
        if isinstance(one, str) and isinstance(other, str):
            told += _texts(one, other)
        elif one != other:
            told.append(f"value {at}: {one!r} became {other!r}")
    return told


def _shape(values: list[object]) -> list[object]:
    return [value if not isinstance(value, str) else value[:200] for value in values]


def _texts(one: str, other: str) -> Iterator[str]:
    if one.startswith("<"):
        yield from _trees(_tree(one), _tree(other), "")
    elif re.fullmatch("[0-9a-f]{64}", one):
        if not re.fullmatch("[0-9a-f]{64}", other):
            yield f"a token became {other!r}"
    elif one != other:
        yield f"text: {one!r} became {other!r}"


def _tree(text: str) -> Element:
    root = defusedxml.ElementTree.fromstring(text.replace(*_NOT_XML))
    assert isinstance(root, Element)
    for template in list(root.iter("USER_TEMPLATE")):
        # The scheduler that ran beside the recorder wrote these.
        for message in template.findall("SCHED_MESSAGE"):
            template.remove(message)
    return root


def _trees(one: Element, other: Element, path: str) -> Iterator[str]:
    here = f"{path}/{one.tag}"
    tags, others = [child.tag for child in one], [child.tag for child in other]
    if one.tag != other.tag or tags != others:
        yield f"{here}: {one.tag} {tags} became {other.tag} {others}"
        return
    for child, its in zip(one, other, strict=True):
        yield from _trees(child, its, here)
    if len(one) == 0 and not _same(one.tag, one.text or "", other.text or "", path):
        yield f"{here}: {one.text!r} became {other.text!r}"


def _same(tag: str, one: str, other: str, path: str) -> bool:
    if tag in _OF_THE_SITE or tag in _POLLED:
        return bool(one) == bool(other)
    if tag in _MOMENTS:
        return (one == "0") == (other == "0")
    if path.endswith("/VM") and tag in ("MEMORY", "CPU"):
        return True
    return _TIME_IN_TEXT.sub("T", one) == _TIME_IN_TEXT.sub("T", other)
