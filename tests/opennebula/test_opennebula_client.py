"""The client against a real HTTP server: what it sends, and what it makes of what comes."""

from __future__ import annotations

import http.client
import logging
import pickle
import shutil
import socket
import ssl
import subprocess
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opennebula_replay import (
    NO_SUCH_METHOD,
    VERSIONS,
    Behaviour,
    ReplayServer,
    answer,
    by_method,
    recorded,
    send,
)
from shared_data import shared

from haizea.backends.opennebula.model.errors import (
    BadAnswer,
    NotInThisVersion,
    OpenNebulaError,
    RefusalKind,
    Refused,
    SessionError,
    Unreachable,
)
from haizea.backends.opennebula.model.pools import RaftState
from haizea.backends.opennebula.model.version import LEGACY, Version
from haizea.backends.opennebula.model.vm import VmState
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.commands import Action, Recovery
from haizea.backends.opennebula.wire.connection import ConnectionSettings, RetrySettings
from haizea.backends.opennebula.wire.session import Session, read_session

SECRET = "onepass"
SESSION = f"oneadmin:{SECRET}"
HASHED = "oneadmin:34c629abfcb47856b3d1c0a30798221aefb61605"
QUICK = RetrySettings(attempts=3, backoff_seconds=0.01)
PATIENT = ConnectionSettings(
    connect_seconds=20, silence_seconds=20, answer_seconds=60, largest_answer_bytes=1 << 20
)
IMPATIENT = replace(PATIENT, silence_seconds=1)
HURRIED = replace(PATIENT, answer_seconds=1)
V7 = answer(True, "7.4.0", 0)
DONE = answer(True, 0, 0)


@contextmanager
def client_of(
    server: ReplayServer, retry: RetrySettings = QUICK, limits: ConnectionSettings = PATIENT
) -> Iterator[Client]:
    with Client(server.url, Session(SESSION), connection=limits, retry=retry) as client:
        yield client


@contextmanager
def serving(
    behave: Behaviour | dict[str, bytes], limits: ConnectionSettings = PATIENT
) -> Iterator[tuple[Client, ReplayServer]]:
    """A client of a server that behaves like this, or gives these answers by method."""
    if isinstance(behave, dict):
        behave = by_method({"one.system.version": V7, **behave})
    with ReplayServer(behave) as server, client_of(server, limits=limits) as client:
        yield client, server


def recorded_request(version: str, pattern: str) -> tuple[Any, ...]:
    (first, *_) = sorted(shared(f"opennebula/{version}").glob(f"{pattern}.request.xml"))
    parameters, _ = xmlrpc.client.loads(first.read_bytes())
    return parameters


# -- versions --


@pytest.mark.parametrize(
    ("said", "expected"),
    [("5.12.0.4", Version(5, 12)), ("6.10.5", Version(6, 10, 5)), ("7.4.0", Version(7, 4))],
)
def test_the_version_is_what_it_says(said: str, expected: Version) -> None:
    with serving({"one.system.version": answer(True, said, 0)}) as (client, server):
        assert client.version() == expected
        assert not client.version().is_legacy
        client.version()
        assert len(server.calls) == 1
        client.version(ask_again=True)
        assert len(server.calls) == 2


def test_without_a_version_it_is_1_4_and_gets_a_hashed_password() -> None:
    pool = recorded("1.4", "*hostpool.info__before*")
    with serving(by_method({"one.hostpool.info": pool})) as (client, server):
        assert client.version() == LEGACY
        assert client.user().name == "oneadmin"
        assert server.calls[-1] == ("one.hostpool.info", (HASHED,))


def test_a_newer_one_gets_the_password_as_it_is() -> None:
    with serving({"one.user.info": recorded("7.4.0", "*user.info*")}) as (client, server):
        assert client.user().name == "alice"
        assert server.calls[-1] == ("one.user.info", (SESSION, -1))
        assert client.user(Session("bob:token")).name == "alice"
        assert server.calls[-1] == ("one.user.info", ("bob:token", -1))


def test_a_version_that_makes_no_sense() -> None:
    with (
        serving({"one.system.version": answer(True, "next", 0)}) as (client, _),
        pytest.raises(BadAnswer, match="'next' is not a version"),
    ):
        client.version()


