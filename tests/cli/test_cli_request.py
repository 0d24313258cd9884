"""Asking for leases, looking at them and cancelling them, against a real service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_service import RealService, Role, real_service

from haizea.cli.words import moment_of
from haizea.core.model.lease import Draft, Kind, Nodes
from haizea.times.moments import format_moment
from haizea.times.zones import SystemZone

HAIZEA = [sys.executable, "-c", "from haizea.cli.main import main; main()"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """Four hosts with four cores and 4 GB each; a minute passes in a second."""
    with real_service(tmp_path_factory.mktemp("service"), speed=60) as running:
        yield running


@pytest.fixture(autouse=True)
def afterwards(service: RealService) -> Iterator[None]:
    """Whatever a test leaves behind is cancelled."""
    yield
    service.cancel_all()


def shown(text: str) -> str:
    """A time of the service's as people see it."""
    moment = moment_of(text)
    assert moment is not None
    return format_moment(moment, SystemZone())


def asked(service: RealService, *options: str, token: Path | None = None) -> dict[str, Any]:
    lease: dict[str, Any] = service.json("request", *options, token=token)["lease"]
    return lease


# --- request ------------------------------------------------------------------------------


def test_what_the_options_ask_for(service: RealService) -> None:
    lease = asked(
        service,
        *["-t", "+3d", "-d", "1h30m", "-n", "3", "-c", "1.5", "-m", "2G", "--preemptible"],
        *["-i", "debian", "-z", "4G", "-L", "third evening"],
    )
    assert (lease["kind"], lease["duration"]) == ("ar", 5400)
    assert lease["nodes"] == [{"count": 3, "resources": {"CPU": 150, "Memory": 2048}}]
    assert lease["image"] == {"name": "debian", "size_mb": 4096}
    assert (lease["preemptible"], lease["label"]) == (True, "third evening")
    start, submitted = moment_of(lease["start"]), moment_of(lease["submitted"])
    assert start is not None
    assert submitted is not None
    # By the clock of the service, which is an hour ahead after a minute.
    assert 0 <= submitted + 3 * 86400 - start < 3600


def test_what_is_asked_for_without_options(service: RealService) -> None:
    lease = asked(service, "-d", "unlimited")
    assert (lease["kind"], lease["duration"], lease["preemptible"]) == ("best-effort", None, True)
    assert lease["nodes"] == [{"count": 1, "resources": {"CPU": 100, "Memory": 1024}}]


def test_fixed_hosts(service: RealService) -> None:
    lease = asked(service, "-t", "+3d", "-d", "1h", "--hosts", "fixed")
    assert lease["fixed_hosts"]
    assert "ar, fixed hosts" in service.run("show", str(lease["id"])).stdout
    lease = asked(service, "-t", "+3d", "-d", "1h", "--hosts", "any")
    assert not lease["fixed_hosts"]


def test_other_resources(service: RealService) -> None:
    lease = asked(service, "-d", "1h", "-c", "50%", "-m", "0", "-r", "Memory:7")
    assert lease["nodes"][0]["resources"] == {"CPU": 50, "Memory": 7}
    result = service.run("request", "-d", "1h", "-r", "GPU:1")
    assert result.exit_code == 2
    assert "no resource type 'GPU'; it has CPU, Memory" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "How long? Add -d DURATION"),
        (["-d", "soon"], "'soon' is not a duration"),
        (["-d", "0"], "one second is the least"),
        (["-d", "1h", "-t", "25:00"], "a day ends at 23:59:59"),
        (["-d", "1h", "-t", "2026-02-30 9:00"], "is not a day of the calendar"),
        (["-d", "1h", "-n", "0"], "0 is not in the range"),
        (["-d", "1h", "-c", "0.001"], "is not a whole number of percent of a core"),
        (["-d", "1h", "-c", "many"], "write cores (1, 0.5) or percent (50%)"),
        (["-d", "1h", "-m", "1X"], "write MB (1024), 512M or 2G"),
        (["-d", "1h", "-r", "GPU"], "is not TYPE:AMOUNT, as in GPU:1"),
        (["-d", "1h", "-i", "debian"], "-i IMAGE and -z SIZE go together"),
        (["-d", "1h", "-w", "soon"], "'soon' is not one of"),
        (["-d", "1h", "--hosts", "host-1"], "'host-1' is not one of 'any', 'fixed'"),
        (["-d", "9999999999d"], "write unlimited"),
        (["-d", "1h", "-L", "two\nlines"], "label"),
        (["-f", "no-such-file"], "no-such-file: no such file or directory"),
        (["-f", "no-such-file", "-d", "1h"], "leave out --duration"),
    ],
)
def test_wrong_use(service: RealService, options: list[str], told: str) -> None:
    before = service.json("list", "--all")["leases"]
    result = service.run("request", *options)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert service.json("list", "--all")["leases"] == before


