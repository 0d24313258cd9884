"""Reading LWF, the XML lease workload format.

The file is parsed as a stream: one ``<lease-request>`` is in memory at a time. Times are
``[DD:]HH:MM:SS[.ff]`` or another length of time; moments (arrival, start) are rounded down to
whole seconds and durations up, so no lease gets less than it asks for. A lease that does not
say whether it is preemptible is so exactly if it is best-effort.

A file with ``<lease-request>`` or ``<lease>`` as its outermost element is taken as a
workload of that one lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NoReturn, TypeVar
from xml.sax import ContentHandler, ErrorHandler, SAXException, SAXParseException
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from haizea.core.model.lease import DiskImage, Kind, Nodes
from haizea.host_names import parse_fixed
from haizea.times import shown
from haizea.workloads import values
from haizea.workloads.changes import WorkloadChange
from haizea.workloads.errors import WorkloadError
from haizea.workloads.lwf_elements import ELEMENTS, REPEATED, ROOTS, Element
from haizea.workloads.model import Workload, WorkloadLease, WorkloadSite, by_arrival
from haizea.workloads.source import Source
from haizea.workloads.terms import windowed

T = TypeVar("T")

#: Bounds on what is in memory at once: the description (characters), the elements of one
#: lease request (or of the site), and bytes within one tag.
MAX_DESCRIPTION = 1 << 20
MAX_ELEMENTS = 500_000
MAX_TAG_BYTES = 8 << 20


def read_lwf(source: Source, start: Callable[[str], int] = values.start) -> Workload:
    """The workload in an LWF file; :class:`WorkloadError` says what is wrong with it.

    ``start`` reads the exact start of an AR, as seconds after the workload's start.
    """
    parser = make_parser()
    parser.forbid_dtd = True
    handler = _Handler(source.name, parser.getLineNumber, start)
    parser.setContentHandler(handler)
    parser.setErrorHandler(ErrorHandler())
    try:
        silent_bytes = 0
        for chunk in source.chunks():
            before = handler.events
            parser.feed(chunk)
            silent_bytes = silent_bytes + len(chunk) if handler.events == before else 0
            if silent_bytes > MAX_TAG_BYTES:
                raise WorkloadError(
                    source.name, parser.getLineNumber(), message="a tag or comment has no end"
                )
        parser.close()
    except DefusedXmlException:
        raise WorkloadError(
            source.name,
            parser.getLineNumber(),
            message="document type declarations and entities are refused; remove <!DOCTYPE ...>",
        ) from None
    except SAXParseException as wrong:
        raise WorkloadError(
            source.name, wrong.getLineNumber(), message=f"this is not XML: {wrong.getMessage()}"
        ) from None
    except (SAXException, ValueError, LookupError) as wrong:
        # Encodings that the parser does not know end up here.
        raise WorkloadError(source.name, message=f"cannot be read as XML: {wrong}") from None
    return handler.workload()


class _Handler(ContentHandler):
    """Checks names and nesting as elements come; makes a lease of each finished request."""

    def __init__(
        self, file: str, line_number: Callable[[], int], start: Callable[[str], int]
    ) -> None:
        super().__init__()
        self._open: list[Element] = []
        self._root: Element | None = None
        self._leases = _Leases(file, start)
        self._file = file
        self._locate = line_number
        self._elements = 0
        self._characters = 0
        self.events = 0

    def _fail(self, element: str | None, message: str) -> NoReturn:
        raise WorkloadError(self._file, self._locate(), element, message)

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        self.events += 1
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            self._fail(
                f"<{self._open[-1].name}>", f"more than {MAX_ELEMENTS} elements in one piece"
            )
        attributes: dict[str, str] = dict(attrs.items())
        if not self._open:
            if name not in ROOTS:
                hint = values.unknown("outermost element", name, ROOTS)
                self._fail(None, f"this is not LWF: {hint}")
        else:
            parent = self._open[-1]
            if name not in ELEMENTS[parent.name][1]:
                hint = values.unknown("element", name, ELEMENTS[parent.name][1])
                self._fail(f"<{parent.name}>", hint)
            if name not in REPEATED and parent.child(name) is not None:
                self._fail(f"<{parent.name}>", f"there are two <{name}>; one is all it takes")
        for attribute in attributes:
            if attribute not in ELEMENTS[name][0]:
                self._fail(f"<{name}>", values.unknown("attribute", attribute, ELEMENTS[name][0]))
        element = Element(name, attributes, self._locate())
        if self._open and name != "lease-request":
            self._open[-1].children.append(element)
        self._open.append(element)

    def characters(self, content: str) -> None:
        self.events += 1
        element = self._open[-1]
        if element.name == "description":
            element.text.append(content)
            self._characters += len(content)
            if self._characters > MAX_DESCRIPTION:
                self._fail("<description>", "the text is too long")
        elif not content.isspace():
            self._fail(f"<{element.name}>", f"no text belongs here: {shown(content.strip())}")

    def endElement(self, name: str) -> None:
        element = self._open.pop()
        if name == "lease-request":
            self._elements = 0
            self._leases.add_request(element)
        elif name == "lease" and not self._open:
            self._leases.add(element, 0, None)
        if not self._open:
            self._root = element

    def workload(self) -> Workload:
        root = self._root
        assert root is not None, "the parser reports a document without elements"
        site = root.child("site")
        if root.name == "lease-workload" and root.child("lease-requests") is None:
            raise WorkloadError(
                self._file, root.line, "<lease-workload>", "there is no <lease-requests>"
            )
        description = root.child("description")
        text = "" if description is None else "".join(description.text)
        return Workload(
            name=root.attributes.get("name", ""),
            leases=by_arrival(self._leases.made),
            description=" ".join(text.split()),
            site=None if site is None else self._leases.site(site),
            source=self._file,
        )


class _Leases:
    """Turns finished elements into leases; equal node sets and images are shared."""

    def __init__(self, file: str, start: Callable[[str], int]) -> None:
        self._file = file
        self._read_start = start
        self._lines_of_ids: dict[int, int] = {}
        self._shared_nodes: dict[object, tuple[Nodes, ...]] = {}
        self._shared_images: dict[DiskImage, DiskImage] = {}
        self.made: list[WorkloadLease] = []

    # --- pieces -------------------------------------------------------------------

    def _fail(self, element: Element, message: str) -> NoReturn:
        raise WorkloadError(self._file, element.line, self._place(element), message)

    def _place(self, element: Element) -> str:
        position = len(self.made) + 1
        return f"<{element.name}> of lease request {position}"

    def _value(self, element: Element, attribute: str, parse: Callable[[str], T]) -> T:
        text = element.attributes.get(attribute)
        if text is None:
            self._fail(element, f"the attribute {attribute} is missing")
        try:
            return parse(text)
        except ValueError as wrong:
            self._fail(element, f"{attribute}: {wrong}")

    def _child(self, element: Element, name: str) -> Element:
        child = element.child(name)
        if child is None:
            self._fail(element, f"there is no <{name}>")
        return child

    def _nodes(self, element: Element, most: int) -> tuple[Nodes, ...]:
        if not element.children:
            self._fail(element, "there is no <node-set>")
        sets = []
        total = 0
        for child in element.children:
            count = self._value(child, "numnodes", lambda text: values.whole(text, 1, most))
            amounts: dict[str, int] = {}
            for res in child.children:
                name = self._value(res, "type", _name)
                amounts[name] = amounts.get(name, 0) + self._value(res, "amount", values.whole)
            if not amounts:
                self._fail(child, "there is no <res>; a node asks for something")
            total += count
            sets.append(Nodes(count, amounts))
        if total > most:
            self._fail(element, f"{total} nodes are too many: {most} are the most")
        key = tuple((n.count, tuple(n.amounts.items())) for n in sets)
        return self._shared_nodes.setdefault(key, tuple(sets))

    def _image(self, lease: Element) -> DiskImage | None:
        software = lease.child("software")
        if software is None:
            return None
        if len(software.children) != 1:
            self._fail(software, "holds either <disk-image> or <none/>")
        child = software.children[0]
        if child.name == "none":
            return None
        image = DiskImage(self._value(child, "id", _name), self._value(child, "size", values.whole))
        return self._shared_images.setdefault(image, image)

    def _start(self, lease: Element) -> tuple[Kind, int | None]:
        start = self._child(lease, "start")
        if not start.children:
            return Kind.BEST_EFFORT, None
        if len(start.children) > 1:
            self._fail(start, "holds nothing, <now/> or <exact>, not two of them")
        child = start.children[0]
        if child.name == "now":
            return Kind.IMMEDIATE, None
        return Kind.AR, self._value(child, "time", self._read_start)

    def _id(self, lease: Element) -> int | None:
        if "id" not in lease.attributes:
            return None
        number = self._value(lease, "id", lambda text: values.whole(text, 1))
        if number in self._lines_of_ids:
            self._fail(lease, f"id {number} is taken by line {self._lines_of_ids[number]}")
        self._lines_of_ids[number] = lease.line
        return number

    # --- wholes -------------------------------------------------------------------

    def add_request(self, element: Element) -> None:
        arrival = self._value(element, "arrival", values.moment)
        real = element.child("realduration")
        self.add(
            self._child(element, "lease"),
            arrival,
            None if real is None else self._value(real, "time", values.length),
        )
        made = self.made[-1]
        changes = [self._change(c, made) for c in element.children if c.name == "change"]
        if changes:
            in_time = tuple(sorted(changes, key=lambda change: change.at_seconds))
            self.made[-1] = replace(made, changes=in_time)

    def _change(self, element: Element, lease: WorkloadLease) -> WorkloadChange:
        length, until = element.child("duration"), element.child("deadline")
        duration = None if length is None else self._value(length, "time", values.duration)
        start, kind = None, lease.kind
        if element.child("start") is not None:
            said, start = self._start(element)
            if said is not Kind.AR:
                self._fail(element, "start: a change has an exact one, or none")
        nodes, words = element.child("nodes"), element.attributes
        change = WorkloadChange(
            at_seconds=self._value(element, "time", values.moment),
            # The start of a lease with a deadline is when it may begin.
            start_seconds=None if kind is Kind.DEADLINE else start,
            after_seconds=start if kind is Kind.DEADLINE else None,
            deadline_seconds=None if until is None else self._value(until, "time", values.moment),
            duration_seconds=duration,
            is_endless=length is not None and duration is None,
            preemptible=self._value(element, "preemptible", values.boolean)
            if "preemptible" in words
            else None,
            fixed_hosts=self._value(element, "hosts", parse_fixed) if "hosts" in words else None,
            nodes=None if nodes is None else self._nodes(nodes, values.MAX_NODES),
        )
        try:
            change.check(kind, lease.arrival_seconds)
        except ValueError as wrong:
            self._fail(element, str(wrong))
        return change

    def _extras(self, lease: Element) -> tuple[tuple[str, str], ...]:
        """Names and values, as ``<extra name="…" value="…"/>`` or as ``<attr>`` within."""
        found: dict[str, str] = {}
        for extra in lease.children:
            if extra.name != "extra":
                continue
            alone = [extra] if extra.attributes or not extra.children else []
            for element in (*alone, *extra.children):
                name = " ".join(self._value(element, "name", _name).split())
                if name in found:
                    self._fail(element, f"the name {shown(name)} is there twice")
                found[name] = " ".join(element.attributes.get("value", "").split())
        return tuple(found.items())

    def add(self, lease: Element, arrival: int, real: int | None) -> None:
        if len(self.made) >= values.MAX_LEASES:
            self._fail(lease, f"more than {values.MAX_LEASES} leases are too many")
        kind, start = self._start(lease)
        duration = self._value(self._child(lease, "duration"), "time", values.duration)
        deadline, after = lease.child("deadline"), None
        until = None if deadline is None else self._value(deadline, "time", values.moment)
        if deadline is not None and kind is Kind.AR:
            # The start of a lease with a deadline is when it may begin.
            kind, after, start = Kind.BEST_EFFORT, start, None
        try:
            kind = windowed(kind, after, until, duration)
        except ValueError as wrong:
            self._fail(lease, str(wrong))
        number = self._id(lease)
        preemptible = kind is Kind.BEST_EFFORT
        if "preemptible" in lease.attributes:
            preemptible = self._value(lease, "preemptible", values.boolean)
        fixed = "hosts" in lease.attributes and self._value(lease, "hosts", parse_fixed)
        extras = self._extras(lease)
        made = WorkloadLease(
            arrival_seconds=arrival,
            kind=kind,
            start=start,
            nodes=self._nodes(self._child(lease, "nodes"), values.MAX_NODES),
            duration=duration,
            real_duration_seconds=None if real is None else values.capped(real, duration),
            preemptible=preemptible,
            fixed_hosts=fixed,
            image=self._image(lease),
            label=_label(number, extras),
            id=number,
            after=after,
            deadline=until,
            extras=extras,
        )
        self.made.append(made)

    def site(self, element: Element) -> WorkloadSite:
        types = self._child(element, "resource-types")
        names = tuple(self._value(types, "names", _name).split())
        if len(set(names)) != len(names):
            raise WorkloadError(self._file, types.line, "<site>", "a resource type is named twice")
        nodes = self._child(element, "nodes")
        hosts = self._nodes(nodes, values.MAX_HOSTS)
        for group, node_set in zip(hosts, nodes.children, strict=True):
            for name in group.amounts:
                if name not in names:
                    hint = values.unknown("resource type", name, names)
                    raise WorkloadError(self._file, node_set.line, "<node-set> of the site", hint)
        return WorkloadSite(names, hosts)


def _label(number: int | None, extras: Iterable[tuple[str, str]]) -> str:
    """Return what people see of a lease: ``3 pricemarkup=1.5``."""
    words = [] if number is None else [str(number)]
    words += [f"{name}={value}" if value else name for name, value in extras]
    return " ".join(words)[: values.MAX_LABEL]


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("a name is missing")
    return text.strip()