@pytest.mark.parametrize(
    ("version", "actions", "driver"), [((6, 6), False, False), ((6, 8), True, False)]
)
def test_what_a_version_does_itself(version: tuple[int, int], actions: bool, driver: bool) -> None:
    assert Version(*version).runs_scheduled_actions is actions
    assert Version(*version).scheduler_is_a_driver is driver
    assert Version(7, 0).scheduler_is_a_driver


# -- calls, as they were recorded --


def test_commands_are_sent_as_they_were_recorded() -> None:
    commands = ("deploy", "action", "migrate", "recover", "update")
    with serving({f"one.vm.{name}": DONE for name in commands}) as (client, server):
        for pattern, call in MODERN:
            call(client)
            assert server.calls[-1][1] == recorded_request("7.4.0", pattern), pattern


MODERN: list[tuple[str, Callable[[Client], None]]] = [
    ("024_vm.deploy__err_nods", lambda client: client.deploy(0, 0, datastore=77)),
    ("037_vm.action__suspend", lambda client: client.action(Action.SUSPEND, 0)),
    ("040_vm.action__resume", lambda client: client.action(Action.RESUME, 0)),
    ("057_vm.action__stop", lambda client: client.action(Action.STOP, 0)),
    ("077_vm.action__undeployhard", lambda client: client.action(Action.UNDEPLOY_HARD, 0)),
    ("157_vm.action__terminate", lambda client: client.action(Action.TERMINATE, 0)),
    ("129_vm.action__hard", lambda client: client.action(Action.TERMINATE_HARD, 3)),
    ("126_vm.recover__retry", lambda client: client.recover(3, Recovery.RETRY)),
    ("130_vm.recover__delete_recreate", lambda client: client.recover(4, Recovery.RECREATE)),
    ("131_vm.recover__delete", lambda client: client.recover(4, Recovery.DELETE)),
]


def test_commands_of_1_4_are_sent_as_they_were_recorded() -> None:
    answers = {f"one.vm.{name}": answer(True) for name in ("deploy", "action", "migrate")}
    calls: list[tuple[str, Callable[[Client], None]]] = [
        ("017_vm.deploy__ok", lambda client: client.deploy(0, 0)),
        ("023_vm.action__suspend", lambda client: client.action(Action.SUSPEND, 0)),
        ("041_vm.action__shutdown", lambda client: client.action(Action.TERMINATE, 0)),
        ("047_vm.action__finalize", lambda client: client.action(Action.TERMINATE_HARD, 1)),
        ("027_vm.migrate__cold", lambda client: client.migrate(0, 1)),
    ]
    with serving(by_method(answers)) as (client, server):
        for pattern, call in calls:
            call(client)
            assert server.calls[-1][1] == recorded_request("1.4", pattern), pattern


def test_what_1_4_cannot_do() -> None:
    with serving(by_method({})) as (client, server):
        for call in (
            lambda: client.action(Action.UNDEPLOY_HARD, 0),
            lambda: client.update(0, {"A": "1"}),
            lambda: client.recover(0, Recovery.RETRY),
            client.configuration,
        ):
            with pytest.raises(NotInThisVersion):
                call()
        assert client.raft_state() is RaftState.SOLO
        assert (client.clusters(), client.datastores(), client.vm_groups()) == ((), (), ())
        assert {method for method, _ in server.calls} == {"one.system.version"}


def test_an_update_adds_attributes() -> None:
    with serving({"one.vm.update": DONE}) as (client, server):
        client.update(7, {"HAIZEA_STATUS": {"STATE": 'a "b"'}, "SCHED_MESSAGE": "x\ny"})
        text = 'HAIZEA_STATUS=[ STATE="a \'b\'" ]\nSCHED_MESSAGE="x y"'
        assert server.sent("one.vm.update") == [(7, text, 1)]


def test_migrations_save_the_vm_and_go_to_a_datastore() -> None:
    with serving({"one.vm.migrate": DONE}) as (client, server):
        client.migrate(1, 2, datastore=100)
        client.migrate(0, 1)
        sent = [(1, 2, False, False, 100, 0), (0, 1, False, False, -1, 0)]
        assert server.sent("one.vm.migrate") == sent


