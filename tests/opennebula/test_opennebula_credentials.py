"""Users of OpenNebula use Haizea's HTTP interface and commands with their credentials there."""

from __future__ import annotations

import base64
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from haizea.api.manager import Unavailable
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.connection import RetrySettings
from haizea.backends.opennebula.wire.session import Session
from haizea.cli.access import WrongAccess, find_token
from haizea.cli.commands import cli
from haizea.config import loads
from haizea.sandbox.server import Options, Sandbox
from haizea.service.passwords import Limits, Passwords
from haizea.service.paths import Paths
from haizea.service.service import Service
from haizea.service_types import Role
from haizea.store import Store


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


@contextmanager
def doorkeeper(
    options: Options | None = None, limits: Limits | None = None
) -> Iterator[tuple[Passwords, Sandbox, Clock]]:
    """Passwords as a sandbox knows them."""
    clock = Clock()
    with (
        Sandbox(options or Options(events_port=None)) as sandbox,
        Client(sandbox.url, Session(sandbox.session), retry=RetrySettings(attempts=1)) as client,
    ):
        yield Passwords(client.user, limits, clock), sandbox, clock


# --- who it is ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.4.0", "6.10.5", "7.4.0"])
def test_opennebula_says_who_it_is(version: str) -> None:
    with doorkeeper(Options(version=version)) as (passwords, _, _clock):
        alice = passwords("alice", "alicepass")
        assert alice is not None
        assert (alice.role, alice.owner) == (Role.USER, "alice")
        oneadmin = passwords("oneadmin", "onepass")
        assert oneadmin is not None
        assert oneadmin.role is Role.OPERATOR
        for user, password in (("alice", "onepass"), ("nobody", "x"), ("", "x"), ("alice", "")):
            assert passwords(user, password) is None


def test_a_login_token_works_as_a_password() -> None:
    with doorkeeper() as (passwords, sandbox, _):
        with Client(sandbox.url, Session("alice:alicepass")) as alice:
            token = str(alice.command("one.user.login", "alice", "", 600)[0])
        found = passwords("alice", token)
        assert found is not None
        assert found.owner == "alice"


def test_a_right_answer_is_believed_for_a_minute_and_a_wrong_one_never() -> None:
    with doorkeeper() as (passwords, sandbox, clock):
        assert passwords("alice", "alicepass") is not None
        sandbox.stop()
        clock.moment += 59
        assert passwords("alice", "alicepass") is not None
        with pytest.raises(Unavailable):
            passwords("alice", "other")
        clock.moment += 2
        with pytest.raises(Unavailable):
            passwords("alice", "alicepass")
        sandbox.start()
        assert passwords("alice", "alicepass") is not None


def test_passwords_are_nowhere_in_memory_or_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with doorkeeper() as (passwords, sandbox, _):
        assert passwords("alice", "alicepass") is not None
        assert passwords("alice", "wrongpass") is None
        sandbox.stop()
        with pytest.raises(Unavailable):
            passwords("bob", "otherpass")
        kept = repr(vars(passwords))
    for secret in ("alicepass", "wrongpass", "otherpass"):
        assert secret not in kept
        assert secret not in caplog.text


def test_guessing_is_stopped_for_one_name_and_not_for_others() -> None:
    with doorkeeper(limits=Limits(failures=3)) as (passwords, _, clock):
        for number in range(3):
            assert passwords("alice", f"guess{number}") is None
        with pytest.raises(Unavailable, match="too many wrong passwords"):
            passwords("alice", "alicepass")
        assert passwords("oneadmin", "onepass") is not None
        clock.moment += 61
        assert passwords("alice", "alicepass") is not None


def test_opennebula_is_not_asked_without_end() -> None:
    with doorkeeper(limits=Limits(questions=5)) as (passwords, _, clock):
        for number in range(5):
            assert passwords(f"user{number}", "x") is None
        with pytest.raises(Unavailable, match="too many passwords"):
            passwords("alice", "alicepass")
        clock.moment += 61
        assert passwords("alice", "alicepass") is not None


