"""Leases with a deadline through commands, the HTTP interface and a service that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from quick_service import QuickService
from real_service import RealService, real_service
from service_process import until

from haizea.cli.client import Body, Refusal


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    with real_service(tmp_path_factory.mktemp("deadlines")) as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_remains(service: RealService) -> Iterator[None]:
    yield
    service.cancel_all()


def test_one_is_accepted_with_its_deadline_and_shown(service: RealService) -> None:
    answer = service.run(
        *("request", "--after", "+1h", "--deadline", "+9h", "-d", "2h", "-n", "4", "-c", "4")
    )
    assert answer.exit_code == 0, answer.output
    assert "or at another time, and is done by" in answer.stdout
    (lease,) = service.json("list")["leases"]
    assert (lease["kind"], lease["start"], lease["duration"]) == ("deadline", None, 7200)
    shown = service.run("show", str(lease["id"])).stdout
    assert "Not before" in shown
    assert "Done by" in shown


def test_it_makes_room_for_a_reservation(service: RealService) -> None:
    whole = ("-n", "4", "-c", "4", "-m", "4G")
    asked = service.json("request", "--after", "+1h", "--deadline", "+9h", "-d", "2h", *whole)
    service.json("request", "-t", "+90m", "-d", "2h", *whole)
    number = asked["lease"]["id"]
    until(
        lambda: (
            service.json("show", str(number))["planned_start"] > asked["lease"]["planned_start"]
        ),
        "it is planned later",
    )


def test_one_that_is_refused_is_told_the_nearest_deadline(service: RealService) -> None:
    whole = ("-n", "4", "-c", "4", "-m", "4G")
    service.json("request", "-t", "+1h", "-d", "4h", *whole)
    answer = service.run("request", "--deadline", "+5h", "-d", "2h", *whole)
    assert answer.exit_code == 1
    assert "at no time between" in answer.stderr
    assert "The nearest deadline that would do is" in answer.stderr
    assert "ask again with --deadline" in answer.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deadline", "+5h", "-t", "+1h", "-d", "1h"], "give one of them"),
        (["--after", "+1h", "-d", "1h"], "goes with --deadline"),
        (["--deadline", "soon", "-d", "1h"], "'soon'"),
        (["--deadline", "+5h", "-d", "unlimited"], "needs a duration"),
    ],
)
def test_wrong_input_is_told(service: RealService, options: list[str], said: str) -> None:
    answer = service.run("request", *options)
    assert (answer.exit_code, said in answer.stderr) == (2, True), answer.output


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"kind": "deadline"}, "deadline"),
        ({"after": "+1h"}, "deadline"),
        ({"deadline": "+5h", "kind": "ar"}, "deadline"),
        ({"deadline": "+5h", "start": "+1h"}, "start"),
        ({"deadline": "@"}, "deadline"),
        ({"deadline": "+5h", "duration": None}, "duration"),
    ],
)
def test_wrong_forms_are_refused_and_nothing_dies(
    service: RealService, form: dict[str, object], field: str
) -> None:
    nodes = [{"count": 1, "resources": {"CPU": 100}}]
    body = Body.of({"duration": 60, "nodes": nodes} | form)
    with pytest.raises(Refusal, match=f"^{field}: "):
        service.client().ask("POST", "/v1/leases", body=body)


def test_its_window_is_changed(service: RealService) -> None:
    asked = service.json("request", "--after", "+1h", "--deadline", "+9h", "-d", "2h")
    number = str(asked["lease"]["id"])
    changed = service.json("change", number, "--after", "+3h", "--deadline", "+8h")
    assert changed["granted"]
    assert changed["lease"]["planned_start"] == changed["lease"]["after"]
    refused = service.run("change", number, "--deadline", "+4h")
    assert (refused.exit_code, "The nearest deadline" in refused.stderr) == (1, True)


def test_one_that_runs_makes_room_and_is_told_when_it_goes_on(service: RealService) -> None:
    whole = ("-n", "4", "-c", "4", "-m", "4G", "--preemptible")
    asked = service.json("request", "--deadline", "+20h", "-d", "4h", *whole)
    number = str(asked["lease"]["id"])
    until(lambda: service.json("show", number)["state"] == "Active", "it runs")
    other = service.json("request", "-t", "+2h", "-d", "1h", *whole[:-1])
    assert other["outcome"] == "accepted"
    shown = service.json("show", number)
    assert shown["reason_code"] == "goes-on-in-time"
    assert shown["reason"].startswith("suspended ")
    changed = service.run("change", number, "--extend", "2h")
    assert changed.exit_code == 0, changed.output
    assert "6h in all; suspended " in changed.stdout
    assert "; goes on " in changed.stdout
    refused = service.run("change", number, "--extend", "20h")
    assert (refused.exit_code, "Nothing has changed" in refused.stderr) == (1, True)


def test_killed_in_the_middle_nothing_is_lost(tmp_path: Path) -> None:
    with QuickService(tmp_path) as process:
        process.start()
        with closing(process.client()) as client:
            nodes = [{"count": 1, "resources": {"CPU": 100}}]
            lease = {"after": "+1h", "deadline": "+9h", "duration": 3600, "nodes": nodes}
            status, asked = client.call("POST", "/v1/leases", lease)
            assert (status, asked["outcome"]) == (201, "accepted")
            process.kill()
            process.start()
            found = client.get(f"/v1/leases/{asked['lease']['id']}")
            for name in ("state", "after", "deadline", "planned_start", "planned_end"):
                assert found[name] == asked["lease"][name]