# -- what there is, as it was recorded --


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_the_recorded_world(version: str) -> None:
    pools = ("hostpool.info", "hostpool.monitoring", "clusterpool.info", "datastorepool.info")
    names = (*pools, "vmgrouppool.info", "zone.raftstatus", "system.config", "system.version")
    answers = {f"one.{name}": recorded(version, f"*_{name}__*") for name in names}
    answers["one.vmpool.infoextended"] = recorded(version, "*infoextended__default")
    answers["one.vmpool.infoset"] = recorded(version, "*infoset__extended")
    with serving(answers) as (client, server):
        assert str(client.version()) == version
        hosts = client.hosts()
        assert len(hosts) == 8
        assert all("CAPACITY" in str(host.attributes["MONITORING"]) for host in hosts)
        assert (len(client.clusters()), len(client.datastores())) == (1, 3)
        assert client.vm_groups() == ()
        assert client.raft_state() is RaftState.SOLO
        assert "VM_SUBMIT_ON_HOLD" in client.configuration()
        vms = client.vms()
        assert [vm.id for vm in vms] == sorted(vm.id for vm in vms)
        assert client.vms_by_id([1, 0, 1])
        assert server.sent("one.vmpool.infoextended") == [(-2, -1, -1, -1)]
        assert server.sent("one.vmpool.infoset") == [("0,1", True)]


def test_many_ids_are_asked_for_in_parts() -> None:
    with serving({"one.vmpool.infoset": answer(True, "<VM_POOL></VM_POOL>", 0)}) as (client, s):
        assert client.vms_by_id(range(1001)) == ()
        assert [len(ids.split(",")) for ids, _ in s.sent("one.vmpool.infoset")] == [500, 500, 1]


def test_an_old_one_without_extended_pools() -> None:
    vm = recorded("6.10.5", "*vm.info__PENDING")
    answers = {
        "one.system.version": answer(True, "5.6.0", 0),
        "one.vmpool.info": recorded("6.10.5", "*infoextended__default"),
        "one.vm.info": vm,
    }
    with serving(answers) as (client, server):
        assert client.vms() == client.vms()
        assert client.host_monitoring() == {}
        assert client.vm_groups() == ()
        assert [one.id for one in client.vms_by_id([2])] == [2]
        assert [one.id for one in client.vms_by_id([2])] == [2]
        # What is not there is tried once.
        methods = [method for method, _ in server.calls]
        assert methods.count("one.vmpool.infoextended") == 1
        assert methods.count("one.vmpool.infoset") == 1


def test_vms_of_1_4_are_asked_for_one_by_one() -> None:
    one = recorded("1.4", "*vm.info__PENDING")

    def behave(handler: BaseHTTPRequestHandler, method: str, call: tuple[Any, ...]) -> None:
        if method == "one.vmpool.info":
            send(handler, pool_of_1_4())
        elif method == "one.vm.info" and call[1] == 1:
            send(handler, answer(True, "<VM><ID>1</ID><NAME>never ends"))
        elif method == "one.vm.info" and call[1] == 2:
            send(handler, answer(False, "Error getting VM 2: it does not exist"))
        elif method == "one.vm.info":
            send(handler, one)
        else:
            send(handler, NO_SUCH_METHOD)

    with serving(behave) as (client, server):
        (vm,) = client.vms()
        assert (vm.id, vm.uname, vm.cpu_percent) == (0, "oneadmin", 100)
        assert vm.template.vector("HAIZEA")["GROUP"] == "g1"
        assert [call[0] for call in server.sent("one.vm.info")] == [0, 1, 2]


def pool_of_1_4() -> bytes:
    vms = "".join(
        f"<VM><ID>{number}</ID><UID>0</UID><USERNAME>oneadmin</USERNAME><NAME>a<b</NAME>"
        f"<STATE>{state}</STATE><LCM_STATE>0</LCM_STATE></VM>"
        for number, state in enumerate([1, 1, 1, 6])
    )
    return answer(True, f"<VM_POOL>{vms}</VM_POOL>")


def test_hosts_of_1_4_have_their_templates() -> None:
    answers = {
        "one.hostpool.info": recorded("1.4", "*hostpool.info__monitored"),
        "one.host.info": recorded("1.4", "*host.info__monitored"),
    }
    with serving(by_method(answers)) as (client, server):
        hosts = client.hosts()
        assert hosts[0].template.text("HOSTNAME") == "n0-c800-m16384"
        assert [call[0] for call in server.sent("one.host.info")] == [0, 1, 2, 3]


