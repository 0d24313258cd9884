"""``SCHED_ACTION``: what users plan for their VMs, which the scheduler runs up to OpenNebula 6.6.

Later versions run them themselves (:attr:`Version.runs_scheduled_actions`). Times of day
and days of a repetition are those of the frontend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from haizea.backends.opennebula.model.errors import Fault
from haizea.backends.opennebula.model.template import quotable, write_template
from haizea.backends.opennebula.model.vm import VirtualMachine, VmState
from haizea.backends.opennebula.wire.client import Client

_NAME = "SCHED_ACTION"
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNED = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_LONGEST_MESSAGE = 200

#: What ``one.vm.action`` does; snapshots and backups are calls of their own.
_VERBS = frozenset(
    [
        *("terminate", "terminate-hard", "undeploy", "undeploy-hard", "hold", "release"),
        *("stop", "suspend", "resume", "reboot", "reboot-hard", "poweroff", "poweroff-hard"),
    ]
)

#: Other calls by action, and which of their arguments are numbers.
_CALLS = {
    "snapshot-create": ("one.vm.snapshotcreate", (False,)),
    "snapshot-revert": ("one.vm.snapshotrevert", (True,)),
    "snapshot-delete": ("one.vm.snapshotdelete", (True,)),
    "disk-snapshot-create": ("one.vm.disksnapshotcreate", (True, False)),
    "disk-snapshot-revert": ("one.vm.disksnapshotrevert", (True, True)),
    "disk-snapshot-delete": ("one.vm.disksnapshotdelete", (True, True)),
    "backup": ("one.vm.backup", (True,)),
}


class Repeat(IntEnum):
    """``REPEAT``; what ``DAYS`` lists depends on it."""

    WEEKLY = 0  # days of the week, 0 is Sunday
    MONTHLY = 1  # days of the month, from 1
    YEARLY = 2  # days of the year, from 0
    HOURLY = 3  # one number: every so many hours


class _End(IntEnum):
    NEVER = 0
    TIMES = 1
    DATE = 2


#: So far, in days, is looked for the next day of a repetition: 29 February may be far.
_FARTHEST_DAYS = 8 * 366 + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAction:
    """An action whose time has come. ``method`` and ``parameters`` are the call to make.

    ``problem`` says why there is none, if there is none. ``attributes`` is the
    ``SCHED_ACTION`` as it was read; ``index`` its place among the VM's.
    """

    vm_id: int
    action: str
    due: int
    method: str
    parameters: tuple[str | int, ...]
    attributes: Mapping[str, str]
    index: int
    problem: str = ""

    @property
    def action_id(self) -> int | None:
        """OpenNebula's number for it; ``None`` in versions without such."""
        text = self.attributes.get("ID", "")
        return int(text) if _NUMBER.fullmatch(text) else None


def due_actions(vms: Iterable[VirtualMachine], now: int) -> tuple[DueAction, ...]:
    """The actions to run now, by VM: of each VM the one that is due the longest.

    What it does to the VM takes time, and the VM's next one waits until it is called again.
    O(number of VMs and actions).
    """
    found = []
    for vm in vms:
        due = [action for action in _pending(vm) if action.due <= now]
        if due:
            found.append(min(due, key=lambda action: action.due))
    return tuple(found)


def next_due(vms: Iterable[VirtualMachine], now: int) -> int | None:
    """The next moment after ``now`` at which an action becomes due; ``None`` if none will."""
    coming = (action.due for vm in vms for action in _pending(vm) if action.due > now)
    return min(coming, default=None)


def after_success(action: DueAction, now: int) -> Mapping[str, str]:
    """The attributes of an action that was run at ``now``: done, and when it is due next."""
    left = dict(action.attributes)
    left.pop("MESSAGE", None)
    left["DONE"] = str(now)
    at = action.due
    while at <= now:
        following = _repeated(left, at, now)
        if following is None:
            break
        at = following
        left["TIME"] = str(at)
    return left


def after_failure(action: DueAction, why: str) -> Mapping[str, str]:
    """The attributes of an action that could not be run: it is tried again, and says why."""
    return {**action.attributes, "MESSAGE": quotable(why[:_LONGEST_MESSAGE])}


def mark(client: Client, vm: VirtualMachine, action: DueAction, left: Mapping[str, str]) -> None:
    """Write ``left`` in the place of ``action``. Raises what the client raises."""
    number = action.action_id
    if number is not None and _NAME in vm.template:
        text = write_template({_NAME: left})
        try:
            client.command("one.vm.schedupdate", vm.id, number, text)
        except Fault as fault:
            if fault.code != Fault.NO_SUCH_METHOD:
                raise
        else:
            return
    actions = [dict(one) for one in _vectors(vm)]
    actions[action.index] = dict(left)
    client.command("one.vm.update", vm.id, _all(actions), 1)


