"""Files that are not quite as their format says, but can be read, are read; and it is told."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from haizea.cli.commands import cli
from haizea.workloads import Workload, WorkloadError, read, read_images
from haizea.workloads.csv_leases import read_csv
from haizea.workloads.source import CHUNK_BYTES, Source

HEAD = "; Version: 2.2\n; MaxProcs: 16\n"
JOBS = (
    "1 0 -1 600 4 -1 -1 4 3600 -1 1 7 -1 -1 -1 -1 -1 -1\n"
    "2 60 -1 45 1 -1 -1 -1 -1 -1 1 8 -1 -1 -1 -1 -1 -1\n"
)
SWF = HEAD + JOBS


def written(folder: Path, content: str | bytes, name: str = "j.swf") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(workload: Workload) -> list[tuple[str, int, int | None, int]]:
    return [(x.label, x.arrival_seconds, x.duration, x.node_count) for x in workload.leases]


def remarks(path: Path) -> list[str]:
    return [line.removeprefix(f"{path}: ") for line in read(path).told()]


def wide(text: str, more: str) -> str:
    lines = text.splitlines()
    return "".join(f"{x}{'' if x.startswith(';') else more}\n" for x in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SWF, []),
        ("\ufeff" + SWF, []),
        ("\ufeff" + JOBS, []),
        (SWF.replace("\n", "\r\n"), []),
        (SWF.replace("\n", "\r"), ["4 lines: ended by a carriage return, as on old Macs"]),
        (wide(SWF, " ; ok"), ["2 jobs: followed by a comment, which is not read"]),
        (wide(SWF, ";ok"), ["2 jobs: followed by a comment, which is not read"]),
        (wide(SWF, " # 1 2"), ["2 jobs: followed by a comment, which is not read"]),
        (wide(SWF, " 1"), ["2 jobs: more than 18 columns, of which the first 18 are read"]),
        (wide(SWF, " 1 x 3"), ["2 jobs: more than 18 columns, of which the first 18 are read"]),
        (
            wide(SWF, " 9 ; ok"),
            [
                "2 jobs: followed by a comment, which is not read",
                "2 jobs: more than 18 columns, of which the first 18 are read",
            ],
        ),
        (SWF.replace(";", "#"), ["2 lines: a comment that begins with # and not with ;"]),
        (HEAD + "# x\n" + JOBS, ["1 line: a comment that begins with # and not with ;"]),
    ],
)
def test_unusual_swf(tmp_path: Path, text: str, told: list[str]) -> None:
    path = written(tmp_path, text)
    workload = read(path)
    assert rows(workload) == [("1", 0, 3600, 4), ("2", 60, 45, 1)]
    assert remarks(path) == told
    assert workload.site is not None or "MaxProcs" not in text


@pytest.mark.parametrize("name", ["bom.swf", "trailing-comment.swf", "jobs.swf.xz"])
def test_unusual_swf_that_was_found(name: str) -> None:
    workload = read(shared(f"cases/{name}"))
    assert [x.label for x in workload.leases] == ["1", "2"]
    assert workload.site is not None
    assert workload.site.hosts[0].count == 16


@pytest.mark.parametrize("line", ["1 2 3 ; 4", "1 2 3 # " + "4 " * 20, "x" + JOBS.split("\n")[0]])
def test_what_is_no_job_stays_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(WorkloadError, match="line 5") as caught:
        read(written(tmp_path, SWF + line + "\n"))
    assert "columns, this line has 3" in str(caught.value) or "'x1'" in str(caught.value)


@pytest.mark.parametrize(
    ("run", "requested", "duration", "real", "told"),
    [
        (0, -1, 1, 1, ["1 job: run time 0, lasts 1 second"]),
        (0, 60, 60, 1, ["1 job: run time 0, lasts 1 second"]),
        (61, 60, 60, 60, ["1 job: run time longer than requested, cut to that"]),
        (60, 60, 60, 60, []),
        (5, -1, 5, 5, []),
    ],
)
def test_run_times(
    tmp_path: Path, run: int, requested: int, duration: int, real: int, told: list[str]
) -> None:
    job = f"1 0 -1 {run} 4 -1 -1 4 {requested} -1 1 7 -1 -1 -1 -1 -1 -1\n"
    path = written(tmp_path, job)
    (lease,) = read(path).leases
    assert (lease.duration, lease.real_duration_seconds) == (duration, real)
    assert remarks(path) == told


def test_submit_times_that_are_dates_count_from_the_first(tmp_path: Path) -> None:
    text = JOBS.replace("1 0 -1", "1 1700000000 -1").replace("2 60 -1", "2 1700000060 -1")
    for head, epoch in (
        ("", 1_700_000_000),
        ("; UnixStartTime: 0\n", 1_700_000_000),
        ("; UnixStartTime: 1700000000\n", 1_700_000_000),
    ):
        path = written(tmp_path, head + text)
        workload = read(path)
        assert [x.arrival_seconds for x in workload.leases] == [0, 60]
        assert workload.epoch == epoch
        told = "2 jobs: submit time counted from that of the first one, 1700000000"
        assert remarks(path) == [told]
    # A log may begin a while before its first job.
    later = read(written(tmp_path, JOBS.replace("1 0 -1", "1 50 -1")))
    assert [x.arrival_seconds for x in later.leases] == [50, 60]


def simulated(folder: Path, trace: Path, resources: str = "in-tracefile") -> tuple[int, str, str]:
    conf = folder / "run.conf"
    conf.write_text(
        f"[general]\nloglevel: STATUS\n[simulation]\nresources: {resources}\n"
        f"[tracefile]\ntracefile: {trace}\n[accounting]\ndatafile: {folder / 'out'}\n"
    )
    done = CliRunner().invoke(cli, ["run", str(conf)])
    return done.exit_code, done.stdout, done.stderr


def test_a_run_of_such_a_trace_is_as_long_as_its_jobs(tmp_path: Path) -> None:
    code, out, err = simulated(tmp_path, shared("cases/04-unix-epoch-submit-times/jobs.swf"))
    assert code == 0
    assert "CPU utilization 100.00%" in out
    assert "2 jobs: submit time counted from that of the first one, 1700000000" in err


def test_a_run_that_is_idle_for_long_before_its_first_lease_says_so(tmp_path: Path) -> None:
    text = HEAD + JOBS.replace("1 0 -1", "1 172800 -1").replace("2 60 -1", "2 172860 -1")
    _, _, err = simulated(tmp_path, written(tmp_path, text))
    assert "the first lease is asked for 2d after the start, and figures" in err
    _, _, err = simulated(tmp_path, written(tmp_path, SWF))
    assert "first lease" not in err


@pytest.mark.parametrize(
    ("head", "hosts"),
    [
        ("; MaxProcs: 1,152\n", 1152),
        ("; MaxProcs: 12,345 (in two halves)\n", 12345),
        ("; MaxProcs: -1\n; MaxNodes: 8\n", 8),
        ("; MaxProcs: many\n; MaxNodes: 8\n", 8),
    ],
)
def test_processors_in_a_header(tmp_path: Path, head: str, hosts: int) -> None:
    workload = read(written(tmp_path, head + JOBS))
    assert workload.site is not None
    assert workload.site.hosts[0].count == hosts


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("; MaxProcs: 10000001\n", "tells of 10000001 processors, which are 10000001 hosts, and"),
        ("; MaxProcs: many\n", "says MaxProcs: 'many', which is not a usable number, or set reso"),
        ("; MaxProcs: 1,15\n", "says MaxProcs: '1,15', which is not a usable number"),
        ("; MaxProcs: -1\n", "does not say what hosts there are; set resources, for example"),
        ("", "does not say what hosts there are; set resources, for example"),
    ],
)
def test_a_header_that_gives_no_site_says_why(tmp_path: Path, head: str, told: str) -> None:
    code, _, err = simulated(tmp_path, written(tmp_path, head + JOBS))
    assert code == 2
    assert told in err
    code, _, _ = simulated(tmp_path, written(tmp_path, head + JOBS), "16 CPU:100 Memory:1024")
    assert code == 0


# --- packed files -------------------------------------------------------------------------

PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".xz", lzma.compress),
]


@pytest.mark.parametrize(("suffix", "pack"), PACKERS)
@pytest.mark.parametrize("name", ["j.swf", "j"])
def test_packed_files(
    tmp_path: Path, name: str, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path, pack(SWF.encode()), name + suffix)
    assert rows(read(path)) == [("1", 0, 3600, 4), ("2", 60, 45, 1)]
    in_parts = written(tmp_path, pack(HEAD.encode()) + pack(JOBS.encode()), name + suffix)
    assert rows(read(in_parts)) == rows(read(path))
    listed = written(tmp_path, pack(b"a 5\n#\na\n"), f"i.images{suffix}")
    assert read_images(listed).order[0].size_mb == 5


@pytest.mark.parametrize(("suffix", "pack"), PACKERS)
def test_packed_files_that_are_broken_or_bombs(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack("".join(JOBS.replace("1 ", f"{n} ", 1) for n in range(5000)).encode())
    with pytest.raises(WorkloadError, match="ends too early"):
        read(written(tmp_path, packed[:-20], f"j.swf{suffix}"))
    with pytest.raises(WorkloadError, match=r"cannot be unpacked|ends too early"):
        read(written(tmp_path, packed[:200] + b"\0\0\0\0" + packed[204:], f"j.swf{suffix}"))
    bomb = pack((b";" * 999 + b"\n") * 60_000)
    with pytest.raises(WorkloadError, match="unpacked; no workload is that large"):
        read(written(tmp_path, bomb, f"j.swf{suffix}"))


def test_xz_that_takes_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    packed = lzma.compress(SWF.encode(), lzma.FORMAT_XZ, filters=filters)
    with pytest.raises(WorkloadError, match=r"cannot be unpacked: .*[Mm]emory"):
        read(written(tmp_path, packed, "j.swf.xz"))


# --- line ends ----------------------------------------------------------------------------


@given(
    st.lists(st.text("ab ", max_size=8), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_lines_are_those_of_any_system(lines: list[str], end: str, closed: bool) -> None:
    text = end.join(lines) + (end if closed else "")
    source = Source.of(text.encode(), "x")
    expected = [*lines] if closed or lines[-1] else lines[:-1]
    assert [line.decode() for line in source.lines()] == expected


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("shift", range(4))
def test_a_line_end_may_lie_between_two_pieces(tmp_path: Path, end: str, shift: int) -> None:
    many = ("x" * 61 + end) * (CHUNK_BYTES // 62 * 2)
    path = written(tmp_path, "y" * shift + end + many, "t")
    assert len(list(Source(path).lines())) == 1 + CHUNK_BYTES // 62 * 2


def test_a_table_of_an_old_mac(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffduration,nodes\r60,1\r90,2\r", "t.csv")
    assert [x.duration for x in read_csv(Source(path)).leases] == [60, 90]


# --- numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("id: 99999999999999999999", "id: 9999999999999999999... (20 digits) is too large: 10000"),
        ("id: 1000000000001", "id: 1000000000001 is too large: 1000000000000 is the most"),
        ("id: -3", "id: -3 is too small: 1 is the least"),
        ("id: 000000000000000000000000", "id: 0 is too small: 1 is the least"),
        ("id: one", "id: 'one' is not a whole number"),
    ],
)
def test_a_number_out_of_bounds_is_a_number(tmp_path: Path, field: str, told: str) -> None:
    path = written(tmp_path, f"- {{{field}, duration: 10, nodes: {{CPU: 1}}}}", "w.yaml")
    with pytest.raises(WorkloadError, match="line 1, id: ") as caught:
        read(path)
    assert told in str(caught.value)