def test_another_vm_than_asked_for_is_a_bad_answer() -> None:
    with serving({"one.vm.info": recorded("7.4.0", "*vm.info__PENDING")}) as (client, _):
        assert client.vm(0).state == VmState.PENDING
        with pytest.raises(BadAnswer, match="asked for VM 9, and got VM 0"):
            client.vm(9)


def test_a_refusal_says_what_opennebula_says() -> None:
    with serving({"one.vm.deploy": recorded("7.4.0", "*deploy__err_capacity*")}) as (client, s):
        with pytest.raises(Refused, match="Not enough CPU: 6400/800") as raised:
            client.deploy(1, 0)
        assert raised.value.kind is RefusalKind.NOT_NOW
        assert len(s.sent("one.vm.deploy")) == 1


# -- what goes wrong --


def failing(first: int, fail: Callable[[BaseHTTPRequestHandler], None], good: bytes) -> Behaviour:
    """Fails that many times, for each method but the version, then answers."""
    counts: dict[str, int] = {}

    def behave(handler: BaseHTTPRequestHandler, method: str, _: tuple[Any, ...]) -> None:
        counts[method] = counts.get(method, 0) + 1
        if method == "one.system.version":
            send(handler, V7)
        elif counts[method] <= first:
            fail(handler)
        else:
            send(handler, good)

    return behave


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(DONE[:100])
    hang_up(handler)


def unavailable(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"try later", 503)


def not_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    hang_up(handler)


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Until the client has enough of it."""
    handler.rfile.read(1)
    handler.close_connection = True


def limits(fail: object) -> ConnectionSettings:
    return IMPATIENT if fail is silent else PATIENT


FAILURES = [hang_up, cut_off, unavailable, not_http, silent]


@pytest.mark.parametrize("fail", FAILURES)
def test_what_only_reads_is_tried_again(fail: Callable[[BaseHTTPRequestHandler], None]) -> None:
    good = recorded("7.4.0", "*vm.info__PENDING")
    with serving(failing(2, fail, good), limits(fail)) as (client, server):
        assert client.vm(0).id == 0
        assert len(server.sent("one.vm.info")) == 3


@pytest.mark.parametrize("fail", FAILURES)
def test_it_gives_up(fail: Callable[[BaseHTTPRequestHandler], None]) -> None:
    with serving(failing(9, fail, DONE), limits(fail)) as (client, server):
        with pytest.raises(Unreachable, match=r"one\.vm\.info: http://127"):
            client.vm(0)
        # The kept connection may have been used once more, before the first try that counts.
        assert len(server.sent("one.vm.info")) - QUICK.attempts in (0, 1)


@pytest.mark.parametrize("fail", FAILURES)
def test_a_command_that_was_sent_is_not_sent_again(
    fail: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    with serving(failing(1, fail, DONE), limits(fail)) as (client, server):
        with pytest.raises(Unreachable) as raised:
            client.deploy(0, 0)
        assert raised.value.maybe_done
        assert len(server.sent("one.vm.deploy")) == 1


def test_an_update_that_was_sent_is_sent_again() -> None:
    with serving(failing(1, hang_up, DONE)) as (client, server):
        client.update(0, {"A": "1"})
        assert len(server.sent("one.vm.update")) == 2


def test_a_command_is_tried_again_while_nobody_listens() -> None:
    """The server comes up after the first tries."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tries = RetrySettings(attempts=200, backoff_seconds=0.01)
    url = f"http://127.0.0.1:{port}/RPC2"
    with Client(
        url, Session(SESSION), retry=RetrySettings(attempts=2, backoff_seconds=0)
    ) as client:
        with pytest.raises(Unreachable, match="connection refused") as raised:
            client.deploy(0, 0)
        assert not raised.value.maybe_done
    with Client(url, Session(SESSION), retry=tries) as client, ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.deploy, 0, 0)
        with ReplayServer(
            by_method({"one.system.version": V7, "one.vm.deploy": DONE}), port
        ) as server:
            call.result(timeout=60)
            assert server.sent("one.vm.deploy") == [(0, 0, False, -1, "")]


