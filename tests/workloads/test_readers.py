"""Every format says the same things the same way; real files are read as they are."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from shared_data import shared

from haizea.core.model.lease import DiskImage, Kind
from haizea.workloads import (
    Nodes,
    ReadOptions,
    Workload,
    WorkloadError,
    WorkloadSite,
    read,
    read_images,
)
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.source import Source

SITE = WorkloadSite(("CPU", "Memory"), (Nodes(4, {"CPU": 100, "Memory": 1024}),))


def text_file(tmp_path: Path, text: str, name: str = "w.lwf") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def lwf(tmp_path: Path, lease: str, arrival: str = "00:00:00", before: str = "") -> Workload:
    return read(
        text_file(
            tmp_path,
            f'<lease-workload name="t"><lease-requests><lease-request arrival="{arrival}">'
            f"{before}{lease}</lease-request></lease-requests></lease-workload>",
        )
    )


def lease_element(
    start: str = "<start/>",
    duration: str = "01:00:00",
    res: str = '<res type="CPU" amount="100"/>',
    attributes: str = "",
    software: str = "",
) -> str:
    return (
        f'<lease {attributes}><nodes><node-set numnodes="2">{res}</node-set></nodes>'
        f'{start}<duration time="{duration}"/>{software}</lease>'
    )


# --- LWF ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "kind", "seconds", "preemptible"),
    [
        ("<start/>", Kind.BEST_EFFORT, None, True),
        ("<start></start>", Kind.BEST_EFFORT, None, True),
        ("<start> <now/> </start>", Kind.IMMEDIATE, None, False),
        ('<start><exact time="01:00:30"/></start>', Kind.AR, 3630, False),
        ('<start><exact time="01:02:03:04.99"/></start>', Kind.AR, 93784, False),
        ('<start><exact time="-00:00:01.5"/></start>', Kind.AR, -2, False),
    ],
)
def test_kinds_of_start(
    tmp_path: Path, start: str, kind: Kind, seconds: int | None, preemptible: bool
) -> None:
    lease = lwf(tmp_path, lease_element(start)).leases[0]
    assert (lease.kind, lease.start, lease.preemptible) == (kind, seconds, preemptible)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("true", True), ("yes", True), ("True", True), ("false", False), ("no", False)],
)
def test_booleans(tmp_path: Path, word: str, meaning: bool) -> None:
    lease = lwf(tmp_path, lease_element(attributes=f'preemptible="{word}"')).leases[0]
    assert lease.preemptible is meaning


def test_fractions_shorten_no_lease(tmp_path: Path) -> None:
    lease = lwf(
        tmp_path,
        lease_element(duration="00:00:09.01"),
        "00:00:01.99",
        '<realduration time="00:00:07.5"/>',
    ).leases[0]
    assert lease.arrival_seconds == 1
    assert lease.duration == 10
    assert lease.real_duration_seconds == 8


def test_a_real_duration_is_within_one_second_and_the_duration(tmp_path: Path) -> None:
    def real(text: str) -> int | None:
        element = f'<realduration time="{text}"/>'
        return lwf(tmp_path, lease_element(), "00:00:00", element).leases[0].real_duration_seconds

    assert real("00:00:00") == 1
    assert real("02:00:00") == 3600


def test_unlimited_and_software(tmp_path: Path) -> None:
    image = '<software><disk-image id="a.img" size="7"/></software>'
    assert lwf(tmp_path, lease_element(duration="unlimited")).leases[0].duration is None
    assert lwf(tmp_path, lease_element(software=image)).leases[0].image == DiskImage("a.img", 7)
    none = lease_element(software="<software><none/></software>")
    assert lwf(tmp_path, none).leases[0].image is None


def test_amounts_of_one_type_add_up(tmp_path: Path) -> None:
    res = '<res type="CPU" amount="100"/><res type="CPU" amount="50"/><res type="GPU" amount="1"/>'
    lease = lwf(tmp_path, lease_element(res=res)).leases[0]
    assert lease.nodes == (Nodes(2, {"CPU": 150, "GPU": 1}),)


def test_a_lone_lease_is_a_workload(tmp_path: Path) -> None:
    workload = read(text_file(tmp_path, lease_element(attributes='id="7"'), "one.xml"))
    assert [(x.id, x.label, x.arrival_seconds) for x in workload.leases] == [(7, "7", 0)]


def test_leases_are_sorted_by_arrival_and_ties_stay(tmp_path: Path) -> None:
    requests = "".join(
        f'<lease-request arrival="00:0{minute}:00">{lease_element(attributes=f"id={number!r}")}'
        "</lease-request>".replace("'", '"')
        for number, minute in [("1", 2), ("2", 1), ("3", 1), ("4", 0)]
    ).replace("'", '"')
    text = f'<lease-workload name="t"><lease-requests>{requests}</lease-requests></lease-workload>'
    assert [x.id for x in read(text_file(tmp_path, text)).leases] == [4, 2, 3, 1]


DEADLINE = '<start><exact time="00:30:00.00"/></start>'


@pytest.mark.parametrize(
    ("more", "label", "deadline", "extras"),
    [
        ('<deadline time="01:45:00.00"/>', "7", 6300, ()),
        (
            '<extra><attr name="price" value="1.5"/></extra>',
            "7 price=1.5",
            None,
            (("price", "1.5"),),
        ),
        ('<extra name="price" value="1.5"/>', "7 price=1.5", None, (("price", "1.5"),)),
        ('<extra name="paid"/>', "7 paid", None, (("paid", ""),)),
        (
            '<deadline time="2h"/><software><none/></software><extra><attr name="a" value="1"/>'
            '<attr name="b" value="x&#10;y"/></extra><extra name="c"/>',
            "7 a=1 b=x y c",
            7200,
            (("a", "1"), ("b", "x y"), ("c", "")),
        ),
    ],
)
def test_deadlines_and_extras(
    tmp_path: Path,
    more: str,
    label: str,
    deadline: int | None,
    extras: tuple[tuple[str, str], ...],
) -> None:
    text = lease_element(DEADLINE, attributes='id="7" preemptible="true"', software=more)
    workload = lwf(tmp_path, text)
    (lease,) = workload.leases
    terms = (lease.kind, lease.start, lease.after)
    window = (Kind.DEADLINE, None, 1800)
    assert terms == ((Kind.AR, 1800, None) if deadline is None else window)
    assert lease.preemptible
    assert (lease.label, lease.deadline, lease.extras) == (label, deadline, extras)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('<deadline time="soon"/>', "<deadline> of lease request 1: time: 'soon' is not a dur"),
        ("<deadline/>", "the attribute time is missing"),
        ('<deadline time="1h"/><deadline time="2h"/>', "there are two <deadline>"),
        ("<extra/>", "<extra> of lease request 1: the attribute name is missing"),
        ('<extra><attr value="1"/></extra>', "<attr> of lease request 1: the attribute name"),
        ('<extra name="a"/><extra><attr name="a"/></extra>', "the name 'a' is there twice"),
        ("<extra>1.5</extra>", "no text belongs here: '1.5'"),
    ],
)
def test_wrong_deadlines_and_extras(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=re.escape(told)):
        lwf(tmp_path, lease_element(DEADLINE, software=more))


def test_a_deadline_without_a_start(tmp_path: Path) -> None:
    (lease,) = lwf(tmp_path, lease_element(software='<deadline time="2h"/>')).leases
    assert (lease.kind, lease.after, lease.deadline) == (Kind.DEADLINE, None, 7200)


def test_a_deadline_does_not_go_with_a_start_now(tmp_path: Path) -> None:
    now = lease_element("<start><now/></start>", software='<deadline time="2h"/>')
    with pytest.raises(WorkloadError, match="it has a start, too"):
        lwf(tmp_path, now)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{duration: 1h, after: 1h, nodes: [{CPU: 1}]}", "after: this is for leases with a dead"),
        ("{duration: 1h, deadline: 9h, start: 1h, nodes: [{CPU: 1}]}", "it has a start, too"),
        ("{duration: unlimited, deadline: 9h, nodes: [{CPU: 1}]}", "a lease without end is never"),
        ("{duration: 1h, deadline: soon, nodes: [{CPU: 1}]}", "deadline: 'soon' is not"),
    ],
)
def test_terms_that_do_not_go_together(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=re.escape(told)):
        read(text_file(tmp_path, text, "leases.yaml"))


def test_a_window_in_yaml_and_in_a_table(tmp_path: Path) -> None:
    yaml = "{duration: 1h, after: 30m, deadline: 9h, nodes: [{CPU: 100, Memory: 1024}]}"
    table = "duration,after,deadline\n1h,30m,9h\n"
    rows = read_csv(Source(text_file(tmp_path, table, "leases.csv")))
    for workload in (read(text_file(tmp_path, yaml, "leases.yaml")), rows):
        (lease,) = workload.leases
        assert (lease.kind, lease.preemptible) == (Kind.DEADLINE, False)
        assert (lease.after, lease.deadline) == (1800, 32400)


def test_a_label_of_extras_is_bounded(tmp_path: Path) -> None:
    workload = lwf(tmp_path, lease_element(software=f'<extra name="a" value="{"x" * 900}"/>'))
    assert len(workload.leases[0].label) == 200


# --- SWF ------------------------------------------------------------------------------

SWF = """; Version: 2.2
; MaxNodes: 9 (with remarks)
; MaxProcs: 17
; UnixStartTime: 1000
1 5 -1 100 4 -1 -1 6 300 -1 1 3 -1 -1 -1 -1 -1 -1
2 6 -1 400 4 -1 -1 -1 300 -1 1 -1 -1 -1 -1 -1 -1 -1
3 7 -1 0 1 -1 -1 1 300 -1 1 3 -1 -1 -1 -1 -1 -1
4 8 -1 50.7 1 0.5 -1 1 -1 -1 1 3 -1 -1 -1 -1 -1 -1

