"""Changes of leases through commands, the HTTP interface and a service that is killed meanwhile."""

from __future__ import annotations

import http.client
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from quick_service import QuickService
from real_service import RealService, real_service
from service_process import until

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
    # What makes no sense at any time is wrong input.
    assert service.run("change", number, "-n", "99999").exit_code == 2
    assert service.run("change", number, "--extend", "1h", "--shorten", "1h").exit_code == 2


def test_a_dry_run_tells_what_a_change_leads_to_and_changes_nothing(service: RealService) -> None:
    number = asked(service, "-t", "now", "-d", "1h", "-n", "1")
    active(service, number)
    asked(service, "-t", "+3h", "-d", "1h", "-n", "4", "-c", "4")
    before = service.json("show", number)
    last_event = service.manager.last_event_id()
    answer = service.run("change", number, "--extend", "1h", "--dry-run")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert f"Lease {number} could be changed: 2h in all, until" in answer.stdout
    assert answer.stdout.endswith(". Nothing has changed.\n")
    refused = service.run("change", number, "--extend", "5h", "--dry-run")
    assert refused.exit_code == 1
    assert "The latest end that would do:" in refused.stderr
    foreseen = service.json("change", number, "--extend", "1h", "--non-preemptible", "--dry-run")
    assert service.json("show", number) == before
    assert service.manager.last_event_id() == last_event, "nothing was decided"
    changed = service.json("change", number, "--extend", "1h", "--non-preemptible")
    terms = ("duration", "planned_start", "planned_end", "preemptible", "state", "remaining")
    assert [foreseen["lease"][name] for name in terms] == [changed["lease"][name] for name in terms]


def test_a_dry_run_of_what_waits_and_of_a_reservation(service: RealService) -> None:
    asked(service, "-t", "now", "-d", "1h", "-n", "4", "-c", "4", "-m", "4G")
    waits = asked(service, "-d", "1h", "-n", "2", "-c", "4")
    foreseen = service.json("change", waits, "-n", "3", "--dry-run")
    assert foreseen["granted"]
    assert foreseen["lease"]["nodes"][0]["count"] == 3
    assert foreseen["lease"]["planned_start"] is None, "the queue says when"
    later = asked(service, "-t", "+5h", "-d", "1h", "-n", "1")
    start = service.json("change", later, "--start", "+6h", "--dry-run")["lease"]["planned_start"]
    assert start > service.json("show", later)["planned_start"]


def test_all_that_is_told_of_a_lease_has_its_new_start(service: RealService) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1")
    foreseen = service.json("change", number, "--start", "2030-03-01 12:00 UTC", "--dry-run")
    service.run("change", number, "--start", "2030-03-01 12:00 UTC")
    shown = service.json("show", number)
    for lease in (foreseen["lease"], shown):
        moments = [lease[name] for name in ("start", "planned_start", "expected")]
        assert moments == ["2030-03-01T12:00:00Z"] * 3
        assert lease["reason"] == "expected to start 2030-03-01 12:00:00"
    story = [entry["reason"] for entry in shown["story"]]
    assert story[-2:] == ["expected to start 2030-03-01 12:00:00", "it was changed"]


def test_what_waits_tells_the_start_that_another_lease_leaves_it(service: RealService) -> None:
    everything = ("-n", "4", "-c", "4", "-m", "1G")
    asked(service, "-t", "now", "-d", "1h", *everything)
    before = asked(service, "-t", "+1h", "-d", "1h", *everything)
    waits = asked(service, "-d", "1h", *everything)
    changed = service.json("change", before, "--extend", "2h")
    expected = changed["lease"]["planned_end"]
    shown = service.json("show", waits)
    assert (shown["state"], shown["expected"]) == ("Scheduled", expected)
    (place,) = service.json("queue")["queue"]
    told = f"expected to start {expected.replace('T', ' ').rstrip('Z')}"
    assert (place["expected"], place["lease"]["reason"]) == (expected, told)
    assert shown["story"][-1]["reason"] == told


class Between(BaseHTTPRequestHandler):
    """Passes requests on to the service, in which another shell is faster with a change."""

    server: Slow

    def do_GET(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self.server.service.run("change", self.path.rpartition("/")[2], "--cpu", "2")
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection(self.server.service.url.removeprefix("http://"))
        with closing(there):
            there.request(self.command, self.path, body, dict(self.headers))
            answer = there.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.read())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Slow(ThreadingHTTPServer):
    """A slow way to a service."""

    def __init__(self, service: RealService) -> None:
        super().__init__(("127.0.0.1", 0), Between)
        self.service = service


