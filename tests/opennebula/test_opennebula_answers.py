"""Every recorded answer is read, and nothing else gets through."""

from __future__ import annotations

import contextlib
import html
import re
import xmlrpc.client
from pathlib import Path
from xml.etree.ElementTree import tostring

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st
from opennebula_replay import VERSIONS, answer, method_of, recorded, recordings

from haizea.backends.opennebula.model.errors import BadAnswer, Fault, RefusalKind, Refused
from haizea.backends.opennebula.model.host import HostState, read_host, read_hosts, read_monitoring
from haizea.backends.opennebula.model.pools import (
    RaftState,
    RolePolicy,
    read_clusters,
    read_configuration,
    read_datastores,
    read_raft_state,
    read_user,
    read_vm_groups,
)
from haizea.backends.opennebula.model.template import Template, read_template, write_template
from haizea.backends.opennebula.model.trees import read_object, read_pool
from haizea.backends.opennebula.model.vm import LcmState, VmState, read_vm, read_vms
from haizea.backends.opennebula.wire.answers import AnswerReader, Value, encode_call, unwrap

LIMIT = 1 << 20


def read(data: bytes, largest_bytes: int = LIMIT, step: int = 1 << 16) -> tuple[Value, ...]:
    reader = AnswerReader(largest_bytes)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.finish()


def text(data: bytes) -> str:
    found = unwrap(read(data))[0]
    assert isinstance(found, str)
    return found


READERS = {
    "one.clusterpool.info": read_clusters,
    "one.datastorepool.info": read_datastores,
    "one.vmgrouppool.info": read_vm_groups,
    "one.zone.raftstatus": read_raft_state,
    "one.user.info": read_user,
    "one.hostpool.monitoring": read_monitoring,
    "one.system.config": read_configuration,
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_answer_has_the_values_that_the_standard_library_sees(version: str) -> None:
    for path in recordings(version):
        data = path.read_bytes()
        expected = xmlrpc.client.loads(data)[0][0]
        for step in (1 << 16, 7):
            assert list(read(data, step=step)) == expected, path.name


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_object_is_read(version: str) -> None:
    seen: set[str] = set()
    for path in recordings(version):
        method = method_of(path)
        values = read(path.read_bytes())
        if values[0] is False:
            assert refused(values).kind is not RefusalKind.OTHER, path.name
            continue
        values = unwrap(values)
        if not values or not str(values[0]).startswith("<"):
            continue
        seen.add(method)
        check(method, str(values[0]), version == "1.4", path)
    assert {"one.vm.info", "one.hostpool.info", "one.host.info", "one.vmpool.info"} <= seen


def refused(values: tuple[Value, ...]) -> Refused:
    with pytest.raises(Refused) as raised:
        unwrap(values)
    return raised.value


def check(method: str, found: str, tolerant: bool, path: Path) -> None:
    """Check that what is read has the identifiers and states that are in the text."""
    if method == "one.vm.info":
        vm = read_vm(found, tolerant=tolerant)
        states = re.search(r"<STATE>(\d+)</STATE><LCM_STATE>(\d+)<", found)
        assert states is not None
        assert (vm.state, vm.lcm_state) == (int(states[1]), int(states[2])), path.name
        assert vm.cpu_percent > 0, path.name
        assert vm.memory_mb > 0, path.name
        assert not vm.problem, path.name
        assert len(vm.history) == found.count("<HISTORY>"), path.name
    elif method.startswith("one.vmpool"):
        vms = list(read_vms(found, tolerant=tolerant))
        ids = re.findall(r"<VM><ID>(\d+)</ID>", found)
        assert [vm.id for vm in vms] == [int(one) for one in ids], path.name
    elif method == "one.host.info":
        host = read_host(found, tolerant=tolerant)
        assert f"<NAME>{host.name}</NAME>" in found
        assert host.attributes["NAME"] == host.name
    elif method == "one.hostpool.info":
        hosts = list(read_hosts(found, tolerant=tolerant))
        ids = re.findall(r"<HOST><ID>(\d+)</ID>", found)
        assert [host.id for host in hosts] == [int(one) for one in ids], path.name
    elif method in READERS:
        assert READERS[method](found) is not None, path.name


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_what_a_recorded_vm_asks_for(version: str) -> None:
    vm = read_vm(text(recorded(version, "*vm.info__PENDING")))
    assert (vm.name, vm.uname, vm.gname) == ("life1", "oneadmin", "oneadmin")
    assert (vm.state, vm.lcm_state, vm.host_id) == (VmState.PENDING, LcmState.INIT, None)
    assert (vm.cpu_percent, vm.memory_mb) == (100, 1024)
    assert vm.user_template.vector("HAIZEA") == {
        "DURATION": "01:00:00",
        "GROUP": "g1",
        "PREEMPTIBLE": "no",
        "START": "+00:05:00",
    }
    assert vm.user_template.text("USER_ATTR") == "hello <&> world"
    assert vm.template.text("AUTOMATIC_REQUIREMENTS").startswith("(CLUSTER_ID = 0) & ")
    assert len(vm.template.vectors("NIC")) == 1


@pytest.mark.parametrize("version", ["6.10.5", "7.4.0"])
def test_where_a_recorded_vm_was(version: str) -> None:
    stopped = read_vm(text(recorded(version, "*after_stop")))
    assert stopped.state == VmState.STOPPED
    assert stopped.host_id is None
    assert stopped.last_host_id is not None
    assert [record.sequence for record in stopped.history] == list(range(len(stopped.history)))
    assert {record.datastore_id for record in stopped.history} == {0}
    suspended = read_vm(text(recorded(version, "*after_suspend")))
    assert suspended.host_id == suspended.last_host_id is not None


def test_text_that_1_4_leaves_as_it_is() -> None:
    vm = read_vm(text(recorded("1.4", "*vm.info__after_deploy")), tolerant=True)
    assert vm.template.text("X") == "a<b & c"
    assert vm.template.vector("HAIZEA")["START"] == "+00:05:00"
    assert (vm.cpu_percent, vm.memory_mb, vm.host_id) == (100, 1024, 0)
    with pytest.raises(BadAnswer, match="malformed"):
        read_vm(text(recorded("1.4", "*vm.info__after_deploy")))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a<b & c", "a<b & c"),
        ("a <B> c", "a <B> c"),
        ("a </B> c", "a </B> c"),
        ("&lt;", "&lt;"),
        ("<!DOCTYPE X>", "<!DOCTYPE X>"),
        ("]]> <![CDATA[", "]]> <![CDATA["),
        ("<<<<A>>>", "<<<<A>>>"),
    ],
)
def test_whatever_a_user_of_1_4_writes_is_text(written: str, expected: str) -> None:
    root = read_object(f"<VM><X>{written}</X><Y>1</Y></VM>", "VM", tolerant=True)
    assert root.findtext("X") == expected
    assert root.findtext("Y") == "1"


