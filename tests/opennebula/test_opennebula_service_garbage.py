"""Answers of OpenNebula that are none: an error in the log, and Haizea goes on afterwards."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import pytest
from opennebula_tap import Handler, Spoil, TappedSite, tapped_site

import haizea.service.opennebula as side_module
from haizea.backends.opennebula.wire.connection import ConnectionSettings, RetrySettings
from haizea.core.model.lifecycle import State

HEAD = b'<?xml version="1.0"?><methodResponse><params><param><value>'
TAIL = b"</value></param></params></methodResponse>"
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (b"bcdefghijk"[n], b"&%c;" % b"abcdefghij"[n] * 10)
        for n in range(10)
    )
    + b"]><methodResponse><params><param><value><string>&k;</string></value></param></params>"
    b"</methodResponse>"
)


def array(*values: bytes) -> bytes:
    """An answer with these values, which are XML."""
    inner = b"".join(b"<value>" + value + b"</value>" for value in values)
    return HEAD + b"<array><data>" + inner + b"</data></array>" + TAIL


def saying(body: bytes, status: int = 200) -> Spoil:
    return lambda handler, real: handler.say(body, status=status)


def truncated(handler: Handler, real: bytes) -> None:
    handler.say(real[: len(real) // 2])


def cut_off(handler: Handler, real: bytes) -> None:
    handler.say(real[: len(real) // 2], length=len(real))


def huge(handler: Handler, real: bytes) -> None:
    """300 MB of text, as long as anybody takes it."""
    size = 300 << 20
    handler.say(HEAD + b"<string>", length=size)
    for _ in range(size >> 16):
        handler.wfile.write(b"x" * (1 << 16))


def dripping_head(handler: Handler, real: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    drip(handler, b"y")


def dripping_text(handler: Handler, real: bytes) -> None:
    handler.say(HEAD + b"<string>", length=1 << 24)
    drip(handler, b"x")


def dripping_end(handler: Handler, real: bytes) -> None:
    """Return what comes after the last part of an answer in parts."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    handler.wfile.write(b"%x\r\n%s\r\n0\r\n" % (len(real), real))
    drip(handler, b"x")


def drip(handler: Handler, drop: bytes) -> None:
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(drop)
        handler.wfile.flush()


def silent(handler: Handler, real: bytes) -> None:
    handler.server.closing.wait(60)