def test_a_lease_that_is_accepted(service: RealService) -> None:
    result = service.run("request", "-t", "+00:30", "-d", "1h", "-n", "4", "-c", "4")
    assert result.exit_code == 0
    [lease] = service.json("list")["leases"]
    assert re.fullmatch(
        rf"Lease {lease['id']} is accepted: it runs from {shown(lease['planned_start'])}"
        rf" \([^)]*\) to {shown(lease['planned_end'])}\n"
        "  on host-1, host-2, host-3, host-4\n",
        result.stdout,
    ), result.stdout


def test_a_lease_that_waits(service: RealService) -> None:
    asked(service, "-t", "+00:01", "-d", "3h", "-n", "4", "-c", "4")
    result = service.run("request", "-d", "1h", "-n", "4", "-c", "4")
    assert result.exit_code == 0
    [entry] = service.json("queue")["queue"]
    assert f"Lease {entry['lease']['id']} is queued: place 1, expected to start " in result.stdout
    assert shown(entry["expected"]) in result.stdout
    table = service.run("queue").stdout.splitlines()
    assert table[0].split()[:3] == ["PLACE", "LEASE", "OWNER"]
    assert table[1].split()[:2] == ["1", str(entry["lease"]["id"])]


def test_a_lease_that_is_rejected_and_when_it_would_fit(service: RealService) -> None:
    there = asked(service, "-t", "+00:30", "-d", "1h", "-n", "4", "-c", "4")
    wanted = ["-d", "1h", "-n", "4", "-c", "4"]
    result = service.run("request", "-t", "+00:40", *wanted)
    assert result.exit_code == 1
    assert result.stdout == ""
    offer = re.search(r"ask again with -t '(.*)'", result.stderr)
    assert offer is not None
    assert offer[1] == shown(there["planned_end"])
    assert "Z" not in result.stderr
    again = asked(service, "-t", offer[1], *wanted)
    assert again["start"] == there["planned_end"]
    rejected = service.json("request", "-t", "+00:40", *wanted, status=1)
    assert (rejected["outcome"], rejected["lease"]["state"]) == ("rejected", "Rejected")