@tries(200)
@given(st.text(alphabet="<>/&;AB \n]![", max_size=40))
def test_repaired_text_is_always_well_formed(written: str) -> None:
    whole = f"<VM><X>{written}</X></VM>"
    root = read_object(whole, "VM", tolerant=True)
    again = tostring(root, encoding="unicode", short_empty_elements=False)
    assert html.unescape(again) == re.sub(r"<([AB]+)/>", r"<\1></\1>", whole)


def test_recorded_hosts() -> None:
    states = {
        name: read_host(text(recorded("7.4.0", f"*host.info__{name}")))
        for name in ("initial", "ERROR", "DISABLED", "OFFLINE", "RESERVED", "OVERCOMMITTED")
    }
    assert states["initial"].usable
    assert (states["initial"].cpu_percent, states["initial"].memory_mb) == (800, 16384)
    assert states["initial"].cluster == "default"
    assert states["ERROR"].state == HostState.ERROR
    assert "fake host failure" in states["ERROR"].error
    assert states["DISABLED"].state == HostState.DISABLED
    assert states["OFFLINE"].state == HostState.OFFLINE
    assert not any(states[name].usable for name in ("ERROR", "DISABLED", "OFFLINE"))
    assert (states["RESERVED"].cpu_percent, states["RESERVED"].memory_mb) == (400, 8192)
    assert states["OVERCOMMITTED"].used_cpu_percent == 1600


