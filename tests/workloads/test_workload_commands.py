"""The commands that make and convert workloads."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haizea.cli.commands import cli
from haizea.core.model.lease import DiskImage, Kind
from haizea.workloads import Nodes, WorkloadSite, read


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(w) for w in words])


def test_generate_to_a_file_and_to_standard_output(tmp_path: Path) -> None:
    words = ["generate-workload", "--jobs", "20", "--hosts", "8", "--load", "0.6"]
    path = tmp_path / "out.lwf"
    result = run(*words, path)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "20 leases, load 0.600" in result.stderr
    assert run(*words).stdout == path.read_text()
    workload = read(path)
    assert len(workload.leases) == 20
    assert workload.description == f"Made by: haizea {' '.join(words)}"
    assert workload.site == WorkloadSite(
        ("CPU", "Memory"), (Nodes(8, {"CPU": 100, "Memory": 1024}),)
    )


def test_generate_everything(tmp_path: Path) -> None:
    path = tmp_path / "out.lwf"
    options = "--jobs 50 --hosts 12 --seed 3 --load 0.9 --estimate factor --estimate-factor 3"
    more = "--ar-share 0.25 --ar-duration 00:30:00 --ar-size 2-4 --ar-lead 0"
    result = run(
        "generate-workload", *options.split(), *more.split(), "--node-capacity", "CPU:100",
        "--node-capacity", "CPU:50 GPU:1", "--host-capacity", "CPU:400 GPU:2", path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    workload = read(path)
    assert workload.site == WorkloadSite(("CPU", "GPU"), (Nodes(12, {"CPU": 400, "GPU": 2}),))
    reserved = [x for x in workload.leases if x.kind is Kind.AR]
    assert reserved
    assert all(x.start == x.arrival_seconds for x in reserved)
    assert "--node-capacity 'CPU:50 GPU:1'" in workload.description


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--hosts 4", "--jobs"),
        ("--jobs 0 --hosts 4", "--jobs"),
        ("--jobs 4 --hosts x", "--hosts"),
        ("--jobs 4 --hosts 4 --load 0", "--load"),
        ("--jobs 4 --hosts 4 --load nan", "--load"),
        ("--jobs 4 --hosts 4 --ar-share 1", "--ar-share"),
        ("--jobs 4 --hosts 4 --ar-share 0.1 --ar-size 9", "not within 1 to 4"),
        ("--jobs 4 --hosts 4 --ar-duration 0", "'0' is too short"),
        ("--jobs 4 --hosts 4 --ar-duration unlimited", "not a length of time"),
        ("--jobs 4 --hosts 4 --node-capacity CPU", "'CPU' is not TYPE:AMOUNT"),
        ("--jobs 4 --hosts 4 --node-capacity CPU:x", "'x' is not a whole number"),
        ("--jobs 4 --hosts 4 --node-capacity CPU:0", "a node asks for something"),
        ("--jobs 4 --hosts 4 --host-capacity CPU:50", "CPU:100 of a node does not fit a host"),
        ("--jobs 4 --hosts 4 --ar-share 0.5 --format swf", "SWF cannot hold it"),
    ],
)
def test_wrong_use_of_generate(words: str, message: str) -> None:
    result = run("generate-workload", *words.split())
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_no_half_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out.swf"
    path.write_text("before")
    words = ["--jobs", "40", "--hosts", "4", "--ar-share", "0.5", "--seed", "2"]
    assert run("generate-workload", *words, path).exit_code == 2
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    result = run("generate-workload", *words, tmp_path / "none" / "out.lwf")
    assert result.exit_code == 2
    assert str(tmp_path / "none" / "out.lwf") in result.output


TEN = "0 -1 100 90 3 1 1024 0 'a.img' 600\n5 60 50 50 1 2 512 0 'b.img' 7\n"


@pytest.mark.parametrize("old_options", [False, True])
def test_lwf2xml(tmp_path: Path, old_options: bool) -> None:
    source, target = tmp_path / "old.lwf", tmp_path / "new.lwf"
    source.write_text(TEN)
    words = ["-i", source, "-o", target] if old_options else [source, target]
    result = run("lwf2xml", *words)
    assert result.exit_code == 0, result.output
    assert read(target).leases == read(source).leases
    assert run("lwf2xml", source).stdout == target.read_text()
    again = run("lwf2xml", target)
    assert again.exit_code == 2
    assert "is LWF in XML already" in again.output


def test_csv2lwf(tmp_path: Path) -> None:
    source, target = tmp_path / "l.csv", tmp_path / "l.lwf"
    source.write_text(
        "Arrival,Start,Duration,RealDuration,Nodes,CPU,Memory,Image,Image Size,Preemptible,ID\r\n"
        '0,,01:00:00,50,2,150,2048,"my, image",7,,\r\n'
        "\r\n"
        "10,now,unlimited,,,,,,,yes,4\r\n"
        "00:01:00,600,300,,1,,,,,,\r\n"
    )
    result = run("csv2lwf", "--site", "4 CPU:400 Memory:4096", source, target)
    assert result.exit_code == 0, result.output
    workload = read(target)
    assert workload.site == WorkloadSite(
        ("CPU", "Memory"), (Nodes(4, {"CPU": 400, "Memory": 4096}),)
    )
    first, second, third = workload.leases
    assert (first.kind, first.preemptible) == (Kind.BEST_EFFORT, True)
    assert (first.duration, first.real_duration_seconds) == (3600, 50)
    assert first.nodes == (Nodes(2, {"CPU": 150, "Memory": 2048}),)
    assert first.image == DiskImage("my, image", 7)
    assert (second.kind, second.duration, second.id) == (Kind.IMMEDIATE, None, 4)
    assert second.preemptible
    assert (third.kind, third.arrival_seconds, third.start) == (Kind.AR, 60, 600)
    assert third.nodes == (Nodes(1, {"CPU": 100, "Memory": 1024}),)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["csv2lwf"], "the table of leases is missing"),
        (["lwf2xml"], "the file of leases is missing"),
        (["lwf2xml", "a", "-i", "b"], "is given twice"),
        (["lwf2xml", "none"], "none: there is no such file"),
        (["csv2lwf", "none"], "none: there is no such file"),
        (["csv2lwf", "none", "--site", "CPU:4"], "'CPU:4' is not a whole number"),
        (["csv2lwf", "none", "--site", "4"], "a capacity is missing"),
    ],
)
def test_wrong_use_of_converters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["generate-workload", "lwf2xml", "csv2lwf"])
def test_help_teaches(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"haizea {command}" in result.output


# --- scale-workload -------------------------------------------------------------------


def test_scale_to_a_file_and_to_standard_output(tmp_path: Path) -> None:
    batch = Path(__file__).parents[2] / "traces/batch.swf"
    path = tmp_path / "busier.swf"
    words = ["scale-workload", "--factor", "2", "--by", "repetition", str(batch)]
    result = run(*words, path)
    assert result.exit_code == 0, result.output
    assert result.stderr == "600 leases; there were 300\n"
    assert "; Note: " in path.read_text()
    assert "The load of batch.swf times 2, by repetition, seed 1." in path.read_text()
    assert run(*words, "--format", "swf").stdout == path.read_text()
    before, after = read(batch).leases, read(path).leases
    assert {x.node_count for x in after} == {x.node_count for x in before}


def test_scaled_reservations_keep_their_images_and_lead_times(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "traces/preemption.lwf"
    path = tmp_path / "sooner.lwf"
    result = run("scale-workload", "--factor", "4", sample, path)
    assert result.exit_code == 0, result.output
    before, after = read(sample), read(path)
    assert after.site == before.site
    assert [x.arrival_seconds for x in after.leases] == [
        round(x.arrival_seconds / 4) for x in before.leases
    ]
    leads = [
        [x.start - x.arrival_seconds for x in w.leases if x.start is not None]
        for w in (before, after)
    ]
    assert leads[0] == leads[1] != []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--by size", "Missing option '--factor'"),
        ("--factor 0", "0.0 is not in the range"),
        ("--factor nan", "is not a number"),
        ("--factor 2 --by users", "'users' is not one of"),
        ("--factor 2 --format swf", "SWF cannot hold it"),
    ],
)
def test_what_cannot_be_scaled_is_told(words: str, message: str) -> None:
    sample = Path(__file__).parents[2] / "traces/preemption.lwf"
    result = run("scale-workload", *words.split(), sample)
    assert result.exit_code == 2
    assert message in result.output
