"""Virtual machines as OpenNebula tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import IntEnum
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.errors import BadAnswer
from haizea.backends.opennebula.model.template import (
    NO_TEMPLATE,
    Template,
    read_template,
)
from haizea.backends.opennebula.model.trees import CUT, read_object, read_pool, whole

#: What no scheduler reads, and is half of a VM's text.
_LEFT_OUT = frozenset(
    ["CONTEXT", "CPU_MODEL", "FEATURES", "GRAPHICS", "INPUT", "OS", "RAW", "SECURITY_GROUP_RULE"]
)

_LARGEST_AMOUNT = 10**12


class VmState(IntEnum):
    """``STATE``. A VM may have a number that is not listed here."""

    INIT = 0
    PENDING = 1
    HOLD = 2
    ACTIVE = 3
    STOPPED = 4
    SUSPENDED = 5
    DONE = 6
    FAILED = 7
    POWEROFF = 8
    UNDEPLOYED = 9
    CLONING = 10
    CLONING_FAILURE = 11


class LcmState(IntEnum):
    """``LCM_STATE`` while a VM is ACTIVE, those that matter to a scheduler."""

    INIT = 0
    PROLOG = 1
    BOOT = 2
    RUNNING = 3
    MIGRATE = 4
    SAVE_STOP = 5
    SAVE_SUSPEND = 6
    SAVE_MIGRATE = 7
    PROLOG_MIGRATE = 8
    PROLOG_RESUME = 9
    EPILOG_STOP = 10
    EPILOG = 11
    SHUTDOWN = 12
    CANCEL = 13
    FAILURE = 14
    CLEANUP_RESUBMIT = 15
    UNKNOWN = 16
    SHUTDOWN_POWEROFF = 18
    BOOT_POWEROFF = 20
    BOOT_SUSPENDED = 21
    BOOT_STOPPED = 22
    CLEANUP_DELETE = 23
    SHUTDOWN_UNDEPLOY = 29
    EPILOG_UNDEPLOY = 30
    PROLOG_UNDEPLOY = 31
    BOOT_UNDEPLOY = 32
    BOOT_MIGRATE = 35
    BOOT_FAILURE = 36
    EPILOG_FAILURE = 40


#: States in which a VM is bound to the host of its last history record.
_ON_A_HOST = frozenset([VmState.ACTIVE, VmState.SUSPENDED, VmState.POWEROFF])


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRecord:
    """One stay of a VM on a host. Times are seconds since the epoch, 0 for not yet.

    ``running_start`` is when it began to boot; its files were prepared from ``prolog_start`` to
    ``prolog_end``, and put away from ``epilog_start`` to ``epilog_end``.
    ``datastore_id`` is ``None`` where OpenNebula has no datastores (1.4).
    """

    sequence: int
    host_id: int
    host_name: str
    datastore_id: int | None
    start: int
    end: int
    running_start: int
    prolog_start: int = 0
    epilog_start: int = 0
    prolog_end: int = 0
    epilog_end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """A VM. ``cpu_percent`` (100 is one core) and ``memory_mb`` are what it asks for.

    ``stime`` is its submission and ``etime`` its end, in seconds since the epoch, 0 for
    not yet. ``history`` has the last record alone where a pool was asked. ``problem`` is what
    keeps it from being scheduled: an amount that is no number, and is 0 here, or a template
    that is too large, and is cut.
    """

    id: int
    name: str
    uid: int
    gid: int
    uname: str
    gname: str
    state: int
    lcm_state: int
    resched: bool
    locked: bool
    stime: int
    etime: int
    cpu_percent: int
    memory_mb: int
    template: Template
    user_template: Template
    history: tuple[HistoryRecord, ...]
    problem: str = ""

    @property
    def host_id(self) -> int | None:
        """The host that it is on, running or saved; ``None`` while it is on none."""
        return self.history[-1].host_id if self.history and self.state in _ON_A_HOST else None

    @property
    def last_host_id(self) -> int | None:
        """The host that it was on last, if it was on any."""
        return self.history[-1].host_id if self.history else None


def read_vm(text: str, *, tolerant: bool = False) -> VirtualMachine:
    """The VM of an answer to ``one.vm.info``; ``tolerant`` is for OpenNebula 1.4.

    Raises :class:`BadAnswer` where the text is malformed or has no id or state.
    """
    return vm_of(read_object(text, "VM", tolerant=tolerant))


def read_vms(text: str, *, tolerant: bool = False) -> Iterator[VirtualMachine]:
    """The VMs of a pool, in its order; errors as in :func:`read_vm`."""
    for element in read_pool(text, "VM_POOL", tolerant=tolerant):
        yield vm_of(element)


def oldest_first(vms: Iterable[VirtualMachine]) -> tuple[VirtualMachine, ...]:
    """The VMs by number: pools of 6 and later have the newest first."""
    return tuple(sorted(vms, key=lambda vm: vm.id))


def vm_of(element: Element) -> VirtualMachine:
    """The VM that an element ``<VM>`` is; errors as in :func:`read_vm`."""
    if element.tag != "VM":
        raise BadAnswer(f"expected <VM>, and got <{element.tag[:40]}>")
    # Of a repeated name the first counts: OpenNebula's own come before what users wrote.
    parts: dict[str, Element] = {}
    for child in element:
        parts.setdefault(child.tag, child)
    texts = {name: child.text or "" for name, child in parts.items()}
    number = whole(texts.get("ID"), "the ID of a VM")
    template = read_template(parts.get("TEMPLATE"), _LEFT_OUT)
    cpu_percent, cpu_problem = _amount("CPU", template.text("CPU"), 100)
    memory_mb, memory_problem = _amount("MEMORY", template.text("MEMORY"), 1)
    return VirtualMachine(
        id=number,
        name=texts.get("NAME", ""),
        uid=whole(texts.get("UID"), f"the UID of VM {number}", -1),
        gid=whole(texts.get("GID"), f"the GID of VM {number}", -1),
        uname=texts.get("UNAME") or texts.get("USERNAME", ""),
        gname=texts.get("GNAME", ""),
        state=whole(texts.get("STATE"), f"the STATE of VM {number}"),
        lcm_state=whole(texts.get("LCM_STATE"), f"the LCM_STATE of VM {number}"),
        resched=texts.get("RESCHED") == "1",
        locked="LOCK" in parts,
        stime=whole(texts.get("STIME"), f"STIME of VM {number}", 0),
        etime=whole(texts.get("ETIME"), f"ETIME of VM {number}", 0),
        cpu_percent=cpu_percent,
        memory_mb=memory_mb,
        template=template,
        user_template=read_template(parts["USER_TEMPLATE"])
        if "USER_TEMPLATE" in parts
        else NO_TEMPLATE,
        history=_history(element, parts),
        problem=_cut_problem(element) or cpu_problem or memory_problem,
    )


def _cut_problem(element: Element) -> str:
    if element.get(CUT) is None:
        return ""
    return "it has too many attributes: take some out of its template"


def _amount(name: str, text: str, factor: int) -> tuple[int, str]:
    """``text`` × ``factor``, rounded up so that nobody gets less, and what is wrong with it."""
    if not text:
        return 0, ""
    try:
        # Digits are counted first: a Decimal of an exponent is cheap, its int is not.
        amount = Decimal(text.strip()) * factor if len(text) < 40 else Decimal("NaN")
        if amount.is_finite() and 0 < amount <= _LARGEST_AMOUNT:
            return int(amount.to_integral_value(ROUND_CEILING)), ""
    except ArithmeticError:
        pass
    right = "a number of cores such as 0.5 or 2" if name == "CPU" else "a number of MB such as 512"
    return 0, f"{name} is {text[:40]!r}: write {right}"


def _history(vm: Element, parts: dict[str, Element]) -> tuple[HistoryRecord, ...]:
    """Below ``HISTORY_RECORDS``, or (1.4) the last record directly in the VM."""
    if "HISTORY" not in parts and not len(parts.get("HISTORY_RECORDS", ())):
        return ()
    records = [
        _record(child) for child in parts.get("HISTORY_RECORDS", vm) if child.tag == "HISTORY"
    ]
    return tuple(sorted(records, key=lambda record: record.sequence))


def _record(element: Element) -> HistoryRecord:
    texts = {child.tag: child.text for child in element}
    datastore = texts.get("DS_ID")
    return HistoryRecord(
        sequence=whole(texts.get("SEQ"), "SEQ of a history record", 0),
        host_id=whole(texts.get("HID"), "HID of a history record"),
        host_name=texts.get("HOSTNAME") or "",
        datastore_id=None if datastore is None else whole(datastore, "DS_ID of a history record"),
        start=whole(texts.get("STIME"), "STIME", 0),
        end=whole(texts.get("ETIME"), "ETIME", 0),
        running_start=whole(texts.get("RSTIME"), "RSTIME", 0),
        prolog_start=whole(texts.get("PSTIME"), "PSTIME", 0),
        epilog_start=whole(texts.get("ESTIME"), "ESTIME", 0),
        prolog_end=whole(texts.get("PETIME"), "PETIME", 0),
        epilog_end=whole(texts.get("EETIME"), "EETIME", 0),
    )