def test_a_recorded_host_with_vms_and_its_monitoring() -> None:
    host = read_host(text(recorded("7.4.0", "*host.info__with_vms")))
    assert (host.vm_ids, host.used_memory_mb) == ((0,), 512)
    monitoring = read_monitoring(text(recorded("7.4.0", "*hostpool.monitoring*")))
    assert sorted(monitoring) == list(range(8))
    capacity = host.monitored(monitoring[0]).attributes["MONITORING"]
    assert isinstance(capacity, dict)
    assert capacity["CAPACITY"]["FREE_CPU"] == "800"


def test_hosts_before_they_are_monitored_show_nothing() -> None:
    hosts = list(read_hosts(text(recorded("1.4", "*hostpool.info__before*")), tolerant=True))
    assert {host.cpu_percent for host in hosts} == {0}
    assert not any(host.usable for host in hosts)


def test_recorded_datastores_clusters_groups_and_servers() -> None:
    datastores = {one.name: one for one in read_datastores(text(recorded("7.4.0", "*datastorep*")))}
    assert datastores["system"].is_system
    assert not datastores["default"].is_system
    assert datastores["system"].cluster_ids == {0}
    assert datastores["system"].shared
    (cluster,) = read_clusters(text(recorded("7.4.0", "*clusterpool*")))
    assert (cluster.name, cluster.host_ids) == ("default", tuple(range(8)))
    (group,) = read_vm_groups(text(recorded("7.4.0", "*vmgrouppool.info__with_vm")))
    (role,) = group.roles
    assert (role.name, role.policy, role.vm_ids) == (
        "workers",
        RolePolicy.ANTI_AFFINED,
        frozenset([6]),
    )
    assert read_raft_state(text(recorded("7.4.0", "*raftstatus*"))) is RaftState.SOLO
    user = read_user(text(recorded("7.4.0", "*user.info*")))
    assert (user.name, user.id, user.gid, user.enabled) == ("alice", 2, 1, True)
    config = read_configuration(text(recorded("7.4.0", "*system.config*")))
    assert config.text("VM_SUBMIT_ON_HOLD") in ("YES", "NO")


@pytest.mark.parametrize(("state", "schedules"), [(0, True), (1, False), (2, False), (3, True)])
def test_only_a_leader_or_a_single_server_is_scheduled(state: int, schedules: bool) -> None:
    assert read_raft_state(f"<RAFT><STATE>{state}</STATE></RAFT>").schedules is schedules


def test_a_server_state_that_is_not_known_gets_nothing() -> None:
    assert not read_raft_state("<RAFT><STATE>9</STATE></RAFT>").schedules


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not XML-RPC"),
        (b"<html><body>It works!</body></html>", "<html>"),
        (b'{"ok": true}', "not XML-RPC"),
        (b"<methodResponse><params>", "not XML-RPC"),
        (answer(True, "x")[:-30], "not XML-RPC"),
        (answer(True, "x").replace(b"<string>", b"<base64>"), "base64"),
        (answer(True).replace(b">1<", b">2<"), "boolean"),
        (answer(True, 7).replace(b">7<", b">seven<"), "number"),
        (answer(True, 7).replace(b">7<", b">" + b"7" * 5000 + b"<"), "number"),
        (answer("x"), "true or false"),
        (answer(), "no values"),
        (answer(True, "\x00x"), "not XML-RPC"),
        (answer(True, "x").replace(b"UTF-8", b"UTF-7"), "XML-RPC|decoded"),
        (answer(True, "x") + b"x", "not XML-RPC"),
        (answer(True, "\ufffe"), "not XML-RPC"),
        (answer(True, "é").replace("é".encode(), b"\xe9"), "not XML-RPC"),
        (BOMB.encode() + b"<methodResponse>&c;</methodResponse>", "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><methodResponse/>', "document type"),
        (answer(*[True] * 2000), "more elements"),
        (b"<methodResponse>" + b"<value><array>" * 30, "more elements"),
        (answer(True, "x" * LIMIT), "larger than"),
    ],
)
def test_what_is_no_answer_of_opennebula_is_a_bad_answer(data: bytes, what: str) -> None:
    with pytest.raises(BadAnswer, match=what):
        unwrap(read(data))


@tries(100)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_raise_anything_else(junk: bytes, position: int) -> None:
    whole = answer(True, "<VM_POOL></VM_POOL>", 0)
    data = whole[:position] + junk + whole[position:]
    with contextlib.suppress(BadAnswer, Refused, Fault):
        unwrap(read(data))