# --- a service ----------------------------------------------------------------------------

CONFIGURATION = """\
[general]
mode: {mode}
[simulation]
{simulation}
[service]
listen: 127.0.0.1:0
state-directory: {directory}/state
[world]
file: {directory}/world.db
[opennebula]
host: 127.0.0.1
port: {port}
events: {events}
"""


@contextmanager
def serving(
    directory: Path, monkeypatch: pytest.MonkeyPatch, mode: str = "opennebula"
) -> Iterator[tuple[str, Sandbox]]:
    """A service, its address, and the OpenNebula that it drives or that is just there."""
    simulation = "" if mode == "opennebula" else "clock: real\nresources: 1 CPU:100 Memory:1024"
    with Sandbox(Options()) as sandbox:
        auth = directory / "one_auth"
        auth.write_text(sandbox.session, encoding="utf-8")
        monkeypatch.setenv("ONE_AUTH", str(auth))
        text = CONFIGURATION.format(
            mode=mode,
            simulation=simulation,
            directory=directory,
            port=sandbox.port,
            events=sandbox.events_url,
        )
        config = loads(text, directory / "haizea.conf")
        paths = Paths(directory / "state")
        paths.prepare()
        store = Store.open(str(directory / "leases.db"))
        assert store.lock(wait=False, stopped=lambda: False)
        service = Service(config, store, paths, logging.getLogger("haizea"))
        service.start()
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield service.url, sandbox
        finally:
            service.stop()
            thread.join()
            service.close()
            store.close()


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def ask(url: str, path: str, authorization: str, method: str = "GET") -> tuple[int, Any]:
    request = urllib.request.Request(
        url + path, headers={"Authorization": authorization}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_users_see_and_cancel_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(tmp_path, monkeypatch) as (url, sandbox):
        ids = {}
        for user, password in (*sandbox.options.users, ("oneadmin", "onepass")):
            with Client(sandbox.url, Session(f"{user}:{password}")) as client:
                template = 'CPU="1"\nMEMORY="64"\nHAIZEA=[ START="+01:00:00", DURATION="60" ]'
                ids[user] = int(client.command("one.vm.allocate", template, False)[0])
        alice, oneadmin = basic("alice:alicepass"), basic("oneadmin:onepass")
        leases: list[Any] = []
        for _ in range(200):
            _, answer = ask(url, "/v1/leases", oneadmin)
            leases = answer["leases"]
            if len(leases) == 2:
                break
            threading.Event().wait(0.1)
        found = {lease["owner"]: lease for lease in leases}
        assert found["alice"]["names"] == [str(ids["alice"])]
        # Alice's alone are hers.
        _, answer = ask(url, "/v1/leases", alice)
        assert [lease["owner"] for lease in answer["leases"]] == ["alice"]
        other = f"/v1/leases/{found['oneadmin']['id']}"
        assert ask(url, other, alice)[0] == 404
        assert ask(url, other, alice, "DELETE")[0] == 404
        assert ask(url, "/v1/tokens", alice)[0] == 403
        assert ask(url, "/v1/tokens", oneadmin)[0] == 200
        # The commands find the credentials, and show VMs and owners.
        auth = tmp_path / "alice_auth"
        auth.write_text("alice:alicepass\n", encoding="utf-8")
        auth.chmod(0o600)
        monkeypatch.setenv("ONE_AUTH", str(auth))
        listed = run("list", "-s", url)
        assert listed.exit_code == 0, listed.output
        heading, row = listed.output.splitlines()
        assert row.split()[1] == "alice"
        assert row.split()[heading.split().index("VMS")] == str(ids["alice"])
        done = run("cancel", "-s", url, "--one-auth", str(auth), str(found["alice"]["id"]))
        assert done.output == f"Lease {found['alice']['id']} is Cancelled.\n"


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice:wrong"),
        basic("alice"),
        basic(":alicepass"),
        "Basic",
        "Basic !!!",
        "Basic " + "A" * 2000,
        "Basic /w==",
        "Bearer alice:alicepass",
        "Digest x",
        basic("alice:alicepass") + ", " + basic("alice:alicepass"),
    ],
)
def test_wrong_credentials_are_refused_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authorization: str
) -> None:
    with serving(tmp_path, monkeypatch) as (url, _):
        status, answer = ask(url, "/v1/leases", authorization)
        assert (status, answer["error"]["code"]) == (401, "unauthorized")