def slow(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def test_an_answer_that_drips_is_given_up() -> None:
    behave = failing(9, slow, DONE)
    with (
        ReplayServer(behave) as server,
        client_of(server, RetrySettings(attempts=1), HURRIED) as client,
        pytest.raises(Unreachable, match="takes longer than 1 s"),
    ):
        client.vm(0)


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = []

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        handler.wfile.write(answer(True, "x")[:150])
        for _ in range(1 << 20):
            handler.wfile.write(b"x" * 65536)
            sent.append(65536)

    with serving(failing(9, huge, DONE)) as (client, server):
        with pytest.raises(BadAnswer, match="larger than 1048576 bytes"):
            client.vm(0)
        assert len(server.sent("one.vm.info")) == 1
    assert sum(sent) < 64 << 20


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"<html>hello</html>", 200, "not XML-RPC"),
        (b"<html>hello</html>", 404, "404"),
        (b"", 302, "302"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><methodResponse>&a;</methodResponse>', 200, "document"),
        (answer(True, 7), 200, "answers no text"),
        (answer(True, "<VM><ID>0</ID>"), 200, "malformed"),
        (answer(True, "<HOST/>"), 200, "expected <VM>"),
    ],
)
def test_what_is_not_opennebula(body: bytes, status: int, what: str) -> None:
    def other(handler: BaseHTTPRequestHandler) -> None:
        send(handler, body, status)

    with serving(failing(9, other, DONE)) as (client, server):
        with pytest.raises(BadAnswer, match=what):
            client.vm(0)
        assert len(server.sent("one.vm.info")) == 1


def test_chunked_answers() -> None:
    data = recorded("7.4.0", "*vm.info__PENDING")

    def chunked(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(data), 1000):
            piece = data[start : start + 1000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    with serving(failing(9, chunked, DONE)) as (client, server):
        assert client.vm(0) == client.vm(0)
        assert len(server.connections) == 1


# -- connections --


def test_a_connection_is_kept_for_what_reads_alone() -> None:
    answers = {"one.vm.deploy": DONE, "one.vm.info": recorded("7.4.0", "*vm.info__PENDING")}
    with serving(answers) as (client, server):
        for _ in range(5):
            client.vm(0)
        assert len(server.connections) == 1
        for number in range(5):
            client.deploy(number, 0)
        assert len(server.connections) == 6


def test_a_connection_that_the_server_closes_costs_nothing() -> None:
    vm = recorded("7.4.0", "*vm.info__PENDING")

    def behave(handler: BaseHTTPRequestHandler, method: str, _: tuple[Any, ...]) -> None:
        send(handler, V7 if method == "one.system.version" else vm)
        # Without a word to the client.
        handler.close_connection = True

    once = RetrySettings(attempts=1)
    with ReplayServer(behave) as server, client_of(server, once) as client:
        for _ in range(20):
            assert client.vm(0).id == 0
        assert len(server.sent("one.vm.info")) == 20


def test_many_threads_at_once() -> None:
    barrier = threading.Barrier(8, timeout=10)

    def behave(handler: BaseHTTPRequestHandler, method: str, call: tuple[Any, ...]) -> None:
        if method == "one.system.version":
            send(handler, V7)
            return
        barrier.wait()
        send(handler, answer(False, f"VM {call[1]}", 2048, call[1], -1))

    def deploy(number: int) -> int | None:
        with pytest.raises(Refused, match=f"VM {number}") as raised:
            client.deploy(number, 0)
        return raised.value.object_id

    with (
        ReplayServer(behave) as server,
        Client(server.url, Session(SESSION), connection=PATIENT) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        client.version()
        assert list(threads.map(deploy, range(32))) == list(range(32))


def test_a_client_that_is_closed_does_not_wait() -> None:
    patient = RetrySettings(attempts=9, backoff_seconds=3600)
    with (
        ReplayServer(failing(9, unavailable, DONE)) as server,
        client_of(server, patient) as client,
    ):
        client.version()
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(client.vm, 0)
            deadline = time.monotonic() + 10
            while not server.sent("one.vm.info") and time.monotonic() < deadline:
                time.sleep(0.01)
            client.close()
            with pytest.raises(Unreachable):
                call.result(timeout=10)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:2633",
        "ftp://localhost/RPC2",
        "http://",
        "http://[::1/RPC2",
        "http://localhost:port/RPC2",
        f"http://oneadmin:{SECRET}@localhost:2633/RPC2",
    ],
)
def test_an_address_that_makes_no_sense(url: str) -> None:
    with pytest.raises(OpenNebulaError, match="http://localhost:2633/RPC2") as raised:
        Client(url, Session(SESSION))
    assert SECRET not in str(raised.value)