def test_of_two_changes_of_its_nodes_at_once_none_undoes_the_other(service: RealService) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1", "-c", "1")
    with Slow(service) as slow:
        thread = threading.Thread(target=slow.serve_forever)
        thread.start()
        try:
            port = slow.server_port
            answer = service.run("change", number, "-n", "3", "-s", f"127.0.0.1:{port}")
        finally:
            slow.shutdown()
            thread.join()
    assert (answer.exit_code, "was changed: look at it again" in answer.stderr) == (1, True)
    (nodes,) = service.json("show", number)["nodes"]
    assert (nodes["count"], nodes["resources"]["CPU"]) == (1, 200)


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
        (["--shorten", "9h"], 2, "cancel it instead"),
        (["--extend", "1h", "--duration", "3h"], 2, "say one of duration and extend"),
        (["--extend", "9000000d"], 2, "too long"),
        (["--start", "2600-01-01 0:00"], 2, "in the years 2000 to 2500"),
        (["--nodes", "0"], 2, "0"),
    ],
)
def test_wrong_input_is_told(
    service: RealService, arguments: list[str], status: int, said: str
) -> None:
    number = asked(service, "-t", "+2h", "-d", "9000000d" if "9000000d" in arguments else "1h")
    answer = service.run("change", number, *arguments)
    assert answer.exit_code == status, answer.output
    assert said in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--duration", "unlimited"], "a lease with a deadline needs a duration"),
        (["--deadline", "2600-01-01 0:00"], "in the years 2000 to 2500"),
    ],
)
def test_a_lease_with_a_deadline_keeps_what_it_needs(
    service: RealService, arguments: list[str], said: str
) -> None:
    number = asked(service, "--deadline", "+9h", "-d", "1h")
    answer = service.run("change", number, *arguments)
    assert (answer.exit_code, said in answer.stderr) == (2, True), answer.output


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """A service with leases of each kind, and host-4 in maintenance from in 20 hours on."""
    with real_service(tmp_path_factory.mktemp("busy")) as started:
        whole = ("-c", "4", "-m", "4G")
        active(started, asked(started, "-t", "now", "-d", "1h", "-n", "1", *whole))
        asked(started, "-t", "+3h", "-d", "1h", "-n", "4", *whole)
        asked(started, "-t", "+5h", "-d", "1h", "-n", "1", *whole)
        asked(started, "--after", "+6h", "--deadline", "+8h", "-d", "1h", "-n", "1", *whole)
        asked(started, "-t", "best_effort", "-d", "20h", "-n", "4", *whole)
        window = ("--from", "+20h", "--until", "+21h", "--reason", "fans")
        started.json("maintenance", "add", "host-4", *window)
        yield started


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["change", "1", "--extend", "5h"], "its hosts are promised between"),
        (["change", "1", "--nodes", "2"], "only its end can change"),
        (["change", "1", "--shorten", "90m"], "cancel it instead"),
        (["change", "2", "--nodes", "5"], "never has room for 5 nodes"),
        (["change", "2", "--start", "+1m"], "at most 3 free"),
        (["change", "3", "--start", "+3h"], "between"),
        (["change", "4", "--deadline", "+6h"], "too soon"),
        (["change", "4", "--after", "+3h", "--deadline", "+4h"], "at no time between"),
        (["change", "5", "--nodes", "9"], "never has room for 9 nodes"),
        (["change", "99", "--extend", "1h"], "there is no lease 99"),
        (["maintenance", "add", "host-*", "--from", "+3h", "--until", "+4h"], "nothing else is"),
        (["maintenance", "change", "1", "--from", "now", "--host", "host-*"], "lease 1 has"),
        (["maintenance", "change", "1", "--until", "+19h"], "not after its start"),
        (["maintenance", "add", "host-4", "--from", "+20h"], "by window 1: change that one"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_the_store_as_it_was(
    busy: RealService, arguments: list[str], said: str
) -> None:
    before, told_before = kept(busy)
    answer = busy.run(*arguments, *(["--yes"] if arguments[0] == "maintenance" else []))
    # These are wrong input, whenever they come.
    status = 2 if said in {"cancel it instead", "not after its start"} else 1
    assert (answer.exit_code, said in answer.stderr) == (status, True), answer.output
    after, told = kept(busy)
    assert after == before
    assert told[: len(told_before)] == told_before
    news = {kind for _, kind, _ in told[len(told_before) :]}
    assert news <= {"ChangeRefused", "MaintenanceChanged"}


def kept(
    service: RealService,
) -> tuple[dict[str, list[tuple[object, ...]]], list[tuple[object, ...]]]:
    """Every row of every table, but the count of turns and their moment; and what was told."""
    with closing(sqlite3.connect(service.store_file)) as store:
        names = [
            name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = {
            name: store.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in names
        }
        rows["state"] = store.execute(
            "SELECT epoch, holder, next_lease, site FROM state"
        ).fetchall()
        del rows["events"]
        return rows, store.execute("SELECT id, kind, document FROM events ORDER BY id").fetchall()


def test_another_owners_lease_is_not_there(service: RealService) -> None:
    number = asked(service, "-t", "+2h", "-d", "1h", "-n", "1")
    user = service.token("stranger", Role.USER)
    answer = service.run("change", number, "--extend", "1h", token=user)
    assert (answer.exit_code, f"there is no lease {number}" in answer.stderr) == (1, True)


def test_if_match_and_kill_in_the_middle(tmp_path: Path) -> None:
    with QuickService(tmp_path) as process:
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