@tries(100)
@given(st.lists(st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=30)))
def test_calls_are_what_the_standard_library_understands(values: list[Value]) -> None:
    parameters, method = xmlrpc.client.loads(encode_call("one.vm.info", values))
    assert method == "one.vm.info"
    for sent, got in zip(values, parameters, strict=True):
        if isinstance(sent, str):
            # XML reads line ends alike, and has no control characters.
            sent = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "?", sent)
            sent = re.sub(r"\r\n?", "\n", sent)
        assert (type(got), got) == (type(sent), sent)


def test_refusals_with_and_without_a_code() -> None:
    cases: list[tuple[bytes, RefusalKind, int | None]] = [
        (recorded("7.4.0", "*deploy__err_nohost"), RefusalKind.NO_SUCH_OBJECT, 999),
        (recorded("7.4.0", "*vm.info__err_*user*"), RefusalKind.AUTHENTICATION, None),
        (recorded("7.4.0", "*err_alice_not_authorized"), RefusalKind.AUTHORIZATION, None),
        (recorded("7.4.0", "*action__err_busy_SAVE_STOP"), RefusalKind.NOT_NOW, None),
        (recorded("1.4", "*hostpool.info__err_auth"), RefusalKind.AUTHENTICATION, None),
        (recorded("1.4", "*deploy__err_nohost"), RefusalKind.NO_SUCH_OBJECT, None),
        (recorded("1.4", "*deploy__err_state"), RefusalKind.NOT_NOW, None),
    ]
    for data, kind, object_id in cases:
        refusal = refused(read(data))
        assert refusal.kind is kind
        assert refusal.object_id == object_id


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ("", "expected <VM_POOL>"),
        ("VM_POOL", "expected <VM_POOL>"),
        ("<HOST_POOL></HOST_POOL>", "expected <VM_POOL>"),
        (BOMB + "<VM_POOL><VM>&c;</VM></VM_POOL>", "expected <VM_POOL>"),
        ("<VM_POOL><!DOCTYPE a></VM_POOL>", "malformed"),
        ("<VM_POOL><VM>&c;</VM></VM_POOL>", "malformed"),
        ("<VM_POOL><VM><ID>1</ID>", "malformed"),
        ("<VM_POOL><VM></VM></VM_POOL><VM_POOL/>", "malformed"),
        ("<VM_POOL><HOST><ID>1</ID></HOST></VM_POOL>", "expected <VM>"),
        ("<VM_POOL><VM></VM></VM_POOL>", "ID of a VM"),
        ("<VM_POOL><VM><ID>1</ID><STATE>x</STATE></VM></VM_POOL>", "STATE of VM 1"),
        (f"<VM_POOL><VM><ID>{'1' * 5000}</ID></VM></VM_POOL>", "ID of a VM"),
        ("<VM_POOL><VM>" + "<A>" * 2_000_000, "nested too deep"),
        ("<VM_POOL><VM><X>" + "x" * 5_000_000, "malformed"),
    ],
    ids=range(14),
)
def test_a_pool_that_is_none(found: str, what: str) -> None:
    with pytest.raises(BadAnswer, match=what):
        list(read_vms(found))


@pytest.mark.parametrize("inside", ["<A>1</A>", "<A><B>1</B></A>"])
def test_one_users_huge_vm_does_not_hide_the_others(inside: str) -> None:
    for begin, end in (("", ""), ("<V>", "</V>")):
        huge = vm_text("1", "1").replace("<ID>1</ID>", "<ID>2</ID>")
        template = f"<USER_TEMPLATE>{begin}{inside * 300_000}{end}</USER_TEMPLATE></VM>"
        pool = vm_text("1", "1") + huge.replace("</VM>", template) + vm_text("2", "2")
        vms = list(read_vms(f"<VM_POOL>{pool}</VM_POOL>"))
        assert [(vm.id, vm.cpu_percent) for vm in vms] == [(1, 100), (2, 100), (1, 200)]
        assert ["too many attributes" in vm.problem for vm in vms] == [False, True, False]
        assert len(vms[1].user_template) < 3000


