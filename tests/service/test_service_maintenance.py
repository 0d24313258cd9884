"""Maintenance through commands, the HTTP interface and a service that is killed meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from local_zone import local_zone
from quick_service import QuickService
from real_service import RealService, real_service
from service_process import HAIZEA, Client, faults_of, until

from haizea.cli.client import Body, Refusal
from haizea.service_types import Role


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("upkeep")) as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_remains(service: RealService) -> Iterator[None]:
    yield
    manager = service.manager
    for record in manager.maintenance():
        manager.end_maintenance(record.window.id, "operator").result(20)
    service.cancel_all()


def test_hosts_are_taken_by_name_pattern_and_size_and_given_back(service: RealService) -> None:
    made = service.json(
        "maintenance", "add", "host-1", "host-[34]", "--from", "+2h", "--until", "+3h",
        "--reason", "new disks",
    )  # fmt: skip
    assert made["hosts"] == ["host-1", "host-3", "host-4"]
    assert (made["status"], made["reason"], made["leases"]) == ("planned", "new disks", "refuse")
    listed = service.run("maintenance", "list").stdout
    assert "host-1, host-3, host-4" in listed
    assert "new disks" in listed
    ended = service.run("maintenance", "end", str(made["id"]))
    assert ended.stdout == f"Maintenance {made['id']} is over.\n"
    assert service.run("maintenance", "list").stdout == "No maintenance is planned.\n"
    everything = service.json("maintenance", "add", "Memory>=4096", "--from", "+2h")
    assert len(everything["hosts"]) == 4
    assert everything["end"] is None


def test_leases_are_planned_around_it(service: RealService) -> None:
    service.json("maintenance", "add", "*", "--from", "+1h", "--until", "+2h")
    refused = service.json("request", "-t", "+90m", "-d", "10m", "-n", "1", status=1)
    assert refused["lease"]["state"] == "Rejected"
    assert refused["offer"] is not None


def test_who_runs_into_it_is_listed_before_it_is_done(service: RealService) -> None:
    waiting = service.json("request", "-t", "+90m", "-d", "10m", "-n", "3")["lease"]
    answer = service.run("maintenance", "add", "host-1", "--from", "+1h", input="n\n")
    assert f"Lease {waiting['id']} gets other hosts." in answer.stderr
    assert answer.exit_code == 1
    assert service.json("maintenance", "list")["maintenance"] == []
    answer = service.run("maintenance", "add", "host-1", "--from", "+1h", input="y\n")
    assert "is planned, from" in answer.stdout


def test_who_says_no_or_nothing_is_told_that_nothing_has_changed(service: RealService) -> None:
    """Both were told that they had interrupted it once, with the status of Ctrl-C."""
    service.json("request", "-t", "+90m", "-d", "10m", "-n", "3")
    words = "maintenance", "add", "host-1", "--from", "+1h"
    said = {"n\n": "Error: Nothing has changed.", "": "with --yes nobody is asked"}
    for given, told in said.items():
        done = subprocess.run(
            [HAIZEA, *words],
            input=given, capture_output=True, text=True, env=service.environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert told in done.stderr
        assert "interrupted" not in done.stderr
    assert service.json("maintenance", "list")["maintenance"] == []


def test_leases_are_named_only_where_they_are_in_the_way(service: RealService) -> None:
    service.json("maintenance", "add", "host-1", "--from", "+1h", "--until", "Never")
    answer = service.run("maintenance", "add", "host-1", "--from", "+2h", "--leases", "end")
    assert answer.stderr.endswith("change that one. Nothing has changed.\n")


def test_what_is_in_the_way_is_told_and_nothing_has_changed(service: RealService) -> None:
    running = service.json("request", "-t", "now", "-d", "10h", "-n", "1")["lease"]
    number = str(running["id"])
    until(lambda: service.json("show", number)["state"] == "Active", "it runs")
    before = service.json("show", number)
    answer = service.run("maintenance", "add", "host-1", "--from", "+1h")
    assert answer.exit_code == 1
    assert f"lease {running['id']} has host-1 until" in answer.stderr
    assert answer.stderr.endswith("Nothing has changed; see --leases.\n")
    assert "in the way" not in service.run("maintenance", "add", "host-1", "--yes").stdout
    assert service.json("show", number) == before
    drained = service.json("maintenance", "add", "host-1", "--leases", "stay")
    until_begun(service)
    assert drained["out"] == []
    waiting = service.json("request", "-t", "now", "-d", "1h", "-n", "13", status=1)
    assert waiting["lease"]["state"] == "Rejected"


def until_begun(service: RealService) -> None:
    until(
        lambda: service.json("maintenance", "list")["maintenance"][0]["status"] == "begun",
        "it begins",
    )


def test_hosts_show_when_they_are_out_of_use(service: RealService) -> None:
    assert "MAINTENANCE" not in service.run("hosts").stdout
    later = service.json("maintenance", "add", "host-2", "--from", "+2h", "--until", "+3h")
    drained = service.json("maintenance", "add", "host-1", "--leases", "stay")
    until(
        lambda: service.json("maintenance", "list")["maintenance"][-1]["out"] == ["host-1"],
        "the host is out of use",
    )
    title, first, second, third, _ = service.run("hosts").stdout.splitlines()
    assert "MAINTENANCE" in title
    assert f"now ({drained['id']})" in first
    assert "from 2" in second
    assert f"({later['id']})" in second
    assert "(" not in third


def test_it_is_changed_as_a_whole_or_not_at_all(service: RealService) -> None:
    made = service.json("maintenance", "add", "host-1", "--from", "+1h", "--until", "+2h")
    number = str(made["id"])
    changed = service.json("maintenance", "change", number, "--host", "host-2", "--reason", "fans")
    assert (changed["hosts"], changed["start"], changed["end"]) == (
        ["host-2"],
        made["start"],
        made["end"],
    )
    before = service.json("maintenance", "list")
    wrong = service.json("maintenance", "change", number, "--until", "+30m", status=2)
    assert "is not after its start" in wrong["error"]["message"]
    assert service.json("maintenance", "list") == before
    assert service.json("maintenance", "change", number, "--until", "never")["end"] is None


def test_what_cannot_be_is_told_in_local_time_also_where_nothing_is_asked(
    service: RealService,
) -> None:
    times = ("--from", "2030-03-01 12:00", "--until", "2030-03-01 11:00")
    with local_zone("Europe/Madrid"):
        answers = [service.run("maintenance", "add", "host-1", *times, *y) for y in ([], ["--yes"])]
    assert answers[0].stderr == answers[1].stderr
    assert "2030-03-01 11:00:00 CET, is not after its start" in answers[1].stderr


def test_a_window_from_the_past_on_begins_now(service: RealService) -> None:
    now = service.json("status")["now"]
    made = service.json("maintenance", "add", "host-1", "--from", "2020-01-01 0:00 UTC")
    assert made["start"] >= now


def test_a_window_is_changed_to_begin_in_the_past(service: RealService) -> None:
    now = service.json("status")["now"]
    made = service.json("maintenance", "add", "host-1", "--from", "+1h")
    change = ("maintenance", "change", str(made["id"]), "--from", "2020-01-01 0:00 UTC")
    changed = service.json(*change)
    assert changed["start"] >= now
    until_begun(service)
    assert service.json(*change)["start"] == changed["start"], "it has begun already"


def test_a_change_to_hosts_that_there_are_not_is_wrong_use(service: RealService) -> None:
    made = service.json("maintenance", "add", "host-1", "--from", "+1h")
    change = ("maintenance", "change", str(made["id"]), "--host", "host-9")
    assert service.run(*change, "--yes").exit_code == 2
    assert service.json(*change, status=2)["error"]["field"] == "hosts"
    assert service.json("maintenance", "list")["maintenance"] == [made]


def test_of_several_windows_those_that_are_known_are_ended_and_told(service: RealService) -> None:
    one, two = (
        str(service.json("maintenance", "add", host, "--from", "+1h")["id"])
        for host in ("host-1", "host-2")
    )
    answer = service.run("maintenance", "end", one, "77", two)
    assert answer.exit_code == 1
    assert answer.stdout == f"Maintenance {one} is over.\nMaintenance {two} is over.\n"
    assert answer.stderr == "Error: there is no maintenance 77\n"
    told = service.json("maintenance", "end", "77", status=1)
    assert (told["maintenance"], told["errors"][0]["code"]) == ([], "not-found")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["add", "host-9"], 2, "'host-9' is not a host of this site"),
        (["add", "rack-*"], 2, "no host of this site matches 'rack-*'"),
        (["add", "GPU>=1"], 2, "no host of this site matches 'GPU>=1'"),
        (["add", "host-1", "--from", "sometime"], 2, "sometime"),
        (["add", "host-1", "--until", "2001-01-01 10:00"], 1, "is over"),
        (["add", "host-1", "--leases", "kill"], 2, "kill"),
        (["add"], 2, "HOST"),
        (["change", "77", "--reason", "x"], 1, "there is no maintenance 77"),
        (["change", "77"], 2, "Say what to change"),
        (["end", "77"], 1, "there is no maintenance 77"),
        (["end", "zero"], 2, "'zero' is not the number of maintenance"),
        (["end", "99999999999999999999"], 2, "is not the number of maintenance"),
    ],
)
def test_wrong_input_is_told(
    service: RealService, arguments: list[str], status: int, said: str
) -> None:
    answer = service.run("maintenance", *arguments)
    assert answer.exit_code == status, answer.output
    assert said in answer.stderr


def test_of_two_changes_at_once_none_undoes_the_other(service: RealService) -> None:
    """Changes of one operator were lost once, where another changed something else."""
    made = service.json("maintenance", "add", "host-1", "--from", "+1h")
    path = f"/v1/maintenance/{made['id']}"

    def change(asked: dict[str, str]) -> int:
        try:
            return service.client().ask("PATCH", path, body=Body.of(asked)).status
        except Refusal as refused:
            return refused.status

    with ThreadPoolExecutor(2) as both:
        for number in range(10):
            end, reason = f"2100-01-01T00:00:{number:02}Z", f"reason {number}"
            granted = list(both.map(change, [{"end": end}, {"reason": reason}]))
            assert sorted(granted) in ([200, 200], [200, 412])
            (now,) = service.json("maintenance", "list")["maintenance"]
            assert [now["end"] == end, now["reason"] == reason] == [x == 200 for x in granted]


def test_a_window_that_ends_before_it_starts_is_invalid(service: RealService) -> None:
    times = ["--from", "2100-01-01 10:00", "--until", "2100-01-01 09:00"]
    wrong = service.run("maintenance", "add", "host-1", *times, "--yes")
    assert (wrong.exit_code, "is not after its start" in wrong.stderr) == (2, True)
    made = service.json("maintenance", "add", "host-1", "--from", "2100-01-01 10:00")
    body = Body.of({"end": "2100-01-01T00:00:00Z"})
    with pytest.raises(Refusal) as refused:
        service.client().ask("PATCH", f"/v1/maintenance/{made['id']}", body=body)
    assert refused.value.status == 422


def test_it_is_for_operators_and_everybody_sees_it(service: RealService) -> None:
    service.json("maintenance", "add", "host-1", "--from", "+1h")
    user = service.token("someone", Role.USER)
    assert len(service.json("maintenance", "list", token=user)["maintenance"]) == 1
    refused = service.run("maintenance", "add", "host-2", token=user)
    assert (refused.exit_code, "this is for an operator" in refused.stderr) == (1, True)


def test_a_service_that_is_killed_goes_on_with_it(tmp_path: Path) -> None:
    with QuickService(tmp_path) as process:
        process.start()
        with closing(process.client()) as client:
            planned = client.call(
                "POST", "/v1/maintenance", {"hosts": ["host-1"], "reason": "fans"}
            )
            assert planned[0] == 201, planned
            until(lambda: out(client) == ["host-1"], "the host is out of use")
            again(process)
            assert out(client) == ["host-1"]
            nodes = [{"count": 4, "resources": {"CPU": 100}}]
            lease = {"kind": "immediate", "duration": 3600, "nodes": nodes}
            assert client.call("POST", "/v1/leases", lease)[0] == 409
            assert client.call("DELETE", "/v1/maintenance/1")[0] == 200
            again(process)
            assert out(client) is None
            assert client.call("POST", "/v1/leases", lease)[0] == 201
            until(lambda: client.get("/v1/leases/2")["state"] == "Active", "it runs")
            later = {"hosts": ["host-1"], "reason": "disks", "leases": "stay"}
            another = client.call("POST", "/v1/maintenance", later)[1]
            assert another["id"] == 2, "an id that was used means one window for good"
        process.kill()
        assert not faults_of(process.save_results())


def again(process: QuickService) -> None:
    process.kill()
    process.start()


def out(client: Client) -> list[str] | None:
    """The hosts that are out of use, by the first window."""
    status, answer = client.call("GET", "/v1/maintenance")
    assert status == 200, answer
    found: list[list[str]] = [window["out"] for window in answer["maintenance"]]
    return found[0] if found else None