5 9 -1 -1 -1 -1 -1 1 300 -1 5 3 -1 -1 -1 -1 -1 -1
6 9 -1 10 0 -1 -1 -1 300 -1 1 3 -1 -1 -1 -1 -1 -1
7 9 -1 0 1 -1 -1 1 -1 -1 1 3 -1 -1 -1 -1 -1 -1
8 -1 -1 9 1 -1 -1 1 9 -1 1 3 -1 -1 -1 -1 -1 -1
9 2 -1 9 1 -1 -1 1 9 -1 1 3 -1 -1 -1 -1 -1 -1
"""


@pytest.mark.parametrize("packed", [False, True])
def test_swf(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("j.swf.gz" if packed else "j.swf")
    path.write_bytes(gzip.compress(SWF.encode()) if packed else SWF.encode())
    workload = read(path, ReadOptions(4, {"CPU": 200, "Memory": 512}))
    rows = [
        (x.label, x.arrival_seconds, x.node_count, x.duration, x.real_duration_seconds)
        for x in workload.leases
    ]
    assert rows == [
        ("9", 2, 1, 9, 9),
        ("1", 5, 2, 300, 100),
        ("2", 6, 1, 300, 300),
        ("3", 7, 1, 300, 1),
        ("4", 8, 1, 50, 50),
        ("7", 9, 1, 1, 1),
    ]
    assert all(x.kind is Kind.BEST_EFFORT and x.preemptible for x in workload.leases)
    assert [x.owner for x in workload.leases] == ["3", "3", "", "3", "3", "3"]
    assert workload.site == WorkloadSite(
        ("CPU", "Memory"), (Nodes(5, {"CPU": 200, "Memory": 512}),)
    )
    assert workload.epoch == 1000
    assert sum(n.count for n in workload.notes) == 3
    assert workload.left_out().endswith(
        "3 left out (1: negative run time; 1: neither requested nor used processors known;"
        " 1: submit time not known)"
    )


def test_equal_leases_share_their_nodes(tmp_path: Path) -> None:
    leases = read(text_file(tmp_path, SWF, "j.swf")).leases
    assert leases[0].nodes is leases[3].nodes


# --- ten columns, YAML ----------------------------------------------------------------


def test_ten_columns_whatever_the_file_is_called(tmp_path: Path) -> None:
    text = (
        "# comment\n0 -1 100 200 3 1 1024 0 'with blank.img' 600\r\n"
        "60 3600 100 90 2 0.5 512 20 none.img 1\n"
    )
    for name in ("a.lwf", "a.swf", "a.txt", "a"):
        first, second = read(text_file(tmp_path, text, name)).leases
        assert (first.kind, first.preemptible) == (Kind.BEST_EFFORT, True)
        assert first.image == DiskImage("with blank.img", 600)
        assert (first.duration, first.real_duration_seconds) == (100, 100)
        assert (second.kind, second.start, second.preemptible) == (Kind.AR, 3600, False)
        assert second.nodes == (Nodes(2, {"CPU": 50, "Memory": 512, "Disk": 20}),)


def test_a_lease_in_yaml_has_a_label(tmp_path: Path) -> None:
    rest = "duration: 1h, nodes: {CPU: 100}"
    text = f'[{{id: 7, {rest}}}, {{id: 8, label: "room 3:  a", {rest}}}, {{label: yes, {rest}}}]'
    leases = read(text_file(tmp_path, text, "w.yaml")).leases
    assert [lease.label for lease in leases] == ["7", "room 3: a", "yes"]


def test_yaml_means_the_same_quoted_or_not(tmp_path: Path) -> None:
    text = """