def test_a_huge_text_is_no_harm() -> None:
    pool = vm_text("1", "1").replace("</TEMPLATE>", f"<X>{'x' * 9_000_000}</X></TEMPLATE>")
    (vm,) = read_vms(f"<VM_POOL>{pool}</VM_POOL>")
    assert (vm.problem, vm.template.text("X")) == ("", "")


def test_a_host_that_is_nested_without_end() -> None:
    deep = "<A>" * 1000 + "</A>" * 1000
    with pytest.raises(BadAnswer, match="nested too deep"):
        read_host(f"<HOST><ID>1</ID><STATE>2</STATE>{deep}</HOST>")


@tries(30)
@given(st.lists(st.text(alphabet="ab<&>]\n", max_size=60_000), max_size=6), st.integers(1, 5))
def test_a_pool_is_the_same_in_any_pieces(names: list[str], copies: int) -> None:
    names = names * copies
    inner = "".join(
        f"<VM><ID>{number}</ID><NAME>{html.escape(name)}</NAME></VM>"
        for number, name in enumerate(names)
    )
    found = [
        (vm.findtext("ID"), vm.findtext("NAME"))
        for vm in read_pool(f"<VM_POOL>{inner}</VM_POOL>", "VM_POOL")
    ]
    assert found == [(str(number), name) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("cpu", "memory", "expected"),
    [
        ("0.5", "512", (50, 512)),
        ("0.29", "1", (29, 1)),
        ("0.001", "0.5", (1, 1)),
        ("1e1", "1024", (1000, 1024)),
        ("", "1024", (0, 1024)),
    ],
)
def test_amounts_are_rounded_up(cpu: str, memory: str, expected: tuple[int, int]) -> None:
    vm = read_vm(vm_text(cpu, memory))
    assert (vm.cpu_percent, vm.memory_mb) == expected
    assert not vm.problem


@pytest.mark.parametrize(
    ("cpu", "memory", "problem"),
    [
        ("many", "1", "CPU is 'many'"),
        ("-1", "1", "CPU is '-1'"),
        ("0", "1", "CPU is '0'"),
        ("nan", "1", "CPU is 'nan'"),
        ("1e999999999", "1", "CPU"),
        ("1", "inf", "MEMORY is 'inf'"),
        ("1", "9" * 30, "MEMORY"),
    ],
)
def test_an_amount_that_is_none_is_a_problem_of_that_vm(
    cpu: str, memory: str, problem: str
) -> None:
    vm = read_vm(vm_text(cpu, memory))
    assert problem in vm.problem
    assert 0 in (vm.cpu_percent, vm.memory_mb)


def vm_text(cpu: str, memory: str) -> str:
    return (
        "<VM><ID>1</ID><STATE>1</STATE><LCM_STATE>0</LCM_STATE><TEMPLATE>"
        f"<CPU>{cpu}</CPU><MEMORY>{memory}</MEMORY></TEMPLATE></VM>"
    )


def test_attributes_of_one_name_are_a_list() -> None:
    root = read_object(
        "<T><DISK><ID>0</ID></DISK><DISK><ID>1</ID></DISK><A>x</A><A>y</A><B/></T>", "T"
    )
    template = read_template(root)
    assert [disk["ID"] for disk in template.vectors("DISK")] == ["0", "1"]
    assert template.all("A") == ("x", "y")
    assert template.text("A") == "x"
    assert (template.text("B", "none"), template.text("C", "none")) == ("", "none")
    assert list(template) == ["DISK", "A", "B"]


def test_scripts_in_templates_are_left_out() -> None:
    template = read_template(read_object(f"<T><A>{'x' * 100_000}</A><B>1</B></T>", "T"))
    assert (template.text("A"), template.text("B")) == ("", "1")


@tries(100)
@given(st.text(max_size=30), st.dictionaries(st.sampled_from(["A", "B"]), st.text(max_size=30)))
def test_no_value_that_is_written_can_become_another_attribute(
    value: str, parts: dict[str, str]
) -> None:
    written = write_template({"X": value, "Y": parts})
    assert len(written.split("\n")) == 2
    inside = re.sub(r'"[^"\\]*"', "", written)
    names = ", ".join(f"{name}=" for name in parts)
    assert inside == f"X=\nY=[ {names} ]"


def test_templates_compare_by_what_is_in_them() -> None:
    assert Template({"A": "1"}) == Template({"A": "1"}) != Template({"A": "2"})
