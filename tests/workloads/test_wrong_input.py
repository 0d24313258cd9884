"""Whatever is wrong with a file, one error says where and what; no other exception gets out."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haizea.workloads import WorkloadError, read, read_images
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.source import Source

JOB = b"1 0 -1 60 4 -1 -1 4 60 -1 1 1 -1 -1 -1 -1 -1 -1\n"


def error_of(path: Path) -> str:
    with pytest.raises(WorkloadError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


def lwf(requests: str, before: str = "") -> str:
    return (
        f'<?xml version="1.0"?>\n{before}<lease-workload name="t">\n<lease-requests>\n{requests}\n'
        "</lease-requests>\n</lease-workload>\n"
    )


GOOD = """<lease-request arrival="00:00:00">
<lease id="1" preemptible="true">
<nodes><node-set numnodes="2">
<res type="CPU" amount="100"/></node-set></nodes>
<start/>
<duration time="01:00:00"/>
<software><disk-image id="a" size="1"/></software>
</lease></lease-request>"""


def test_the_good_one_is_good(tmp_path: Path) -> None:
    path = tmp_path / "w.lwf"
    path.write_text(lwf(GOOD))
    assert len(read(path).leases) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("00:00:00", "0:00", r", line 4, <lease-request> of lease request 1: arrival: '0:00' is"),
        ("00:00:00", "00:60:00", "minutes and seconds go up to 59"),
        ("00:00:00", "9999999:00:00:00", "too long a time"),
        ("01:00:00", "-01:00:00", "line 9, <duration> of lease request 1: time: '-01:00:00' is"),
        ("01:00:00", "00:00:00", "'00:00:00' is too short: one second is the least"),
        ("01:00:00", "", "is not a duration: it is empty; write 90m"),
        ('"2"', '"two"', "line 6, <node-set> of lease request 1: numnodes: 'two' is not a whole"),
        ('"2"', '"0"', "0 is too small: 1 is the least"),
        ('"2"', '"-3"', "too small"),
        ('"2"', '"99999999"', "too large"),
        ('"2"', f'"{"9" * 5000}"', "9... (5000 digits) is too large: 10000000 is the most"),
        ('"100"', '"1e3"', "line 7, <res> of lease request 1: amount: '1e3' is not a whole"),
        ('"100"', '"-1"', "too small"),
        (' amount="100"', "", "the attribute amount is missing"),
        ('type="CPU"', 'type=" "', "a name is missing"),
        ('<res type="CPU" amount="100"/>', "", "there is no <res>"),
        ("<start/>", "", "line 5, <lease> of lease request 1: there is no <start>"),
        ("<start/>", "<start/><start/>", "there are two <start>"),
        ("<start/>", "<start><now/><exact time='00:00:00'/></start>", "not two of them"),
        ("<start/>", "<start><soon/></start>", "there is no element 'soon'; known here: exact"),
        ('"true"', '"maybe"', "neither yes nor no"),
        ('id="1"', 'hosts="host-1"', "hosts: 'host-1' is neither fixed nor any"),
        ("preemptible", "preemptable", "no attribute 'preemptable'; did you mean 'preemptible'"),
        ("<duration ", "<durration ", "line 9, <lease>: there is no element 'durration'; did"),
        ('id="1"', 'id="0"', "too small"),
        ('<disk-image id="a" size="1"/>', "", "either <disk-image> or <none/>"),
        ('size="1"', 'size="big"', "line 10, <disk-image>"),
        ("<start/>", "<start/>now!", "no text belongs here: 'now!'"),
        (GOOD, GOOD + GOOD, "id 1 is taken by line 5"),
    ],
)
def test_lwf_content(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "w.lwf"
    assert old in GOOD
    path.write_text(lwf(GOOD.replace(old, new, 1)))
    assert expected in error_of(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lwf("<lease-request>"), ", line 5: this is not XML: mismatched tag"),
        (lwf(GOOD)[:-20], "this is not XML"),
        (lwf("&nbsp;"), ", line 4: this is not XML: undefined entity"),
        ("<html></html>", "this is not LWF: there is no outermost element 'html'"),
        ('<lease-workload name="x"/>', "line 1, <lease-workload>: there is no <lease-requests>"),
        ("<lease-workload>\0</lease-workload>", "this is not XML"),
        (
            '<?xml version="1.0" encoding="klingon"?><lease/>',
            "cannot be read as XML: unknown encoding",
        ),
    ],
)
def test_not_lwf(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "w.lwf"
    path.write_text(text)
    assert expected in error_of(path)


def test_entity_bombs_are_refused(tmp_path: Path) -> None:
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 20)]
    path = tmp_path / "bomb.lwf"
    path.write_text(lwf("&a19;", "<!DOCTYPE x [" + "\n".join(lines) + "]>\n"))
    assert "entities are refused" in error_of(path)
    path.write_text(lwf("&x;", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'))
    assert "entities are refused" in error_of(path)


def test_what_has_no_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "w.lwf.gz"
    many = '<lease-workload name="t"><description>'

    def packed(start: str, piece: str, count: int) -> str:
        path.write_bytes(gzip.compress(start.encode() + piece.encode() * count))
        return error_of(path)

    assert "a tag or comment has no end" in packed('<lease-workload name="', "a" * 1000, 12_000)
    assert "the text is too long" in packed(many, "ha " * 1000, 1000)
    lease = "<lease><nodes>"
    assert "more than 500000 elements" in packed(lease, '<node-set numnodes="1"/>' * 1000, 510)


def test_site_of_unknown_types(tmp_path: Path) -> None:
    site = """<site><resource-types names="CPU"/><nodes><node-set numnodes="1">
    <res type="Memory" amount="1"/></node-set></nodes></site>"""
    path = tmp_path / "w.lwf"
    path.write_text(lwf(GOOD).replace("<lease-requests>", site + "<lease-requests>"))
    assert "there is no resource type 'Memory'; known here: CPU" in error_of(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (JOB.replace(b"60", b"sixty", 1), ", line 3, column 4: 'sixty' is not a usable number"),
        (JOB.replace(b"1 1 -1", b"1 bob -1"), ", line 3, column 12: 'bob' is not a usable number"),
        (JOB.replace(b"60", b"1_0", 1), "column 4: '1_0'"),
        (JOB.replace(b"60", b"nan", 1), "column 4: 'nan'"),
        (JOB.replace(b"60", b"9" * 400, 1), ", line 3"),
        (JOB.replace(b"60", b"9" * 5000), "column 4"),
        (JOB.replace(b" 0 ", b" 999999999999 "), ", line 3: a time is too large"),
        (JOB.replace(b" 4 60", b" 99999999999 60"), "the job is too large: 10000000 nodes"),
        (JOB.replace(b"60", b"\xff\xfe", 1), "column 4"),
        (JOB.replace(b"60", b"\0", 1), "column 4"),
        (b"1 2 3\n", ", line 3: a job has 18 columns, this line has 3"),
        (b"\xff 1\n", ", line 3: byte 1 is not UTF-8"),
        (b"\0\0\0\n", "NUL byte"),
        (b"1" * 70000, "line 3: "),
    ],
)
def test_swf(tmp_path: Path, line: bytes, expected: str) -> None:
    path = tmp_path / "w.swf"
    path.write_bytes(b"; Version: 2.2\n" + JOB + line)
    assert expected in error_of(path)


def test_truncated_and_broken_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(JOB.replace(b"1", b"%d" % i, 1) for i in range(2000)))
    path = tmp_path / "w.swf.gz"
    path.write_bytes(packed[:-20])
    assert "ends too early" in error_of(path)
    path.write_bytes(packed[:200] + b"\0\0\0\0" + packed[204:])
    assert "cannot be unpacked" in error_of(path)
    path.write_bytes(b"\x1f\x8bnot really")
    assert "cannot be unpacked" in error_of(path)


def test_gzip_bombs_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "w.swf.gz"
    path.write_bytes(gzip.compress((b";" * 999 + b"\n") * 60_000))
    assert "unpacked; no workload is that large" in error_of(path)
    path.write_bytes(gzip.compress(b";\n" + b"1" * 3_000_000))
    assert "line 2: the line is too long" in error_of(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\0\1\2", "no format known"),
        (b"hello world\n", "no format known"),
        (b"'\n", "no format known"),
    ],
)
def test_nothing_usable(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "w"
    path.write_bytes(content)
    assert expected in error_of(path)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    assert "there is no such file" in error_of(tmp_path / "none.lwf")
    assert "this is a directory" in error_of(tmp_path)


ROW = "0 100 60 60 1 1 1024 0 'a b.img' 600"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("60 60", "-60 60", ", line 2, column duration: -60 is too small: 1 is the least"),
        ("60 60", "x 60", "column duration: 'x' is not a whole number"),
        ("60 1 1", "60 1 one", "column cpu: 'one' is not a number of cores"),
        ("60 1 1", "60 1 1.2.3", "column cpu"),
        ("60 1 1", "60 0 1", "column nodes: 0 is too small"),
        ("'a b.img'", "'a b.img", "a quote is not closed"),
        ("600", "600 1", "this line has 11"),
    ],
)
def test_ten_columns(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = tmp_path / "w.txt"
    path.write_text(ROW + "\n" + ROW.replace(old, new, 1) + "\n")
    assert expected in error_of(path)


LEASE = "{duration: 60, nodes: {count: 1, CPU: 100}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"- {LEASE}\n- {{duration: 60", ", line 2: this is not YAML"),
        ("- nodes: {CPU: 1}", ", line 1, lease: the field duration is missing"),
        ("- {duration: 60, nodes: {}}", "a node asks for something"),
        ("- {duration: 60, nodes: []}", "nodes: there are none"),
        (
            "- {duration: soon, nodes: {CPU: 1}}",
            "duration: 'soon' is not a duration: write 90m, 1h30m",
        ),
        (
            "- {duration: -5, nodes: {CPU: 1}}",
            "duration: '-5' is not a duration: it is negative; write",
        ),
        (f"- {LEASE}\n-\n  duration: 5\n  node: 3", "line 3, lease: there is no field 'node'; did"),
        ("- {duration: 5, duration: 6, nodes: {CPU: 1}}", "two fields 'duration'"),
        ("- {duration: [5], nodes: {CPU: 1}}", "a single value is expected"),
        ("- 5", "line 1, lease: expected fields"),
        ("5", "a list is expected here"),
        ("a: &x 1\nb: *x", "line 1: this is not YAML as taken here: anchors"),
        ("- *x", "anchors (&) and aliases"),
        ("- " + "[" * 500, "nested too deep"),
        ("- !!python/object/apply:os.system [ls]", "expected fields"),
        ("leases: [{duration: 5, nodes: {CPU: x}}]", "CPU: 'x' is not a whole number"),
        (f"leases: [{LEASE}]\nsite: {{nodes: {{CPU: 1}}}}", "resource-types is missing"),
        ("- {duration: 5, nodes: {CPU: 1}, label: " + "x" * 201 + "}", "label: 201 characters are"),
        ('- {duration: 5, nodes: {CPU: 1}, label: "a\\u202e"}', "label: there is a character"),
        ("# nothing", "the file is empty"),
        ("a: \x01", "not YAML"),
    ],
)
def test_yaml(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(text)
    assert expected in error_of(path)


def test_large_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("#" * 3_000_000)
    assert "larger than the 2048 KB" in error_of(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty"),
        ("duration,nodez\n", "line 1: there is no column 'nodez'; did you mean 'nodes'"),
        ("nodes\n1\n", "the column duration is missing"),
        ("duration,duration\n", "a column is named twice"),
        ("duration,nodes\n60\n", "line 2: there are 2 columns, this line has 1"),
        ("duration,nodes\n60,x\n", "line 2, column nodes: 'x' is not a whole number"),
        ("duration,nodes\n,1\n", "line 2, column duration: a lease needs one"),
        ("duration,image\n60,a\n", "column image_size: an image needs a size"),
        ("duration,image_size\n60,5\n", "there is a size but no image"),
        ("duration,hosts\n60,2\n", "line 2, column hosts: '2' is neither fixed nor any"),
        ("duration,id\n60,5\n60,5\n", "line 3, column id: 5 is taken by line 2"),
        ('duration\n"60\n', "this is not CSV"),
    ],
)
def test_csv(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "w.csv"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=re.escape(expected)):
        read_csv(Source(path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 1\n", "there is no line '#'"),
        ("a\n#\n", "line 1: an image is NAME SIZE-IN-MB"),
        ("a x\n#\n", "line 1, size of image 'a': 'x' is not a whole number"),
        ("a 1\na 2\n#\n", "line 2: the image 'a' is defined twice"),
        ("web 1\n#\nwab\n", "line 3: there is no image 'wab'; did you mean 'web'"),
        ("a 1\n#\na a\n", "line 3: here is one image name per line"),
    ],
)
def test_image_lists(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "w.images"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=re.escape(expected)):
        read_images(path)


MARKS = [
    b"<",
    b">",
    b"/",
    b'"',
    b"lease",
    b"\n",
    b" ",
    b";",
    b"-",
    b"'",
    b":",
    b"0",
    b"\0",
    b"\xff",
]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    base=st.sampled_from(
        [
            ("a.lwf", lwf(GOOD).encode()),
            ("a.swf", JOB * 3),
            ("a.txt", ROW.encode()),
            ("a.yaml", f"- {LEASE}\n".encode()),
            ("a.swf.gz", gzip.compress(JOB * 3, mtime=0)),
        ]
    ),
    where=st.floats(0, 1),
    mark=st.sampled_from(MARKS) | st.binary(max_size=6),
    cut=st.integers(0, 30),
)
def test_damaged_files_never_end_in_another_exception(
    tmp_path: Path, base: tuple[str, bytes], where: float, mark: bytes, cut: int
) -> None:
    name, content = base
    at = int(where * len(content))
    path = tmp_path / name
    path.write_bytes(content[:at] + mark + content[at + cut :])
    try:
        workload = read(path)
    except WorkloadError:
        return
    assert all(x.nodes and x.duration != 0 for x in workload.leases)
