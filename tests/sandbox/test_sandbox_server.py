"""The sandbox as a server: sessions, wrong calls, faults, restarts, many clients and VMs."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import Client, site, value

from haizea.sandbox.clock import ManualClock, ScaledClock
from haizea.sandbox.operations import Durations
from haizea.sandbox.saved import StateFileError
from haizea.sandbox.server import Options, Sandbox


def test_who_may_do_what() -> None:
    with site() as (sandbox, client):
        own = client.submit()
        alice = Client(sandbox, "alice:alicepass")
        hers = alice.submit()
        pool = alice.done("one.vmpool.info", -2, -1, -1, -1)
        assert re.findall(r"<VM><ID>(\d+)", pool) == [str(hers)]
        assert alice.refused("one.vm.info", own)[1] == 512
        assert alice.refused("one.host.status", 0, 1)[1] == 512
        assert alice.refused("one.system.config")[1] == 512
        assert "ADMIN SANDBOX" in alice.refused("sandbox.vms")[0]
        for session in ("oneadmin:wrong", "nobody:x", "", "oneadmin", "alice:onepass", ":"):
            client.session = session
            assert client.refused("one.vmpool.info", -2, -1, -1, -1)[1] == 256
            assert client.refused("sandbox.vms")[1] == 256
        alice.close()


def test_tokens_work_until_they_expire_or_are_taken_back() -> None:
    with site() as (sandbox, client):
        token = client.done("one.user.login", "alice", "", 600, -1)
        alice = Client(sandbox, f"alice:{token}")
        assert value(alice.done("one.user.info", -1, False), "NAME") == "alice"
        assert alice.refused("one.user.login", "oneadmin", "", 600, -1)[1] == 512
        sandbox.control.advance(601)
        assert alice.refused("one.user.info", -1)[1] == 256
        alice.session = f"alice:{client.done('one.user.login', 'alice', '', -1, -1)}"
        alice.done("one.user.info", -1)
        client.done("one.user.login", "alice", alice.session.partition(":")[2], 0, -1)
        assert alice.refused("one.user.info", -1)[1] == 256
        alice.close()


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("one.vm.deploy", (0,), -501),
        ("one.vm.deploy", (0, 0, 1), -501),
        ("one.vm.deploy", ("0", 0), -501),
        ("one.vm.action", (0, "hold"), -501),
        ("one.vmpool.infoset", ("1",), -501),
        ("one.vm.info", (1.5,), -501),
        ("one.vm.info", ([1],), -501),
        ("one.nosuch", (), -506),
        ("sandbox.nosuch", (), -506),
        ("one.host.enable", (0, True), -506),
    ],
)
def test_wrong_calls_are_faults(method: str, arguments: tuple[object, ...], code: int) -> None:
    with site() as (_, client), pytest.raises(xmlrpc.client.Fault) as caught:
        client.call(method, *arguments)
    assert caught.value.faultCode == code


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>
<methodCall><methodName>&c;</methodName></methodCall>"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<a/>",
        b"<methodCall/>",
        BOMB,
        b"\xff\xfe\x00",
        b"<methodCall><methodName>x</methodName><params>"
        + b"<param><value/></param>" * 50
        + b"</params></methodCall>",
    ],
)
def test_what_is_no_call_is_a_fault_and_does_no_harm(body: bytes) -> None:
    with site() as (sandbox, client):
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
        connection.request("POST", "/RPC2", body)
        with pytest.raises(xmlrpc.client.Fault):
            xmlrpc.client.loads(connection.getresponse().read())
        connection.close()
        client.done("one.system.version")


@pytest.mark.parametrize(("length", "status"), [("999999999", 413), ("x", 411), ("-1", 411)])
def test_bodies_of_unknown_or_enormous_length_are_refused(length: str, status: int) -> None:
    with site() as (sandbox, _):
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
        connection.putrequest("POST", "/RPC2")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize(
    "text",
    ["CPU", 'CPU="', "CPU=1", "CPU=x\nMEMORY=1", "CPU=-1\nMEMORY=1", "CPU=1\nMEMORY=nan",
     "CPU=1\nMEMORY=1\nNIC=[A=", "=", "CPU=1\nMEMORY=1e99",
     'CPU=1\nMEMORY=1\nSCHED_ACTION=[TIME="x"]'],
)  # fmt: skip
def test_templates_that_make_no_sense_are_refused(text: str) -> None:
    with site() as (_, client):
        assert client.refused("one.vm.allocate", text, False)[1] == 8192
        assert client.submit() == 0


def test_templates_are_read_as_users_write_them() -> None:
    text = (
        '# a comment\nname = "a \\"b\\" ]]> <c>"\nCPU=0.5 \n memory = 64\n'
        'haizea = [ start="+00:10:00",\n  duration = 01:00:00, group=g1 ]\nnote="two\nlines"\n'
    )
    with site() as (_, client):
        vm = client.done("one.vm.allocate", text, False)
        xml = client.done("one.vm.info", vm)
        assert "<START><![CDATA[+00:10:00]]></START>" in xml
        assert "<DURATION><![CDATA[01:00:00]]></DURATION>" in xml
        assert '<NAME>a "b" ]]&gt; &lt;c&gt;</NAME>' in xml
        assert "two\nlines" in xml
        client.done("one.vm.update", vm, 'NOTE="]]>"', 1)
        assert "]]]]><![CDATA[>" in client.done("one.vm.info", vm)


def test_pools_by_state_owner_and_range() -> None:
    def ids(*arguments: int) -> list[int]:
        pool = client.done("one.vmpool.infoextended", *arguments)
        return [int(found) for found in re.findall(r"<VM><ID>(\d+)", pool)]

    with site() as (_, client):
        for _ in range(6):
            client.submit()
        client.done("one.vm.deploy", 2, 0)
        client.done("one.vm.action", "terminate", 3)
        assert ids(-2, -1, -1, -1) == [5, 4, 2, 1, 0]
        assert ids(-2, -1, -1, -2) == [5, 4, 3, 2, 1, 0]
        assert ids(-2, -1, -1, 3) == [2]
        assert ids(-2, -1, -1, 6) == [3]
        assert ids(-2, 1, 4, -1) == [4, 2, 1]
        assert ids(-2, 1, -2, -1) == [4, 2]
        assert ids(2, -1, -1, -1) == []
        found = client.done("one.vmpool.infoset", "1,4,77,x", True)
        assert re.findall(r"<VM><ID>(\d+)", found) == ["4", "1"]


def test_many_clients_at_once() -> None:
    with site() as (sandbox, _):

        def submit(_: int) -> list[int]:
            client = Client(sandbox)
            found = [client.submit() for _ in range(25)]
            client.close()
            return found

        with ThreadPoolExecutor(8) as threads:
            found = [vm for vms in threads.map(submit, range(8)) for vm in vms]
        assert sorted(found) == list(range(200))


def test_the_web_server_breaks_as_told() -> None:
    with site() as (sandbox, client):
        sandbox.control.break_web("error", count=1)
        with pytest.raises(xmlrpc.client.ProtocolError):
            client.call("one.system.version")
        client.done("one.system.version")
        sandbox.control.break_web("close", count=2)
        with pytest.raises((http.client.HTTPException, OSError)):
            client.call("one.system.version")
        client.done("one.system.version")
        sandbox.control.break_web("stall", seconds=0.2)
        assert client.done("one.system.version") == "6.10.5"
        with pytest.raises(ValueError, match="sulk"):
            sandbox.control.break_web("sulk")


def test_a_call_may_be_carried_out_though_its_answer_is_lost() -> None:
    with site() as (sandbox, client):
        vm = client.submit()
        # The standard library's client asks a second time when a connection ends like this.
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=30)
        sandbox.control.break_web("lose", count=1)
        body = xmlrpc.client.dumps((sandbox.session, vm, 0), "one.vm.deploy")
        connection.request("POST", "/RPC2", body)
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()
        connection.close()
        assert client.refused("one.vm.deploy", vm, 0)[1] == 2048


def test_calls_are_refused_as_told() -> None:
    with site() as (sandbox, client):
        vm = client.submit()
        sandbox.control.refuse("one.vm.deploy")
        client.done("one.vm.action", "hold", vm)
        assert client.refused("one.vm.deploy", vm, 0)[1] == 8192
        assert sandbox.control.vm(vm).state == "HOLD"
        assert sandbox.control.commands()[-1].code == 8192
        client.done("one.vm.deploy", vm, 0)


def test_restarted_it_has_its_port_and_everything_went_on() -> None:
    with site() as (sandbox, client):
        vm = client.submit()
        client.done("one.vm.deploy", vm, 0)
        port = sandbox.port
        sandbox.stop()
        with pytest.raises(OSError, match=r".+"):
            client.call("one.system.version")
        clock = sandbox.cloud.clock
        assert isinstance(clock, ManualClock)
        clock.advance(60)
        sandbox.start()
        assert sandbox.port == port
        assert value(client.done("one.vm.info", vm), "LCM_STATE") == "3"


def test_its_own_clock_moves_things_without_anybody_asking() -> None:
    durations = Durations().scaled(0.001)
    with site(clock=ScaledClock(speed=10.0), durations=durations) as (sandbox, client):
        vm = client.submit()
        client.done("one.vm.deploy", vm, 0)
        deadline = time.monotonic() + 20
        while "RUNNING" not in sandbox.journal.states(vm) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sandbox.journal.states(vm)[-1] == "RUNNING"
        with pytest.raises(ValueError, match="ManualClock"):
            sandbox.control.advance(1)


def test_control_over_xml_rpc() -> None:
    with site() as (_, client):

        def told(method: str, **keywords: object) -> Any:
            return json.loads(client.done(f"sandbox.{method}", json.dumps(keywords)))

        vm = client.submit()
        client.done("one.vm.deploy", vm, 0)
        told("advance", seconds=60)
        assert told("states", vm=vm)[-1] == "RUNNING"
        told("end_vm", vm=vm)
        assert told("vm", vm=vm)["state"] == "POWEROFF"
        assert told("violations") == []
        assert len(told("commands")) == 2
        assert client.refused("sandbox.end_vm", '{"vm": 99}')[1] == 4096
        assert client.refused("sandbox.end_vm", '{"nothing": 1}')[1] == 4096
        assert client.refused("sandbox.chances", '{"fail": 7}')[1] == 4096
        assert client.refused("sandbox.vms", "{")[1] == 4096


def test_quotas_are_kept() -> None:
    with site() as (sandbox, client):
        alice = Client(sandbox, "alice:alicepass")
        client.done("one.user.quota", 2, 'VM=[CPU="2",RUNNING_VMS="1"]')
        one = alice.submit()
        assert alice.refused("one.vm.allocate", "CPU=1.5\nMEMORY=1", False)[1] == 512
        client.done("one.vm.deploy", one, 0)
        sandbox.control.settle()
        alice.done("one.vm.action", "stop", one)
        sandbox.control.settle()
        other = alice.submit()
        assert client.refused("one.vm.deploy", one, 0)[1] == 512
        assert alice.refused("one.vm.action", "resume", one)[1] == 512
        alice.done("one.vm.action", "terminate", other)
        alice.done("one.vm.action", "resume", one)
        alice.close()


def test_the_same_seed_has_the_same_failures() -> None:
    from haizea.sandbox.faults import Chances

    def outcome(seed: int) -> list[str]:
        chances = Chances(fail=0.3, slow=0.3, hang=0.1)
        with site(seed=seed, chances=chances) as (sandbox, client):
            for _ in range(30):
                client.done("one.vm.deploy", client.submit(cpu=0.1), 0)
            sandbox.control.settle()
            return [change.new for change in sandbox.control.changes()]

    assert outcome(1) == outcome(1)
    assert outcome(1) != outcome(2)
    assert "BOOT_FAILURE" in outcome(1)


def test_as_many_hosts_and_vms_as_a_site_has() -> None:
    with site(host_count=240) as (sandbox, client):
        for number in range(2000):
            vm = client.submit(cpu=0.5)
            if number % 2:
                client.done("one.vm.deploy", vm, number % 240, True)
        sandbox.control.settle()
        pool = client.done("one.vmpool.infoextended", -2, -1, -1, -1)
        assert pool.count("<VM>") == 2000
        assert client.done("one.vmpool.info", -2, -1, -1, 1).count("<VM>") == 1000
        assert client.done("one.hostpool.info").count("<HOST>") == 240
        assert client.done("one.hostpool.monitoring", 0).count("<MONITORING>") == 240
        assert not sandbox.control.violations()


def test_a_rival_places_what_is_pending() -> None:
    with site(stock_scheduler_seconds=0.02) as (sandbox, client):
        vm, held = client.submit(), client.submit()
        client.call("one.vm.action", "hold", held)
        deadline = time.monotonic() + 20
        while sandbox.control.vm(vm).host is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sandbox.control.vm(vm).host == 0
        causes = {change.cause for change in sandbox.journal.history(vm)}
        assert "oneadmin one.vm.deploy" in causes


# A state file, and a process of its own


def test_a_state_file_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "state"
    clock = ManualClock()
    with site(state_file=path, clock=clock) as (sandbox, client):
        vm, other = client.submit(cpu=2), client.submit()
        client.done("one.vm.deploy", vm, 0)
        client.done("one.vm.deploy", other, 1)
        sandbox.control.settle()
        client.done("one.vm.action", "stop", other)
        client.done("one.host.update", 3, "RESERVED_CPU=100", 1)
        pools = client.done("one.vmpool.infoextended", -2, -1, -1, -2)
        hosts = client.done("one.hostpool.info")
        journal = (sandbox.control.changes(), sandbox.control.commands())
    with site(state_file=path, clock=clock) as (sandbox, client):
        assert client.done("one.vmpool.infoextended", -2, -1, -1, -2) == pools
        assert client.done("one.hostpool.info") == hosts
        assert (sandbox.control.changes(), sandbox.control.commands()) == journal
        sandbox.control.settle()
        assert sandbox.control.vm(other).state == "SAVE_STOP", "its driver is gone"
        client.done("one.vm.recover", other, 1)
        sandbox.control.settle()
        assert sandbox.control.vm(other).state == "STOPPED"
        assert client.submit() == 2


def test_a_state_file_is_of_one_sandbox_and_of_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with site(state_file=path):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(StateFileError, match=r"version 6\.10\.5, not 7\.4\.0"):
        Sandbox(Options(state_file=path, version="7.4.0"))
    with pytest.raises(StateFileError, match=r"speed 1\.0, not 2"):
        Sandbox(Options(state_file=path, speed=2.0))
    with pytest.raises(StateFileError, match="cannot be written"):
        Sandbox(Options(state_file=tmp_path / "none" / "state"))


@pytest.mark.parametrize("version", ["", "1.5", "8.0", "six", "6", "7.4.0.0.0"])
def test_versions_that_never_were_are_refused(version: str) -> None:
    with pytest.raises(ValueError, match="invalid version"):
        Options(version=version)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host_count": -1},
        {"host_count": 10**9},
        {"version": "1.4.0", "submit_on_hold": True},
        {"version": "1.4.0", "stock_scheduler_seconds": 1.0},
        {"speed": 0.0},
        {"speed": float("nan")},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"1\.4|must be"):
        Sandbox(Options(**wrong))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("this is no database, and long enough to be seen as none" * 50)
    with pytest.raises(StateFileError, match="cannot be used"):
        Sandbox(Options(state_file=path))


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sandbox in a process of its own, and its address."""
    command = [sys.executable, "-m", "haizea.sandbox", "--no-events", *arguments]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        address = re.search(r"http://\S+", running.stdout.readline())
        assert address
        yield running, address[0]
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def test_killed_and_started_again_it_knows_what_it_answered(tmp_path: Path) -> None:
    state = ("--state-file", str(tmp_path / "state"), "--pace", "1")
    with process("--port", "0", *state) as (running, address):
        with xmlrpc.client.ServerProxy(address) as proxy:
            assert proxy.one.vm.allocate("oneadmin:onepass", "CPU=1\nMEMORY=64", False)
            assert proxy.one.vm.deploy("oneadmin:onepass", 0, 0)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    port = address.rpartition(":")[2].partition("/")[0]
    with process("--port", port, *state) as (running, again):
        assert again == address
        with xmlrpc.client.ServerProxy(address) as proxy:
            # Nobody tells any more how the preparation of its files ended, which takes long here.
            recovered: Any = proxy.one.vm.recover("oneadmin:onepass", 0, 1)
            assert recovered[0]
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                found = proxy.sandbox.states("oneadmin:onepass", '{"vm": 0}')
                if "RUNNING" in str(found):
                    break
                time.sleep(0.02)
            assert "RUNNING" in str(found)
        running.terminate()
        assert running.wait(20) == 0


def test_what_cannot_be_started_says_why() -> None:
    with site() as (sandbox, _):
        command = [sys.executable, "-m", "haizea.sandbox", "--no-events", "--port"]
        done = subprocess.run([*command, str(sandbox.port)], capture_output=True, text=True)
        assert done.returncode == 1
        assert "cannot start the sandbox" in done.stderr
        wrong = subprocess.run([*command, "x"], capture_output=True, text=True)
        assert wrong.returncode == 2