TOLD = "OpenNebula does not answer, and is asked again"
TRUE = b"<boolean>1</boolean>"
KINDS: dict[str, Spoil] = {
    "a page": saying(b"<html><body>Hello</body></html>"),
    "not found": saying(b"<html>", 404),
    "an error": saying(b"", 503),
    "nothing": saying(b""),
    "zeros": saying(bytes(1000)),
    "truncated": truncated,
    "cut off": cut_off,
    "huge": huge,
    "an entity bomb": saying(BOMB),
    "a file": saying(
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><methodResponse>&a;'
        b"</methodResponse>"
    ),
    "a number": saying(array(TRUE, b"<int>7</int>")),
    "true": saying(array(TRUE)),
    "no boolean": saying(array(b"<string>true</string>", b"<string/>")),
    "a struct": saying(HEAD + b"<struct><member><name>a</name></member></struct>" + TAIL),
    "nested": saying(HEAD + b"<array><data><value>" * 100_000),
    "another pool": saying(array(TRUE, b"<string>&lt;ACL_POOL/&gt;</string>")),
    "broken inside": saying(
        array(
            TRUE,
            b"<string>&lt;VM_POOL&gt;&lt;VM&gt;&lt;ID&gt;x&lt;/ID&gt;&lt;/VM&gt;"
            b"&lt;/VM_POOL&gt;</string>",
        )
    ),
    "a bomb inside": saying(
        array(
            TRUE,
            b"<string>&lt;!DOCTYPE VM_POOL [&lt;!ENTITY a 'b'&gt;]&gt;&lt;VM_POOL&gt;&amp;a;"
            b"&lt;/VM_POOL&gt;</string>",
        )
    ),
    "a refusal": saying(array(b"<boolean>0</boolean>", b"<string>no</string>", b"<int>256</int>")),
    "a fault": saying(
        b"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-501"
        b"</int></value></member></struct></value></fault></methodResponse>"
    ),
    "dripping head": dripping_head,
    "dripping text": dripping_text,
    "dripping end": dripping_end,
    "silence": silent,
}


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits as everywhere, but soon reached."""
    limits = functools.partial(
        ConnectionSettings, connect_seconds=1.0, silence_seconds=1.0, answer_seconds=1.0
    )
    retry = functools.partial(RetrySettings, attempts=2, backoff_seconds=0.01)
    monkeypatch.setattr(side_module, "ConnectionSettings", limits)
    monkeypatch.setattr(side_module, "RetrySettings", retry)


def spoil_until_told(cloud: TappedSite, spoil: Spoil, log: pytest.LogCaptureFixture) -> None:
    """Have every call answered so, until it was told."""
    cloud.tap.spoil[""] = spoil
    cloud.until(lambda: TOLD in log.text, seconds=3000)
    del cloud.tap.spoil[""]


DRIPS = [name for name in KINDS if "drip" in name or name == "silence"]


@pytest.mark.parametrize("kinds", [KINDS.keys() - set(DRIPS), DRIPS], ids=["at once", "slowly"])
def test_whatever_is_answered_haizea_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kinds: Iterable[str],
) -> None:
    hurry(monkeypatch)
    with tapped_site(tmp_path, monkeypatch, hosts=1, speed=40) as cloud:
        runs = cloud.submit(cpu=4, start="best_effort", duration="unlimited")
        cloud.until_state(runs, "RUNNING")
        for kind in sorted(kinds):
            caplog.clear()
            spoil_until_told(cloud, KINDS[kind], caplog)
            cloud.until(lambda: "OpenNebula answers again" in caplog.text)
            bugs = [record for record in caplog.records if record.exc_info]
            assert (kind, bugs) == (kind, [])
            assert "onepass" not in caplog.text
        later = cloud.submit(cpu=4, start="best_effort", duration="00:01:00")
        cloud.until_state(later, "DONE", seconds=3000)
        assert cloud.state(runs) == "RUNNING"
        assert cloud.lease(runs).state is State.ACTIVE
        assert len(cloud.came_to(runs, "BOOT")) == 1
        cloud.assert_no_overload()


ASKED = (
    "one.hostpool.info",
    "one.hostpool.monitoring",
    "one.vmpool.infoextended",
    "one.vmpool.infoset",
    "one.clusterpool.info",
    "one.datastorepool.info",
    "one.vmgrouppool.info",
    "one.zone.raftstatus",
    "one.vm.update",
)


def test_one_call_that_answers_nonsense_stops_nothing_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hurry(monkeypatch)
    with tapped_site(tmp_path, monkeypatch, hosts=1, speed=60) as cloud:
        for method in ASKED:
            kind = "truncated" if method == "one.vm.update" else "a number"
            cloud.tap.spoil[method] = KINDS[kind]
            vm = cloud.submit(cpu=4, start="best_effort", duration="00:01:00")
            cloud.until(lambda method=method: cloud.tap.spoilt[method] > 0)  # type: ignore[misc]
            del cloud.tap.spoil[method]
            cloud.until_state(vm, "DONE", seconds=3000)
        assert not [record for record in caplog.records if record.exc_info], "a bug in Haizea"
        cloud.assert_no_overload()


@pytest.mark.parametrize("kind", ["truncated", "nothing", "an error", "a refusal", "silence"])
def test_a_command_whose_answer_is_nonsense_is_carried_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    hurry(monkeypatch)
    with tapped_site(tmp_path, monkeypatch, hosts=2, speed=60) as cloud:
        cloud.tap.spoil["one.vm.deploy"] = KINDS[kind]
        vm = cloud.submit(cpu=4, start="best_effort", duration="00:01:00")
        cloud.until_state(vm, "RUNNING")
        cloud.tap.spoil.clear()
        cloud.tap.spoil["one.vm.action"] = KINDS[kind]
        cloud.until_state(vm, "DONE")
        cloud.tap.spoil.clear()
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))
        assert len(cloud.came_to(vm, "BOOT")) == 1
        assert len(cloud.came_to(vm, "SHUTDOWN")) == 1
        cloud.assert_no_overload()


def test_credentials_that_are_refused_for_a_while_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with tapped_site(tmp_path, monkeypatch, hosts=1, speed=40) as cloud:
        vm = cloud.submit(cpu=4, start="best_effort", duration="00:02:00")
        cloud.until_state(vm, "RUNNING")
        user = cloud.sandbox.cloud.users[0]
        user.password = "another"
        before = cloud.now()
        cloud.until(lambda: cloud.now() > before + 30)
        assert "couldn't be authenticated" in caplog.text
        assert "onepass" not in caplog.text
        assert cloud.at_work
        user.password = "onepass"
        cloud.until_state(vm, "DONE", seconds=3000)


def test_a_vm_that_cannot_be_read_after_a_restart_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In 1.4 each VM is read by itself: what one takes is then what its host shows."""
    with tapped_site(tmp_path, monkeypatch, hosts=1, speed=40, version="1.4.0") as cloud:
        cloud.stop_haizea()
        runs = cloud.submit(cpu=8)
        cloud.call("one.vm.deploy", runs, 0)
        cloud.until_state(runs, "RUNNING")
        later = cloud.submit(cpu=4, start="best_effort", duration="00:01:00")

        def without(handler: Handler, answer: bytes) -> None:
            handler.say(b"<html/>" if b"ID&gt;%d&lt;/ID" % runs in answer else answer)

        cloud.tap.spoil["one.vm.info"] = without
        cloud.start_haizea()
        cloud.until(lambda: cloud.has_lease(later, State.QUEUED, State.ACTIVE))
        assert f"VM {runs} cannot be read" in caplog.text
        assert cloud.lease(later).state is State.QUEUED
        del cloud.tap.spoil["one.vm.info"]
        cloud.call("one.vm.action", "finalize", runs)
        cloud.until_state(later, "DONE", seconds=3000)
        cloud.assert_no_overload()
