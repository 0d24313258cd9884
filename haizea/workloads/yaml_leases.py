"""Reading leases in YAML, for people: one lease, a list of them, or a whole workload.

The fields are those of LWF. Every scalar is read as text and then as what its field
needs, so that an unquoted ``01:30:00`` or ``yes`` means the same as in LWF. Anchors and
aliases are refused, nesting and size are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

import yaml

from haizea.core.model.lease import DiskImage, Kind, Nodes
from haizea.core.model.maintenance import Leaving
from haizea.host_names import parse_fixed
from haizea.times import durations, shown
from haizea.times.moments import parse_kind
from haizea.workloads import values
from haizea.workloads.changes import WorkloadChange
from haizea.workloads.errors import WorkloadError
from haizea.workloads.model import Workload, WorkloadLease, WorkloadSite, by_arrival
from haizea.workloads.source import Source
from haizea.workloads.terms import windowed
from haizea.workloads.windows import WorkloadWindow
from haizea.workloads.yaml_nodes import compose

T = TypeVar("T")

MAX_FILE_BYTES = 2 << 20

WORKLOAD_FIELDS = ("name", "description", "site", "maintenance", "leases")
WINDOW_FIELDS = ("hosts", "start", "end", "duration", "reason", "leases", "arrival")
SITE_FIELDS = ("resource-types", "nodes")
LEASE_FIELDS = (
    "id",
    "label",
    "arrival",
    "start",
    "after",
    "deadline",
    "duration",
    "real-duration",
    "preemptible",
    "hosts",
    "nodes",
    "image",
    "changes",
)
CHANGE_FIELDS = (
    "at",
    "start",
    "after",
    "deadline",
    "duration",
    "preemptible",
    "hosts",
    "nodes",
)
IMAGE_FIELDS = ("id", "size")


def read_yaml(source: Source, start: Callable[[str], int] = values.start) -> Workload:
    """The workload in a YAML file; :class:`WorkloadError` says what is wrong with it.

    ``start`` reads the exact start of an AR, as seconds after the workload's start.
    """
    content = source.whole(MAX_FILE_BYTES)
    reader = _Reader(source.name, start)
    root = compose(content, source.name)
    if root is None:
        raise WorkloadError(source.name, message="the file is empty; it has no leases")
    return reader.workload(root, source.path.name)


class _Reader:
    """Walks composed nodes: mappings with known fields, lists and text, each with its line."""

    def __init__(self, file: str, start: Callable[[str], int]) -> None:
        self._file = file
        self._read_start = start
        self._lines_of_ids: dict[int, int] = {}

    def _fail(self, node: yaml.Node, field: str | None, message: str) -> NoReturn:
        raise WorkloadError(self._file, node.start_mark.line + 1, field, message)

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, what, "expected fields, each as NAME: VALUE")
        result: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key, what)
            if name in result:
                self._fail(key, what, f"there are two fields {shown(name)}")
            result[name] = value
        return result

    def _fields(self, node: yaml.Node, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        result = self._mapping(node, what)
        for name in result:
            if name not in known:
                self._fail(node, what, values.unknown("field", name, known))
        return result

    def _text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, what, "a single value is expected here")
        return str(node.value)

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            return [node]
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, what, "a list is expected here")
        return list(node.value)

    def _parse(self, node: yaml.Node, what: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(self._text(node, what))
        except ValueError as wrong:
            self._fail(node, what, str(wrong))

    # --- the parts of a workload --------------------------------------------------

    def workload(self, root: yaml.Node, name: str) -> Workload:
        fields: dict[str, yaml.Node] = {}
        if isinstance(root, yaml.MappingNode) and any(k.value == "leases" for k, _ in root.value):
            fields = self._fields(root, "workload", WORKLOAD_FIELDS)
        leases = [self._lease(n) for n in self._items(fields.get("leases", root), "leases")]
        site = fields.get("site")
        windows = fields.get("maintenance")
        title, description = fields.get("name"), fields.get("description")
        return Workload(
            name=name if title is None else self._text(title, "name"),
            leases=by_arrival(leases),
            description=""
            if description is None
            else " ".join(self._text(description, "description").split()),
            site=None if site is None else self._site(site),
            source=self._file,
            maintenance=()
            if windows is None
            else tuple(self._window(node) for node in self._items(windows, "maintenance")),
        )

    def _site(self, node: yaml.Node) -> WorkloadSite:
        fields = self._fields(node, "site", SITE_FIELDS)
        for name in SITE_FIELDS:
            if name not in fields:
                self._fail(node, "site", f"the field {name} is missing")
        types = fields["resource-types"]
        if not isinstance(types, yaml.SequenceNode) or not types.value:
            self._fail(types, "resource-types", "a list is expected, as in [CPU, Memory]")
        names = tuple(self._text(n, "resource-types") for n in types.value)
        if len(set(names)) != len(names):
            self._fail(types, "resource-types", "a resource type is named twice")
        hosts = self._nodes(fields["nodes"], values.MAX_HOSTS)
        for group in hosts:
            for name in group.amounts:
                if name not in names:
                    hint = values.unknown("resource type", name, names)
                    self._fail(fields["nodes"], "nodes of the site", hint)
        return WorkloadSite(names, hosts)

    def _window(self, node: yaml.Node) -> WorkloadWindow:
        fields = self._fields(node, "maintenance", WINDOW_FIELDS)
        for name in ("hosts", "start"):
            if name not in fields:
                self._fail(node, "maintenance", f"the field {name} is missing")
        if "end" in fields and "duration" in fields:
            self._fail(node, "maintenance", "it has an end and a duration; one is all it takes")
        named = fields["hosts"]
        hosts = named.value if isinstance(named, yaml.SequenceNode) else [named]
        start = self._parse(fields["start"], "start", values.moment)
        end = self._parse(fields["end"], "end", values.moment) if "end" in fields else None
        if "duration" in fields:
            end = start + self._parse(fields["duration"], "duration", values.length)
        if end is not None and end <= start:
            self._fail(node, "maintenance", "it ends before it starts")
        arrival = fields.get("arrival")
        return WorkloadWindow(
            arrival_seconds=0
            if arrival is None
            else self._parse(arrival, "arrival", values.moment),
            hosts=tuple(self._text(host, "hosts").strip() for host in hosts),
            start_seconds=start,
            end_seconds=end,
            reason=self._text(fields["reason"], "reason") if "reason" in fields else "",
            leases=self._parse(fields["leases"], "leases", _leaving)
            if "leases" in fields
            else Leaving.REFUSE,
        )

    def _nodes(self, node: yaml.Node, most: int) -> tuple[Nodes, ...]:
        sets = []
        for item in self._items(node, "nodes"):
            fields = self._mapping(item, "nodes")
            count = 1
            amounts: dict[str, int] = {}
            for name, value in fields.items():
                if name == "count":
                    count = self._parse(value, "count", lambda text: values.whole(text, 1, most))
                else:
                    amounts[name] = self._parse(value, name, values.whole)
            if not amounts:
                self._fail(item, "nodes", "a node asks for something, as in {count: 1, CPU: 100}")
            sets.append(Nodes(count, amounts))
        if not sets:
            self._fail(node, "nodes", "there are none")
        if sum(s.count for s in sets) > most:
            self._fail(node, "nodes", f"these are too many: {most} are the most")
        return tuple(sets)

    def _lease(self, node: yaml.Node) -> WorkloadLease:
        fields = self._fields(node, "lease", LEASE_FIELDS)
        for name in ("duration", "nodes"):
            if name not in fields:
                self._fail(node, "lease", f"the field {name} is missing")
        kind, start = self._start(fields.get("start"))
        duration = self._parse(fields["duration"], "duration", values.duration)
        after, deadline = (
            self._parse(fields[name], name, self._read_start) if name in fields else None
            for name in ("after", "deadline")
        )
        try:
            kind = windowed(kind, after, deadline, duration)
        except ValueError as wrong:
            self._fail(fields.get("deadline", node), "lease", str(wrong))
        real = None
        if "real-duration" in fields:
            real = self._parse(fields["real-duration"], "real-duration", values.length)
            real = values.capped(real, duration)
        preemptible = kind is Kind.BEST_EFFORT
        if "preemptible" in fields:
            preemptible = self._parse(fields["preemptible"], "preemptible", values.boolean)
        fixed_hosts = "hosts" in fields and self._parse(fields["hosts"], "hosts", parse_fixed)
        number = self._id(fields["id"]) if "id" in fields else None
        label = "" if number is None else str(number)
        if "label" in fields:
            label = self._parse(fields["label"], "label", values.label)
        arrival = 0
        if "arrival" in fields:
            arrival = self._parse(fields["arrival"], "arrival", values.moment)
        return WorkloadLease(
            arrival_seconds=arrival,
            kind=kind,
            start=start,
            after=after,
            deadline=deadline,
            nodes=self._nodes(fields["nodes"], values.MAX_NODES),
            duration=duration,
            real_duration_seconds=real,
            preemptible=preemptible,
            fixed_hosts=fixed_hosts,
            image=self._image(fields["image"]) if "image" in fields else None,
            label=label,
            id=number,
            changes=self._changes(fields["changes"], kind, arrival) if "changes" in fields else (),
        )

    def _changes(self, node: yaml.Node, kind: Kind, arrival: int) -> tuple[WorkloadChange, ...]:
        found = [self._change(item, kind, arrival) for item in self._items(node, "changes")]
        return tuple(sorted(found, key=lambda change: change.at_seconds))

    def _change(self, node: yaml.Node, kind: Kind, arrival: int) -> WorkloadChange:
        fields = self._fields(node, "change", CHANGE_FIELDS)
        if "at" not in fields:
            self._fail(node, "change", "the field at is missing")

        def given(name: str, parse: Callable[[str], T]) -> T | None:
            return self._parse(fields[name], name, parse) if name in fields else None

        duration = given("duration", values.duration)
        change = WorkloadChange(
            at_seconds=self._parse(fields["at"], "at", values.moment),
            start_seconds=given("start", self._read_start),
            after_seconds=given("after", self._read_start),
            deadline_seconds=given("deadline", self._read_start),
            duration_seconds=duration,
            is_endless="duration" in fields and duration is None,
            preemptible=given("preemptible", values.boolean),
            fixed_hosts=given("hosts", parse_fixed),
            nodes=self._nodes(fields["nodes"], values.MAX_NODES) if "nodes" in fields else None,
        )
        try:
            change.check(kind, arrival)
        except ValueError as wrong:
            self._fail(node, "change", str(wrong))
        return change

    def _start(self, node: yaml.Node | None) -> tuple[Kind, int | None]:
        if node is None:
            return Kind.BEST_EFFORT, None
        text = self._text(node, "start")
        kind = parse_kind(text)
        if kind is not Kind.AR:
            return kind, None
        try:
            return Kind.AR, self._read_start(text)
        except ValueError as wrong:
            told = str(wrong)
            # What is not even a duration may have been meant as a word.
            told += ", or now, or best-effort" if told.endswith(durations.FORMS) else ""
            self._fail(node, "start", told)

    def _id(self, node: yaml.Node) -> int:
        number = self._parse(node, "id", lambda text: values.whole(text, 1))
        if number in self._lines_of_ids:
            self._fail(node, "id", f"{number} is taken by line {self._lines_of_ids[number]}")
        self._lines_of_ids[number] = node.start_mark.line + 1
        return number

    def _image(self, node: yaml.Node) -> DiskImage | None:
        if isinstance(node, yaml.ScalarNode) and node.value == "none":
            return None
        fields = self._fields(node, "image", IMAGE_FIELDS)
        for name in IMAGE_FIELDS:
            if name not in fields:
                self._fail(node, "image", f"the field {name} is missing")
        name = self._text(fields["id"], "id").strip()
        if not name:
            self._fail(fields["id"], "image", "the id is empty")
        return DiskImage(name, self._parse(fields["size"], "size", values.whole))


def _leaving(text: str) -> Leaving:
    try:
        return Leaving(text.strip().lower())
    except ValueError:
        raise ValueError(f"{shown(text)} is neither refuse nor stay nor end") from None