- {arrival: 1:30:00, start: '02:00:00', duration: 0:30:00, preemptible: no, nodes: {CPU: 50}}
- {duration: "unlimited", start: now, nodes: [{count: 2, CPU: 50}, {CPU: 60}], preemptible: "yes"}
- {duration: 90, real-duration: 45, nodes: {count: 3, CPU: 5}, image: {id: a, size: 3}, id: 9}
"""
    now, queued, reserved = read(text_file(tmp_path, text, "w.yaml")).leases
    assert (reserved.arrival_seconds, reserved.start) == (5400, 7200)
    assert (reserved.duration, reserved.preemptible) == (1800, False)
    assert (now.kind, now.duration, now.preemptible) == (Kind.IMMEDIATE, None, True)
    assert now.nodes == (Nodes(2, {"CPU": 50}), Nodes(1, {"CPU": 60}))
    assert (queued.duration, queued.real_duration_seconds) == (90, 45)
    assert (queued.image, queued.id, queued.label) == (DiskImage("a", 3), 9, "9")


# --- files that exist -----------------------------------------------------------------

EXAMPLES = {
    "migrate": 3,
    "preemption": 2,
    "preemption_prematureend": 2,
    "preemption_prematureend2": 2,
    "reservation": 2,
    "reservation_prematureend": 2,
    "reuse1": 2,
    "reuse2": 3,
    "wait": 8,
}


@pytest.mark.parametrize(("name", "leases"), EXAMPLES.items())
def test_examples(name: str, leases: int) -> None:
    workload = read(shared(f"examples/{name}.lwf"))
    assert len(workload.leases) == leases
    assert workload.site == SITE
    assert [x.label for x in workload.leases] == [str(i + 1) for i in range(leases)]


@pytest.mark.parametrize(
    ("name", "leases"),
    [("sample", 0), ("inj1", 13), ("withprematureend", 139), ("withoutprematureend", 139)],
)
def test_examples_without_a_site(name: str, leases: int) -> None:
    workload = read(shared(f"examples/{name}.lwf"))
    assert len(workload.leases) == leases
    assert workload.site is None


def test_second_injection_example() -> None:
    assert all(x.kind is Kind.AR for x in read(shared("examples/inj2.lwf")).leases)


@pytest.mark.parametrize(
    ("name", "kept", "left_out"),
    [("1000requests", 951, 49), ("15days", 3084, 299), ("30days", 5108, 437)],
)
def test_blue_horizon(name: str, kept: int, left_out: int) -> None:
    workload = read(shared(f"blue/{name}.swf"))
    assert len(workload.leases) == kept
    assert [n.count for n in workload.notes] == [left_out]
    # Others prepared the same trace for their simulator: the same jobs, sizes and times.
    prepared = read(shared(f"reference/{name}.normalised.swf"))
    assert prepared.notes == ()
    for ours, theirs in zip(workload.leases, prepared.leases, strict=True):
        assert ours.nodes == theirs.nodes
        assert ours.arrival_seconds == theirs.arrival_seconds
        assert ours.duration == theirs.duration
        assert ours.real_duration_seconds == theirs.real_duration_seconds
    assert prepared.site is not None
    assert prepared.site.hosts[0].count == 144


def test_injected_reservations() -> None:
    directory = shared("blue/injected-30days")
    files = sorted(directory.glob("*.lwf"))
    assert len(files) == 72
    for file in files:
        workload = read(file)
        assert len(workload.leases) == len(file.read_text().splitlines())
        assert all(x.kind is Kind.AR and not x.preemptible for x in workload.leases)
        assert all(x.image == DiskImage("NONE.img", 600) for x in workload.leases)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("blue/37_uniform.images", 10000),
        ("blue/37_skewed.images", 10000),
        ("examples/sample.images", 28),
    ],
)
def test_image_lists(path: str, count: int) -> None:
    images = read_images(shared(path))
    assert len(images.order) == count