def test_a_host_that_does_not_exist() -> None:
    once = RetrySettings(attempts=1)
    with Client("http://no-such-host.invalid/RPC2", Session(SESSION), retry=once) as client:
        with pytest.raises(Unreachable) as raised:
            client.version()
        assert not raised.value.maybe_done


# -- TLS --


@pytest.fixture(name="certificate")
def make_certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made, *subject],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_https_with_a_certificate_that_is_trusted_alone(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = ReplayServer(by_method({"one.system.version": V7}))
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    trusting = ConnectionSettings(certificates=str(certificate[0]))
    with server:
        with Client(url, Session(SESSION), connection=trusting) as client:
            assert client.version() == Version(7, 4)
        with (
            Client(url, Session(SESSION), retry=QUICK) as client,
            pytest.raises(Unreachable, match="certificate is not accepted"),
        ):
            client.version()
        assert len(server.calls) == 1


def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    settings = ConnectionSettings(certificates=str(tmp_path / "none.pem"))
    with pytest.raises(OpenNebulaError, match=r"none\.pem: No such file"):
        Client("https://localhost/RPC2", Session(SESSION), connection=settings)


# -- sessions --


def test_one_auth_names_the_file(tmp_path: Path) -> None:
    named, home = tmp_path / "auth", tmp_path / "home"
    (home / ".one").mkdir(parents=True)
    (home / ".one" / "one_auth").write_text("alice:secret\n")
    named.write_text("\noneadmin:a:b c\nmore\n")
    environment = {"HOME": str(home)}
    assert read_session(environment) == Session("alice:secret")
    environment["ONE_AUTH"] = str(named)
    assert read_session(environment).wire() == "oneadmin:a:b c"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "is not text"),
        (b"oneadmin\n", "not of the form"),
        (b":x\n", "not of the form"),
        (b"hunter2:\n", "not of the form"),
        (b"a:" + b"b" * 100_000, "too large"),
    ],
)
def test_credentials_that_cannot_be_read(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "auth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SessionError, match=what) as raised:
        read_session({"ONE_AUTH": str(path)})
    assert str(path) in str(raised.value)
    assert "ONE_AUTH" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_the_hash_is_the_one_that_1_4_was_sent() -> None:
    assert Session(SESSION).wire(hashed=True) == HASHED


def test_a_password_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session = Session(SESSION)
    shown = [repr(session), str(session)]
    with pytest.raises(TypeError):
        pickle.dumps(session)

    def echo(handler: BaseHTTPRequestHandler, method: str, call: tuple[Any, ...]) -> None:
        if method == "one.system.version":
            send(handler, V7)
        elif method == "one.vm.info":
            send(handler, answer(True, f"oh <{call[0]}>"))
        elif method == "one.host.info":
            unavailable(handler)
        else:
            send(handler, answer(False, f"no such user {call[0]}", 256, -1, -1))

    with serving(echo) as (client, _):
        shown.append(repr(client))
        for call in (lambda: client.vm(0), lambda: client.deploy(0, 0), lambda: client.host(0)):
            with pytest.raises(OpenNebulaError) as raised:
                call()
            shown += [str(raised.value), repr(raised.value)]
    assert SECRET not in "\n".join([*shown, caplog.text])


def test_recordings_are_of_these_versions() -> None:
    for version in VERSIONS:
        assert recorded(version, "*hostpool.info*")


def test_what_the_server_says_is_http() -> None:
    """The replaying server itself: a call without the client."""
    with ReplayServer(by_method({"one.system.version": V7})) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server.server_port, timeout=5)
        body = b"<methodCall><methodName>one.system.version</methodName></methodCall>"
        connection.request("POST", "/RPC2", body)
        assert connection.getresponse().read() == V7
        connection.close()