def test_where_there_is_no_opennebula_there_are_no_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(tmp_path, monkeypatch, "simulated") as (url, sandbox):
        assert ask(url, "/v1/leases", basic(sandbox.session))[0] == 401
        told = run("list", "-s", url)
        assert told.exit_code == 1
        assert "does not take the credentials in" in told.output
        assert "onepass" not in told.output


def test_while_opennebula_is_away_tokens_work_and_passwords_are_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, monkeypatch) as (url, sandbox):
        sandbox.stop()
        token = (tmp_path / "state/token").read_text(encoding="utf-8").strip()
        assert ask(url, "/v1/leases", f"Bearer {token}")[0] == 200
        assert ask(url, "/v1/leases", basic("alice:alicepass"))[0] == 503


# --- the command line's side --------------------------------------------------------------


def test_which_credentials_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    auth = tmp_path / "auth"
    auth.write_text("alice:pass:word\nsecond line\n", encoding="utf-8")
    auth.chmod(0o600)
    environment = {"ONE_AUTH": str(auth)}
    found = find_token(None, environment)
    assert (found.is_password, found.authorization) == (True, basic("alice:pass:word"))
    assert "pass" not in repr(found)
    # A token goes first, but not before what is named.
    token = find_token(None, {**environment, "HAIZEA_TOKEN": "hz_abc"})
    assert token.authorization == "Bearer hz_abc"
    assert find_token(None, {"HAIZEA_TOKEN": "hz_abc"}, auth).is_password
    assert find_token(None, {}).secret is None
    with pytest.raises(WrongAccess, match="do not go together"):
        find_token(auth, {}, auth)
    auth.chmod(0o644)
    assert "chmod 600" in find_token(None, environment).warning
    for text in ("", "alice", "alice:", ":word"):
        auth.write_text(text, encoding="utf-8")
        with pytest.raises(WrongAccess, match="write user:password"):
            find_token(None, environment)


def test_a_password_crosses_no_network_in_the_clear(tmp_path: Path) -> None:
    auth = tmp_path / "auth"
    auth.write_text("alice:alicepass", encoding="utf-8")
    auth.chmod(0o600)
    done = run("list", "-s", "http://192.0.2.1", "--one-auth", str(auth))
    assert done.exit_code == 2
    assert "without encryption" in done.output


def test_a_token_of_another_service_does_not_stand_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".haizea").mkdir(parents=True)
    usual = home / ".haizea/token"
    usual.write_text("hz_of_another_service\n", encoding="utf-8")
    usual.chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    with serving(tmp_path, monkeypatch) as (url, _):
        auth = tmp_path / "alice_auth"
        auth.write_text("alice:alicepass\n", encoding="utf-8")
        auth.chmod(0o600)
        monkeypatch.setenv("ONE_AUTH", str(auth))
        shown = run("status", "-s", url)
        assert shown.exit_code == 0, shown.output
        assert "You are:  alice, user" in shown.output
        # What is asked with by name is not replaced by anything else.
        assert run("status", "-s", url, "--token-file", str(usual)).exit_code == 1
        auth.write_text("alice:wrong\n", encoding="utf-8")
        refused = run("status", "-s", url)
        assert refused.exit_code == 1
        assert f"nor the credentials in {auth}" in refused.output
        # A token that the service knows goes first.
        usual.write_text((tmp_path / "state/token").read_text("utf-8"), encoding="utf-8")
        assert "You are:  operator, operator" in run("status", "-s", url).output