YAML = "start: best-effort\nduration: 01:30:00\nnodes: {count: 2, CPU: 100, Memory: 512}\n"
LWF = (
    '<lease preemptible="true"><nodes><node-set numnodes="2"><res type="CPU" amount="100"/>'
    '<res type="Memory" amount="512"/></node-set></nodes><start/><duration time="01:30:00"/>'
    "</lease>"
)
JSON = '{"duration": 5400, "nodes": [{"count": 2, "resources": {"CPU": 100, "Memory": 512}}]}'


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.yaml", YAML), ("a.lwf", LWF), ("a.json", JSON), ("a", YAML), ("b", LWF), ("c", JSON)],
)
def test_a_lease_in_a_file(service: RealService, tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    lease = asked(service, "-f", str(path))
    assert lease["nodes"] == [{"count": 2, "resources": {"CPU": 100, "Memory": 512}}]
    assert (lease["kind"], lease["duration"]) == ("best-effort", 5400)
    piped = service.run("request", "-f", "-", input=content)
    assert piped.exit_code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "there is nothing in it"),
        (b"duration: x\n", "the field nodes is missing"),
        (b"<lease>", "the lease"),
        (b"{}", "duration: Field required"),
        (b"\xff\xfe\x00", "the lease"),
        (b"#" * 70_000, "this is too large for a lease: 64 KB are the most"),
    ],
)
def test_a_file_that_is_no_lease(
    service: RealService, tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "lease"
    path.write_bytes(content)
    result = service.run("request", "-f", str(path))
    assert result.exit_code == 2, result.output
    assert told in result.stderr


# --- wait ---------------------------------------------------------------------------------


def test_waiting_until_it_runs(service: RealService) -> None:
    result = service.run("request", "-t", "+00:01", "-d", "1h", "--wait")
    assert result.exit_code == 0
    [lease] = service.json("list")["leases"]
    assert lease["state"] == "Active"
    # On a slow machine it is late, and says so.
    told, _, late = result.stdout.splitlines()[-1].partition(": it could not begin at ")
    assert told.endswith(f"lease {lease['id']} is Active")
    assert not late or late.endswith("Haizea was not at work then")


def test_waiting_until_it_is_over(service: RealService) -> None:
    done = service.json("request", "-d", "1m", "--wait", "done")
    assert done["lease"]["state"] == "Done"
    assert [entry["state"] for entry in done["lease"]["story"]][-1] == "Done"


def test_waiting_for_what_is_cancelled(service: RealService) -> None:
    asked(service, "-t", "+00:01", "-d", "3h", "-n", "4", "-c", "4")
    command = [*HAIZEA, "request", "-d", "1h", "-n", "4", "-c", "4", "--wait"]
    with subprocess.Popen(
        command, env=service.environment(), stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout is not None
        number = waiting.stdout.readline().split()[1]
        assert service.run("cancel", number).exit_code == 0
        rest = waiting.stdout.read()
    assert waiting.returncode == 1
    assert f"lease {number} is Cancelled: cancelled by its owner" in rest


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        (["request", "-t", "+2h", "-d", "1h", "--wait"], 130, r"\nLease \d+ goes on\. 'haizea w"),
        (["watch", "--after", "0"], 130, ""),
    ],
)
def test_interrupting_what_waits(
    service: RealService, command: list[str], status: int, told: str
) -> None:
    asked(service, "-d", "1h")
    with subprocess.Popen(
        [*HAIZEA, *command],
        env=service.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stderr is not None
        for _ in range(3):
            assert waiting.stdout.readline()
        os.kill(waiting.pid, signal.SIGINT)
        waiting.stdout.read()
        errors = waiting.stderr.read()
    assert waiting.returncode == status
    assert re.match(told, errors) if told else not errors


# --- list, show, cancel -------------------------------------------------------------------


def test_lists_are_filtered(service: RealService) -> None:
    token = service.token("anna", Role.USER)
    mine = asked(service, "-d", "1h", "-L", "one", token=token)["id"]
    other = asked(service, "-t", "+5d", "-d", "1h", "-L", "two")["id"]
    over = asked(service, "-d", "1h", "-L", "three")["id"]
    assert service.run("cancel", str(over)).exit_code == 0

    def ids(*options: str, token: Path | None = None) -> list[int]:
        return [lease["id"] for lease in service.json("list", *options, token=token)["leases"]]

    assert ids() == [other, mine]
    assert ids("--all")[:3] == [over, other, mine]
    assert ids("--all", "--limit", "1") == [over]
    assert ids("--owner", "anna") == [mine]
    assert ids("--mine") == [other]
    assert ids("--mine", token=token) == ids(token=token) == [mine]
    assert ids("--state", "Cancelled", "--label", "three") == [over]
    assert ids("--state", "scheduled", "--state", "active") == [other, mine]
    assert ids("--kind", "ar") == [other]
    assert ids("--label", "two") == [other]
    assert ids("--since", "tomorrow 0:00") == ids("--since", "next monday") == []
    everyone = ids()
    for since in ("monday 0:00", "yesterday", "-1h", "1h", "PT1H", "yesterday noon"):
        assert ids("--since", since) == everyone
        assert ids("--until", since) == []
    assert ids("--until", "2020-01-01") == []
    assert service.run("list", "--mine", "--owner", "anna").exit_code == 2
    assert service.run("list", "--since", "whenever").exit_code == 2
    shown_less = service.run("list", "--limit", "1")
    assert shown_less.stderr == "There are more than these 1: see --limit.\n"


def test_long_lists_come_in_pages(service: RealService) -> None:
    manager = service.manager
    before = len(service.json("list", "--all", "--limit", "100000")["leases"])
    nodes = (Nodes(1, {"CPU": 1}),)
    draft = Draft(kind=Kind.AR, nodes=nodes, duration=60, start=13_600_000_000)
    for answer in [manager.submit(draft, None) for _ in range(510)]:
        answer.result(60)
    found = service.json("list", "--all", "--limit", "100000")["leases"]
    assert len(found) == before + 510
    numbers = [lease["id"] for lease in found]
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(service.json("list", "--limit", "505")["leases"]) == 505


def test_show(service: RealService) -> None:
    lease = asked(service, "-t", "+1d", "-d", "1h", "-n", "2", "-L", "the course")
    result = service.run("show", str(lease["id"]))
    assert result.exit_code == 0
    text = result.stdout
    assert f"Lease:      {lease['id']} the course\n" in text
    assert "Nodes:      2 nodes, each CPU:100 Memory:1024\n" in text
    assert f"Asked for:  {shown(lease['start'])} (in 23h 59m)" in text or "(in 1d)" in text
    assert re.search(r"^run +planned ", text, re.MULTILINE)
    assert re.search(r"^\S+ \S+ \S+ +Scheduled ", text, re.MULTILINE)
    assert service.json("show", str(lease["id"]))["story"][0]["state"] == "New"


def test_what_is_not_there_or_somebody_elses(service: RealService) -> None:
    result = service.run("show", "99999")
    assert (result.exit_code, result.stderr) == (1, "Error: there is no lease 99999\n")
    lease = asked(service, "-d", "1h")
    token = service.token("eve", Role.USER)
    for command in ("show", "cancel", "watch"):
        result = service.run(command, str(lease["id"]), token=token)
        assert (result.exit_code, result.stderr) == (1, f"Error: there is no lease {lease['id']}\n")
    for text in ("x", "0", "1.0", "99999999999999999999", "\u0661"):
        result = service.run("show", text)
        assert result.exit_code == 2
        assert f"{text!r} is not the number of a lease: 'haizea list' shows them" in result.stderr
    assert service.run("cancel").exit_code == 2


def test_cancel_goes_on_after_what_cannot_be_cancelled(service: RealService) -> None:
    lease = asked(service, "-d", "1h")["id"]
    result = service.run("cancel", "99999", "-l", str(lease))
    assert result.exit_code == 1
    assert result.stderr == "Error: there is no lease 99999\n"
    assert result.stdout == f"Lease {lease} is Cancelled.\n"
    assert service.json("cancel", str(lease))["leases"][0]["state"] == "Cancelled"
    over = service.json("request", "-t", "now", "-d", "1h", "-c", "5", status=1)["lease"]["id"]
    result = service.run("cancel", str(over))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is over already: Rejected" in result.stderr


# --- the site -----------------------------------------------------------------------------


def test_hosts(service: RealService) -> None:
    lease = asked(service, "-t", "now", "-d", "1h", "-n", "2", "-c", "4", "-m", "1G", "--wait")
    lines = service.run("hosts").stdout.splitlines()
    assert lines[0].split() == ["HOST", "STATUS", "CPU", "MEMORY", "IN", "USE", "LEASES"]
    used = [line.split() for line in lines[1:] if str(lease["id"]) in line.split()]
    assert [row[1:] for row in used] == [
        ["up", "400/400", "1024/4096", "##########", str(lease["id"])]
    ] * 2
    assert len(service.json("hosts")["hosts"]) == 4


def test_status(service: RealService) -> None:
    result = service.run("status")
    assert result.exit_code == 0
    assert f"Service:  {service.url}\n" in result.stdout
    assert "Healthy:  yes\n" in result.stdout
    assert "You are:  operator, operator\n" in result.stdout
    assert service.json("status")["healthy"] is True
