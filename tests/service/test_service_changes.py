"""Changes of leases through commands, the HTTP interface and a service that is killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from real_service import RealService, real_service
from service_process import ServiceProcess, until

from haizea.service_types import Role


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("changes")) as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_remains(service: RealService) -> Iterator[None]:
    yield
    service.cancel_all()


def asked(service: RealService, *arguments: str) -> str:
    return str(service.json("request", *arguments)["lease"]["id"])


def active(service: RealService, number: str) -> None:
    until(lambda: service.json("show", number)["state"] == "Active", "it runs")


def test_what_runs_is_extended_shortened_and_told(service: RealService) -> None:
    number = asked(service, "-t", "now", "-d", "1h", "-n", "1")
    active(service, number)
    answer = service.run("change", number, "--extend", "2h")
    assert answer.exit_code == 0, answer.output
    assert f"Lease {number} is changed: 3h in all, until" in answer.stdout
    changed = service.json("change", number, "--shorten", "30m", "--preemptible")
    assert (changed["granted"], changed["lease"]["duration"]) == (True, 9000)
    assert changed["lease"]["preemptible"]
    assert "it was changed" in service.run("show", number).stdout


def test_a_change_that_is_refused_tells_what_would_do_and_changes_nothing(
    service: RealService,
) -> None:
    number = asked(service, "-t", "now", "-d", "1h", "-n", "1")
    active(service, number)
    asked(service, "-t", "+3h", "-d", "1h", "-n", "4", "-c", "4")
    before = service.json("show", number)
    answer = service.run("change", number, "--extend", "5h")
    assert answer.exit_code == 1
    assert "its hosts are promised between" in answer.stderr
    assert "The latest end that would do:" in answer.stderr
    assert service.json("show", number) == before
    assert service.run("change", number, "-n", "2").exit_code == 1


def test_a_reservation_gets_another_start_and_size(service: RealService) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1")
    old = service.json("show", number)
    changed = service.json("change", number, "--start", "+5h", "-n", "3", "-m", "2G")
    assert changed["lease"]["start"] > old["start"]
    assert changed["lease"]["nodes"] == [{"count": 3, "resources": {"CPU": 100, "Memory": 2048}}]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "Say what to change"),
        (["--extend", "soon"], 2, "soon"),
        (["--start", "never"], 2, "never"),
        (["--shorten", "9h"], 1, "cancel it instead"),
        (["--nodes", "0"], 2, "0"),
    ],
)
def test_wrong_input_is_told(
    service: RealService, arguments: list[str], status: int, said: str
) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1")
    answer = service.run("change", number, *arguments)
    assert answer.exit_code == status, answer.output
    assert said in answer.stderr


def test_another_owners_lease_is_not_there(service: RealService) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1")
    user = service.token("stranger", Role.USER)
    answer = service.run("change", number, "--extend", "1h", token=user)
    assert (answer.exit_code, f"there is no lease {number}" in answer.stderr) == (1, True)


def test_if_match_and_kill_in_the_middle(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as process:
        process.start()
        with closing(process.client()) as client:
            nodes = [{"count": 1, "resources": {"CPU": 100}}]
            lease = {"kind": "immediate", "duration": 3600, "nodes": nodes}
            assert client.call("POST", "/v1/leases", lease)[0] == 201
            until(lambda: client.get("/v1/leases/1")["state"] == "Active", "it runs")
            stale = {"If-Match": '"nothing"'}
            assert client.call("PATCH", "/v1/leases/1", {"extend": 60}, stale)[0] == 412
            status, changed = client.call("PATCH", "/v1/leases/1", {"extend": 60})
            assert (status, changed["lease"]["duration"]) == (200, 3660)
            process.kill()
            process.start()
            found = client.get("/v1/leases/1")
            assert (found["duration"], found["state"]) == (3660, "Active")
            assert found["planned_end"] == changed["lease"]["planned_end"]
