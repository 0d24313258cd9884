"""``haizea opennebula check``: what is right and wrong in a set-up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from haizea.backends.opennebula.model.waiting import HOLD, PENDING
from haizea.backends.opennebula.site.placer import install_placer
from haizea.backends.opennebula.site.setup_check import Finding, Setup, Verdict, check_setup
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.connection import RetrySettings
from haizea.backends.opennebula.wire.session import Session
from haizea.cli.commands import cli
from haizea.sandbox.server import HostSpec, Options, Sandbox

EVERYTHING = ["reachable", "version", "credentials", "rights", "zone", "other scheduler"]
EVERYTHING += ["preemption", "clock", "events", "hosts"]
RIGHT, DOUBTFUL, WRONG = Verdict.RIGHT, Verdict.DOUBTFUL, Verdict.WRONG


def findings(
    options: Options,
    *,
    session: str | None = None,
    now: Callable[[], float] = time.time,
    prepare: Callable[[Sandbox], object] = lambda sandbox: None,
    **setup: Any,
) -> dict[str, list[Finding]]:
    """Return what is found in a sandbox, by what was looked at."""
    with Sandbox(options) as sandbox:
        prepare(sandbox)
        given = {"events": sandbox.events_url, "event_seconds": 20.0, **setup}
        retry = RetrySettings(attempts=1)
        with Client(sandbox.url, Session(session or sandbox.session), retry=retry) as client:
            found: dict[str, list[Finding]] = {}
            for finding in check_setup(client, Setup(url=sandbox.url, **given), now):
                found.setdefault(finding.what, []).append(finding)
                assert finding.text
                assert finding.verdict is not WRONG or finding.advice, finding
            return found


def one(found: dict[str, list[Finding]], what: str) -> Finding:
    [finding] = found[what]
    return finding


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """A list of processes as Linux has it, without a scheduler."""
    for number, name in ((1, "init"), (77, "oned")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(name + "\n", encoding="utf-8")
    (tmp_path / "self").mkdir()
    (tmp_path / "78").mkdir()  # just ended
    return tmp_path


@pytest.mark.parametrize("version", ["1.4.0", "5.12.0", "6.10.5", "7.4.0"])
def test_all_is_right(version: str, processes: Path) -> None:
    found = findings(Options(version=version), processes=processes, waits_in=PENDING)
    verdicts = {what: {finding.verdict for finding in each} for what, each in found.items()}
    assert verdicts == {what: {RIGHT} for what in EVERYTHING}
    assert one(found, "hosts").text == "4 of 4 can be used: 32 cores, 65536 MB"


def test_nobody_answers() -> None:
    with Client("http://127.0.0.1:9/RPC2", Session("a:b"), retry=RetrySettings(attempts=1)) as one:
        [finding] = check_setup(one, Setup(url="http://127.0.0.1:9/RPC2"), time.time)
    assert (finding.what, finding.verdict) == ("reachable", WRONG)


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5"])
def test_wrong_credentials(version: str) -> None:
    found = findings(Options(version=version), session="oneadmin:secretword")
    assert list(found)[-1] == "credentials"
    finding = one(found, "credentials")
    assert finding.verdict is WRONG
    assert "ONE_AUTH" in finding.advice
    assert "secretword" not in str(found)


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5", "7.4.0"])
def test_an_ordinary_user_has_no_rights(version: str) -> None:
    found = findings(Options(version=version), session="alice:alicepass")
    assert one(found, "rights").verdict is WRONG
    assert "oneadmin" in one(found, "rights").advice


# --- other schedulers ---------------------------------------------------------------------


def test_mm_sched_runs(processes: Path) -> None:
    (processes / "99").mkdir()
    (processes / "99/comm").write_text("mm_sched\n", encoding="utf-8")
    finding = one(findings(Options(), processes=processes), "other scheduler")
    assert finding.verdict is WRONG
    assert "process 99" in finding.text
    # Beside it, VMs on hold can be Haizea's.
    beside = findings(Options(), processes=processes, waits_in=HOLD)
    assert one(beside, "other scheduler").verdict is DOUBTFUL
    assert "on hold" in one(beside, "other scheduler").text


def test_another_machines_processes_are_not_seen() -> None:
    finding = one(findings(Options(), processes=None), "other scheduler")
    assert finding.verdict is DOUBTFUL


@pytest.mark.parametrize(
    ("hold", "stock", "takes", "verdict", "said"),
    [
        (False, False, "pending", RIGHT, "dummy"),
        (False, False, "", WRONG, "only VMs on hold"),
        (False, True, "pending", WRONG, "rank"),
        (False, True, "", WRONG, "rank"),
        (False, True, "both", WRONG, "rank"),
        (True, True, "both", WRONG, "rank"),
        (True, True, "hold", RIGHT, "on hold"),
        (True, True, "", RIGHT, "on hold"),
        (True, False, "pending", WRONG, "vm-states is pending"),
        (False, True, "hold", DOUBTFUL, "on hold"),
    ],
)
def test_the_scheduler_of_version_7(
    hold: bool, stock: bool, takes: str, verdict: Verdict, said: str
) -> None:
    options = Options(
        version="7.4.0", submit_on_hold=hold, stock_scheduler_seconds=3600.0 if stock else None
    )
    states = {"": None, "pending": PENDING, "hold": HOLD, "both": PENDING | HOLD}
    finding = one(findings(options, waits_in=states[takes]), "other scheduler")
    assert (finding.verdict, said in finding.text) == (verdict, True), finding


def test_haizeas_own_placer_is_right_where_it_wakes_this_haizea(tmp_path: Path) -> None:
    placers, wake = tmp_path / "remotes/scheduler", tmp_path / "state/wake"

    def verdict(name: str = "haizea", socket: Path = wake) -> Finding:
        options = Options(version="7.4.0", placer=name)
        found = findings(options, waits_in=PENDING, placers=placers, wake=socket)
        return one(found, "other scheduler")

    assert verdict().verdict is DOUBTFUL, "it is not there"
    install_placer(placers / "haizea", wake)
    assert verdict().verdict is RIGHT
    assert "Haizea's placer 'haizea'" in verdict().text
    elsewhere = verdict(socket=tmp_path / "other/wake")
    assert (elsewhere.verdict, "install-driver" in elsewhere.advice) == (DOUBTFUL, True)
    (placers / "mine").mkdir()
    (placers / "mine/place").write_text(f"WAKE = {str(wake)!r}\n", encoding="utf-8")
    assert verdict("mine").verdict is DOUBTFUL, "it is somebody else's"


@pytest.mark.parametrize("opennebula", ["here", "elsewhere"])
def test_the_command_finds_the_placer_where_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opennebula: str
) -> None:
    monkeypatch.setenv("ONE_LOCATION", str(tmp_path / opennebula))
    where = tmp_path / "here/var/remotes/scheduler/haizea"
    with Sandbox(Options(version="7.4.0", placer="haizea")) as sandbox:
        (tmp_path / "auth").write_text(sandbox.session)
        conf = tmp_path / "haizea.conf"
        conf.write_text(
            "[general]\nmode: opennebula\n[opennebula]\nhost: 127.0.0.1\n"
            f"port: {sandbox.port}\nevents: {sandbox.events_url}\nvm-states: pending\n"
            f"[service]\nstate-directory: {tmp_path}/state\n"
        )
        runner = CliRunner()
        words = ["opennebula", "install-driver", str(where), "-c", str(conf)]
        assert runner.invoke(cli, words).exit_code == 0
        done = runner.invoke(
            cli, ["opennebula", "check", "-c", str(conf), "--one-auth", str(tmp_path / "auth")]
        )
    assert done.exit_code == 0, done.output
    assert ("doubtful" in done.output) is (opennebula == "elsewhere")


# --- events, preemption, clock, hosts -----------------------------------------------------


def test_no_events() -> None:
    silent = Options(events_port=None)
    unheard = findings(silent, events="tcp://127.0.0.1:9", event_seconds=0.3)
    assert one(unheard, "events").verdict is DOUBTFUL
    off = findings(silent, events=None)
    assert (one(off, "events").verdict, one(off, "events").text) == (
        DOUBTFUL,
        "they are switched off",
    )
    nonsense = findings(silent, events="nonsense")
    assert one(nonsense, "events").verdict is WRONG


def test_suspending_is_doubtful_where_it_frees_nothing() -> None:
    assert one(findings(Options(), suspends=True), "preemption").verdict is DOUBTFUL
    old = findings(Options(version="1.4.0"), suspends=True)
    assert one(old, "preemption").verdict is RIGHT


@pytest.mark.parametrize(("ahead", "word"), [(-60, "60 s ahead of"), (90, "90 s behind")])
def test_clocks_that_differ(ahead: int, word: str) -> None:
    found = findings(Options(), now=lambda: time.time() + ahead)
    finding = one(found, "clock")
    assert finding.verdict is WRONG
    number = int(word.split()[0])
    assert any(f"{number + off} {word.split(' ', 1)[1]}" in finding.text for off in (-1, 0, 1))


def test_hosts_that_cannot_be_used() -> None:
    hosts = tuple(HostSpec(name=f"node{number}") for number in range(1, 9))

    def prepare(sandbox: Sandbox) -> None:
        sandbox.control.break_host(0)
        with Client(sandbox.url, Session(sandbox.session)) as client:
            for number in range(1, 8):
                client.command("one.host.status", number, 2 if number == 7 else 1)

    found = findings(Options(hosts=hosts), prepare=prepare)["hosts"]
    assert [finding.verdict for finding in found] == [WRONG, DOUBTFUL, DOUBTFUL, DOUBTFUL]
    assert found[0].text == "none of the 8 can be used"
    texts = [finding.text for finding in found[1:]]
    assert "6 in state disabled: node2, node3, node4, node5, node6 and 1 more" in texts
    assert "1 in state offline: node8" in texts
    assert one(findings(Options(host_count=0)), "hosts").text == "there are none"
    empty = findings(Options(hosts_monitored=False, host_count=1))["hosts"]
    assert [finding.verdict for finding in empty] == [WRONG, DOUBTFUL]


# --- the command --------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    with Sandbox(Options(version="7.4.0", submit_on_hold=True)) as sandbox:
        auth = tmp_path / "auth"
        auth.write_text(sandbox.session, encoding="utf-8")
        conf = tmp_path / "haizea.conf"
        text = (
            "[general]\nmode: opennebula\n[opennebula]\nhost: 127.0.0.1\n"
            f"port: {sandbox.port}\nevents: {sandbox.events_url}\nvm-states: "
        )
        conf.write_text(text + "hold\n", encoding="utf-8")
        command = ["opennebula", "check", "-c", str(conf), "--one-auth", str(auth)]
        done = runner.invoke(cli, command)
        assert done.exit_code == 0, done.output
        assert {line.split()[0] for line in done.output.splitlines()} == {"right"}
        conf.write_text(text + "pending\n", encoding="utf-8")
        done = runner.invoke(cli, [*command, "--output", "json"])
        assert done.exit_code == 1
        wrong = [entry for entry in json.loads(done.output) if entry["verdict"] == "wrong"]
        assert [entry["advice"] for entry in wrong] == ["write vm-states: hold in [opennebula]"]
        auth.write_text("nonsense", encoding="utf-8")
        done = runner.invoke(cli, command)
        assert done.exit_code == 2
        assert "user:password" in done.output


@pytest.mark.parametrize("endpoint", ["http://[::1", "http://", "localhost"])
def test_an_address_of_nothing(tmp_path: Path, endpoint: str) -> None:
    auth = tmp_path / "auth"
    auth.write_text("a:b", encoding="utf-8")
    command = ["opennebula", "check", "--endpoint", endpoint, "--one-auth", str(auth)]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 2
    assert "write one such as http://localhost:2633/RPC2" in done.output


def test_a_configuration_of_something_else(tmp_path: Path) -> None:
    auth = tmp_path / "auth"
    auth.write_text("a:b", encoding="utf-8")
    conf = tmp_path / "haizea.conf"
    conf.write_text(
        "[general]\nmode: simulated\n[simulation]\nclock: real\nresources: 1 CPU:100 Memory:64\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(
        cli, ["opennebula", "check", "-c", str(conf), "--one-auth", str(auth)]
    )
    assert done.exit_code == 2
    assert "has no host" in done.output