def _all(actions: Iterable[Mapping[str, str]]) -> str:
    """All actions of a VM: where one is updated, those of the same name are replaced."""
    return "\n".join(write_template({_NAME: action}) for action in actions)


def _vectors(vm: VirtualMachine) -> tuple[Mapping[str, str], ...]:
    """Since 6.2 they are in the template, before that in the user's."""
    return vm.template.vectors(_NAME) or vm.user_template.vectors(_NAME)


def _pending(vm: VirtualMachine) -> Iterator[DueAction]:
    if vm.state == VmState.DONE:
        return
    for index, attributes in enumerate(_vectors(vm)):
        due = _moment(attributes.get("TIME", ""), vm.stime)
        if due is None or _is_over(attributes, due):
            continue
        name = attributes.get("ACTION", "").strip().lower()
        method, parameters, problem = _call(name, vm.id, attributes.get("ARGS", ""))
        yield DueAction(
            vm_id=vm.id,
            action=name,
            due=due,
            method=method,
            parameters=parameters,
            attributes=attributes,
            index=index,
            problem=problem,
        )


def _moment(text: str, submitted: int) -> int | None:
    """``TIME``: seconds since the epoch or, after ``+``, since the VM was made."""
    text = text.strip()
    number = text.removeprefix("+")
    if not _NUMBER.fullmatch(number):
        return None
    return int(number) + (submitted if text.startswith("+") else 0)


def _is_over(attributes: Mapping[str, str], due: int) -> bool:
    """Tell whether it was run for this moment: of a repeated one, the moment is the next one's."""
    done = _whole(attributes.get("DONE"))
    return done is not None and done >= due


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and _SIGNED.fullmatch(text.strip()) else None


def _call(name: str, vm_id: int, text: str) -> tuple[str, tuple[str | int, ...], str]:
    """Method and parameters of an action, and what is wrong with it."""
    if name in _VERBS:
        return "one.vm.action", (name, vm_id), ""
    if name not in _CALLS:
        return "", (), f"{name[:40]!r} is not an action that can be scheduled"
    method, numbers = _CALLS[name]
    given = [part.strip() for part in text.split(",")] if text.strip() else []
    wrong = f"ARGS of {name} must be {len(numbers)} value(s), separated by a comma"
    if len(given) < len(numbers):
        return "", (), wrong
    arguments: list[str | int] = []
    for word, is_number in zip(given, numbers, strict=False):
        if not is_number:
            arguments.append(word)
        elif _NUMBER.fullmatch(word):
            arguments.append(int(word))
        else:
            return "", (), f"{wrong}; {word[:40]!r} is not a number"
    return method, (vm_id, *arguments), ""


def _repeated(left: dict[str, str], at: int, now: int) -> int | None:
    """Return when it is due after ``at``, if it is repeated.

    Where times are counted, one is taken off. Otherwise those that were missed are passed
    over: the answer is after ``now``.
    """
    repeat, end = _whole(left.get("REPEAT")), _whole(left.get("END_TYPE"))
    days = {int(word) for word in _words(left.get("DAYS", ""))}
    limit = _whole(left.get("END_VALUE"))
    if repeat not in list(Repeat) or end not in list(_End) or not days:
        return None
    if limit is None and end != _End.NEVER:
        return None
    following = _next(Repeat(repeat), days, at, at if end == _End.TIMES else now)
    match end:
        case _End.DATE if following is not None and limit is not None and following > limit:
            return None
        case _End.TIMES if limit is not None:
            left["END_VALUE"] = str(max(0, limit - 1))
            return following if limit > 0 else None
    return following


def _words(text: str) -> Iterator[str]:
    return (word.strip() for word in text.split(",") if re.fullmatch(r"\s*[0-9]{1,4}\s*", word))


def _next(repeat: Repeat, days: set[int], at: int, after: int) -> int | None:
    """The first repetition of ``at`` that is after ``after``, at the same time of day."""
    after = max(at, after)
    if repeat is Repeat.HOURLY:
        step = min(days) * 3600
        return at + ((after - at) // step + 1) * step if step > 0 else None
    try:
        time_of_day = datetime.fromtimestamp(at).time()
        first = datetime.fromtimestamp(after).date()
        for later in range(_FARTHEST_DAYS):
            day = first + timedelta(days=later)
            if _number(repeat, day) not in days:
                continue
            moment = int(datetime.combine(day, time_of_day).timestamp())
            if moment > after:
                return moment
    except (OverflowError, ValueError, OSError):
        pass
    return None


def _number(repeat: Repeat, day: date) -> int:
    match repeat:
        case Repeat.WEEKLY:
            return day.isoweekday() % 7
        case Repeat.MONTHLY:
            return day.day
        case _:
            return day.timetuple().tm_yday - 1
