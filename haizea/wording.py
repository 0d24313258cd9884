"""Reasons in words, and as JSON.

The one place that has a sentence for each reason of the scheduler. What is shown to people, in
whichever time zone, comes from here; what is kept and sent to programs are codes and parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, Final, get_type_hints

from haizea.core.model.reasons import MOMENTS, Code, Parameters, Reason
from haizea.core.model.resources import FOREVER
from haizea.times import format_utc

#: A sentence for each code. Its parameters are those in braces, all of them.
WORDS: Final[Mapping[Code, str]] = {
    Code.POLICY: "{text}",
    Code.START_IS_PAST: "its start, {start}, is over",
    Code.END_IS_NEAR: "it was to end at {end}: there is no time left",
    Code.STARTS_TOO_SOON: "its start, {start}, is less than {seconds} s ahead",
    Code.ASKS_FOR_NOTHING: "it has a node that asks for nothing: give each some CPU or memory",
    Code.TOO_LARGE: "this site never has room for {nodes} of this size at once",
    Code.TOO_LARGE_WHERE_ALLOWED: "{nodes}, each where it may run, never fit on this site",
    Code.TOO_FEW_FREE: "{nodes} asked, at most {free} free between {start} and {end}",
    Code.TOO_LITTLE_ROOM: "{nodes} asked, not enough room between {start} and {end}",
    Code.TOO_LITTLE_ROOM_WHERE_ALLOWED: (
        "{nodes} asked, no room where each may run between {start} and {end}"
    ),
    Code.PROMISED_TO_ANOTHER: (
        "{nodes} asked between {start} and {end}; what is free is promised to lease {lease}"
        " from {moment} on"
    ),
    Code.OTHERS_LEAVE_TOO_LATE: (
        "{nodes} asked between {start} and {end}; leases that would have to make room cannot be"
        " off their hosts in time"
    ),
    Code.IMAGE_TOO_LATE: (
        "image {image} ({size_mb} MB) cannot be on its {count} hosts by {start}: the link is busy,"
        " or the start is too soon"
    ),
    Code.TOO_FEW_FREE_NOW: "{nodes} asked for now, {free} free for as long as it would run",
    Code.TOO_LITTLE_ROOM_NOW: "{nodes} asked for now, not enough room",
    Code.TOO_LITTLE_ROOM_WHERE_ALLOWED_NOW: "{nodes} asked for now, no room where each may run",
    Code.WOULD_DELAY_ANOTHER: "{nodes} asked for now, which would delay a lease that waits",
    Code.DEADLINE_TOO_NEAR: (
        "it takes {seconds} s from {start} on, and is to be done by {end}: too soon"
    ),
    Code.NO_TIME_BY_DEADLINE: (
        "{nodes} asked for {seconds} s, at no time between {start} and {end} enough room"
    ),
    Code.WAITS: "waiting for {nodes}",
    Code.WAITS_TO_GO_ON: "waiting for {nodes} to go on",
    Code.SITE_TOO_SMALL: (
        "this site has room for {nodes} of this size no more: it waits until hosts come back"
    ),
    Code.START_EXPECTED: "expected to start {start}",
    Code.RESUMPTION_EXPECTED: "expected to resume {start}",
    Code.WAITS_FOR_ENDLESS: "what is in its way has no end",
    Code.ANOTHER_COMES_FIRST: "a lease before it in the queue comes first",
    Code.ANOTHER_RUNS_LONGER: "a lease before it in the queue runs for longer",
    Code.RESERVATIONS_ARE_TAKEN: "leases before it hold the reservations",
    Code.PLANNED_ANEW: "it is planned anew after a restart",
    Code.IMAGE_ON_ITS_WAY: "image {image} on its way",
    Code.PREPARATION_PLANNED: "starting its VMs is planned to take {seconds} s",
    Code.SHUTDOWN_PLANNED: "shutting its VMs down is planned to take {seconds} s",
    Code.VMS_ARE_STARTED: "its VMs are being started, to run {moment}",
    Code.VMS_RUN: "its VMs run; its time begins {start}",
    Code.VMS_RUN_LATER: "starting its VMs takes up to {seconds} s, until {moment}",
    Code.VMS_TAKE_LONGER: "its VMs do not all run yet",
    Code.TIME_RUNS_OUT: "its VMs do not all run yet, and its time is over at {end}",
    Code.STARTS_LATE: "it starts late: {cause}",
    Code.STARTS_SOONER: "its hosts are free sooner after all",
    Code.WAITS_FOR_HOSTS: "it waits for hosts: {cause}",
    Code.HOSTS_CAME_FREE: "hosts came free for it",
    Code.RUNS_ON: "it is to run on {hosts} now: {cause}",
    Code.CUT_AT_DEADLINE: "{cause}; it has what is left until its deadline, {end}",
    Code.GOES_ON_IN_TIME: "suspended {moment} for another; goes on {start}, and is done {end}",
    Code.KEEPS_ITS_HOSTS: "it keeps its hosts, which nobody else needs now",
    Code.LOST_ITS_TIME: "{cause}; no time until its deadline, {end}, is left for it to go on",
    Code.HOSTS_GO_TO: "its hosts go to lease {lease}",
    Code.HOSTS_GO_TO_FROM: "its hosts go to lease {lease} from {start} on",
    Code.HOSTS_RESERVED: "its hosts are reserved from {start} on",
    Code.DURATION_OVER: "its duration is over",
    Code.DURATION_CUT: "its time is over but for {seconds} s, which starting or resuming took",
    Code.SHUT_DOWN: "its duration is over, and its VMs have shut down",
    Code.ENDED_EARLY: "ended before its duration was over",
    Code.CANCELLED_BY_OWNER: "cancelled by its owner",
    Code.CANCELLED_BY_OPERATOR: "cancelled by operator {owner}",
    Code.ENDED_OUTSIDE: "OpenNebula: {cause}",
    Code.SET_ASIDE: "it was set aside, as Haizea could not go on with it: {text}",
    Code.HOST_FAILED: "{host}: {cause}",
    Code.HOST_DRAINED: "{host} takes nothing new: {cause}",
    Code.LEFT_DRAINED_HOST: "{cause}; other hosts were found",
    Code.STAYS_ON_DRAINED_HOST: "{cause}; no others are free yet",
    Code.HOST_STILL_HELD: "{host} is still held by lease {lease}",
    Code.HOST_USED_BY_OTHERS: "others use {host}",
    Code.HOST_GIVEN_AWAY: "others gave {host} to lease {lease}",
    Code.OTHER_HOSTS_ALLOWED: "other hosts will do for it now",
    Code.IMAGE_ARRIVES_LATE: "its image arrives at {moment} only",
    Code.NOT_AT_WORK: "it could not begin at {moment}: Haizea was not at work then",
    Code.TOO_LATE_TO_START: "{cause}; an immediate lease starts at most {seconds} s late",
    Code.RUN_FAILED: "{cause}",
    Code.NEVER_RAN: "its VMs did not come to run in all of the time that its hosts were free",
    Code.NOT_STARTED: "its VMs could not be started in all of its time",
    Code.OPERATION_FAILED: "{purpose} failed: {cause}",
    Code.NOWHERE_ELSE: "{cause}; {refusal}",
    Code.NO_HOSTS_CAME_FREE: "no hosts came free for it in all of its time: {cause}",
    Code.SIMULATED_FAULT: "a simulated fault",
    Code.NODE_FAILED: "node {node}: {text}",
    Code.VM_FAILED: "VM {vm}: {text}",
    Code.VM_HANGS: "VM {vm} hangs in {text}",
    Code.VM_NEVER_RAN: "VM {vm} did not come to run in all of its time: {text}",
    Code.COMMAND_REFUSED: "{command} was refused: {text}",
    Code.VM_DELETED: "VM {vm} was deleted",
    Code.VM_ENDED: "VM {vm} ended",
    Code.VM_TAKEN_OFF: "VM {vm} was taken off its host",
    Code.VM_POWERED_OFF: "VM {vm} was powered off",
    Code.VM_PUT_ON_HOLD: "VM {vm} was put on hold",
    Code.VM_RELEASED: "VM {vm} was released",
    Code.VM_STARTED_BY_OTHERS: "VM {vm} was started by somebody else",
    Code.VM_ASKS_ANEW: "VM {vm} asks for something else now",
    Code.VM_NEVER_STARTS_AGAIN: "VM {vm} failed, and OpenNebula cannot start it again",
    Code.HOST_BROKE: "the host failed",
    Code.HOST_IS_DRAINED: "the host is being drained",
    Code.NO_SUCH_HOST: "OpenNebula has no such host any more",
    Code.NOT_MONITORED: "OpenNebula cannot monitor it",
    Code.MONITORING_FAILED: "OpenNebula cannot monitor it: {text}",
    Code.HAS_GROWN: "it has more capacity now, as {host}",
    Code.HOST_STATE: "it is {text} in OpenNebula",
    Code.NO_ANSWER_YET: "OpenNebula has not answered yet",
    Code.HOST_UNUSABLE: "{host} cannot be used at present",
    Code.HOST_NOT_FREE: "{host} is not free of other VMs yet",
    Code.MAINTENANCE: "maintenance of {hosts} from {start} on: {text}",
    Code.MAINTENANCE_IS_OVER: "its end, {end}, is over already",
    Code.ENDS_BEFORE_IT_STARTS: "its end, {end}, is not after its start, {start}",
    Code.NAMES_NO_HOST: "it names no host of the site",
    Code.IN_MAINTENANCE_THEN: "{host} is in maintenance then, by window {window}: change that one",
    Code.IN_THE_WAY: "lease {lease} has {hosts} until {end}, and nothing else is free for it",
    Code.ALSO_IN_THE_WAY: "{cause}; so has lease {lease} {hosts} until {end}",
    Code.GETS_OTHER_HOSTS: "gets other hosts",
    Code.IS_SUSPENDED: "is suspended {start}",
    Code.WAITS_OR_STARTS_OVER: "waits or starts over",
    Code.STAYS_UNTIL_OVER: "stays until it is over",
    Code.BEGINS_AGAIN_OR_FAILS: "begins again elsewhere, or fails",
    Code.WAS_CHANGED: "it was changed",
    Code.IS_OVER: "it is over",
    Code.CHANGED_MEANWHILE: "it was changed meanwhile: look at it again",
    Code.IS_BUSY: "it is {text} now: ask again when that is over",
    Code.IMAGE_IS_PLANNED: "its image {image} is to go to its hosts: cancel it and ask anew",
    Code.SAVED_AS_IT_IS: "its nodes are saved as they are: only its end can change",
    Code.HAS_RUN: "it has run for {seconds} s already",
    Code.ONLY_ITS_END: "it runs: only its end can change, and whether it is preemptible",
    Code.SHUTS_DOWN: "it is being shut down",
    Code.WOULD_END_BY: "it would have to end by {end}: cancel it instead",
    Code.LEAVES_FIRST: "it leaves its hosts {moment}: only a later end will do",
    Code.ENDS_AFTER_DEADLINE: "it would end at {end}, after its deadline, {moment}",
    Code.HOSTS_PROMISED: (
        "its hosts are promised between {start} and {end} to others that cannot go elsewhere"
    ),
    Code.ANOTHER_KEEPS_HOSTS: "lease {lease} keeps its hosts for longer",
    Code.STATED: "{text}",
}

#: Operations in words, where their names are not.
_OPERATIONS: Final[Mapping[str, str]] = {
    "transfer": "image transfer",
    "suspend": "suspending",
    "migrate": "migrating",
    "resume": "resuming",
    "shutdown": "shutting down",
}

#: A moment in words, as whoever reads wants it.
Moment = Callable[[int], str]

_KINDS: Final[Mapping[str, Any]] = get_type_hints(Parameters)
#: What the words of each reason are about.
_NEEDED: Final[Mapping[Code, Sequence[str]]] = {
    code: [name for _, name, _, _ in Formatter().parse(words) if name is not None]
    for code, words in WORDS.items()
}


def in_words(reason: Reason | None, moment: Moment = format_utc) -> str:
    """The reason as a sentence, empty where there is none; ``moment`` puts times into words."""
    if reason is None:
        return ""
    values = {name: _said(name, value, moment) for name, value in reason.parameters}
    return WORDS[reason.code].format_map(values)


def _said(name: str, value: Any, moment: Moment) -> str:
    if name in MOMENTS:
        return "whenever it would end" if value >= FOREVER else moment(value)
    if name == "purpose":
        return _OPERATIONS.get(value, str(value))
    if name == "nodes":
        return "1 node" if value == 1 else f"{value} nodes"
    return in_words(value, moment) if isinstance(value, Reason) else str(value)


def parameters_of(reason: Reason | None) -> dict[str, Any]:
    """The parameters by name, as JSON has them: a reason among them as :func:`as_data` has it."""
    if reason is None:
        return {}
    return {
        name: as_data(value) if isinstance(value, Reason) else value
        for name, value in reason.parameters
    }


def as_data(reason: Reason) -> dict[str, Any]:
    """The reason as JSON has it: ``{"code": …, "parameters": {…}}``."""
    return {"code": reason.code.value, "parameters": parameters_of(reason)}


def reason_of(code: object, parameters: object) -> Reason:
    """The reason with this code and these parameters, as JSON had them.

    What a later program adds is left out. Raises ``ValueError`` where this program has no words
    for it.
    """
    found = Code(str(code))
    if not isinstance(parameters, Mapping):
        raise ValueError(f"the parameters of {found} are not an object: {parameters!r:.40}")
    known = [(name, value) for name, value in parameters.items() if name in _KINDS]
    for name in _NEEDED[found]:
        if name not in parameters:
            raise ValueError(f"{found} has no {name}")
    return Reason(found, tuple((name, _read(name, value)) for name, value in known))


def _read(name: str, value: object) -> object:
    kind = _KINDS[name]
    if kind is Reason and isinstance(value, Mapping):
        return reason_of(value.get("code"), value.get("parameters", {}))
    if type(value) is not kind:
        raise ValueError(f"{value!r:.40} is not a value of a reason's {name}")
    return value
