"""Reasons: why a lease is where it is, as data.

The core writes no sentences. A reason is a code and its parameters; ``haizea.wording`` puts it
into words, with the moments in the time zone of whoever reads it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple, TypedDict, Unpack


class Code(StrEnum):
    """Every reason that there is; the value is the name that programs see."""

    # Requests that are refused.
    POLICY = "policy"
    START_IS_PAST = "start-is-past"
    END_IS_NEAR = "end-is-near"
    STARTS_TOO_SOON = "starts-too-soon"
    ASKS_FOR_NOTHING = "asks-for-nothing"
    TOO_LARGE = "too-large"
    TOO_LARGE_WHERE_ALLOWED = "too-large-where-allowed"
    TOO_FEW_FREE = "too-few-free"
    TOO_LITTLE_ROOM = "too-little-room"
    TOO_LITTLE_ROOM_WHERE_ALLOWED = "too-little-room-where-allowed"
    PROMISED_TO_ANOTHER = "promised-to-another"
    OTHERS_LEAVE_TOO_LATE = "others-leave-too-late"
    IMAGE_TOO_LATE = "image-too-late"
    TOO_FEW_FREE_NOW = "too-few-free-now"
    TOO_LITTLE_ROOM_NOW = "too-little-room-now"
    TOO_LITTLE_ROOM_WHERE_ALLOWED_NOW = "too-little-room-where-allowed-now"
    WOULD_DELAY_ANOTHER = "would-delay-another"
    DEADLINE_TOO_NEAR = "deadline-too-near"
    NO_TIME_BY_DEADLINE = "no-time-by-deadline"

    # Waiting, and going on.
    WAITS = "waits"
    WAITS_TO_GO_ON = "waits-to-go-on"
    SITE_TOO_SMALL = "site-too-small"
    START_EXPECTED = "start-expected"
    RESUMPTION_EXPECTED = "resumption-expected"
    WAITS_FOR_ENDLESS = "waits-for-endless"
    ANOTHER_COMES_FIRST = "another-comes-first"
    ANOTHER_RUNS_LONGER = "another-runs-longer"
    RESERVATIONS_ARE_TAKEN = "reservations-are-taken"
    PLANNED_ANEW = "planned-anew"
    IMAGE_ON_ITS_WAY = "image-on-its-way"
    PREPARATION_PLANNED = "preparation-planned"
    SHUTDOWN_PLANNED = "shutdown-planned"
    VMS_ARE_STARTED = "vms-are-started"
    VMS_RUN = "vms-run"
    VMS_RUN_LATER = "vms-run-later"
    VMS_TAKE_LONGER = "vms-take-longer"
    TIME_RUNS_OUT = "time-runs-out"
    STARTS_LATE = "starts-late"
    STARTS_SOONER = "starts-sooner"
    WAITS_FOR_HOSTS = "waits-for-hosts"
    HOSTS_CAME_FREE = "hosts-came-free"
    RUNS_ON = "runs-on"
    CUT_AT_DEADLINE = "cut-at-deadline"
    GOES_ON_IN_TIME = "goes-on-in-time"
    LOST_ITS_TIME = "lost-its-time"
    KEEPS_ITS_HOSTS = "keeps-its-hosts"

    # Making room.
    HOSTS_GO_TO = "hosts-go-to"
    HOSTS_GO_TO_FROM = "hosts-go-to-from"
    HOSTS_RESERVED = "hosts-reserved"

    # Endings.
    DURATION_OVER = "duration-over"
    DURATION_CUT = "duration-cut"
    SHUT_DOWN = "shut-down"
    ENDED_EARLY = "ended-early"
    CANCELLED_BY_OWNER = "cancelled-by-owner"
    CANCELLED_BY_OPERATOR = "cancelled-by-operator"
    ENDED_OUTSIDE = "ended-outside"
    SET_ASIDE = "set-aside"

    # What goes wrong.
    HOST_FAILED = "host-failed"
    HOST_DRAINED = "host-drained"
    LEFT_DRAINED_HOST = "left-drained-host"
    STAYS_ON_DRAINED_HOST = "stays-on-drained-host"
    HOST_STILL_HELD = "host-still-held"
    HOST_USED_BY_OTHERS = "host-used-by-others"
    HOST_GIVEN_AWAY = "host-given-away"
    OTHER_HOSTS_ALLOWED = "other-hosts-allowed"
    IMAGE_ARRIVES_LATE = "image-arrives-late"
    NOT_AT_WORK = "not-at-work"
    TOO_LATE_TO_START = "too-late-to-start"
    RUN_FAILED = "run-failed"
    NEVER_RAN = "never-ran"
    NOT_STARTED = "not-started"
    OPERATION_FAILED = "operation-failed"
    NOWHERE_ELSE = "nowhere-else"
    NO_HOSTS_CAME_FREE = "no-hosts-came-free"
    SIMULATED_FAULT = "simulated-fault"
    NODE_FAILED = "node-failed"
    VM_FAILED = "vm-failed"
    VM_HANGS = "vm-hangs"
    VM_NEVER_RAN = "vm-never-ran"
    COMMAND_REFUSED = "command-refused"

    # What others did to VMs in OpenNebula.
    VM_DELETED = "vm-deleted"
    VM_ENDED = "vm-ended"
    VM_TAKEN_OFF = "vm-taken-off"
    VM_POWERED_OFF = "vm-powered-off"
    VM_PUT_ON_HOLD = "vm-put-on-hold"
    VM_RELEASED = "vm-released"
    VM_STARTED_BY_OTHERS = "vm-started-by-others"
    VM_ASKS_ANEW = "vm-asks-anew"
    VM_NEVER_STARTS_AGAIN = "vm-never-starts-again"

    # Hosts that are not simply up.
    HOST_BROKE = "host-broke"
    HOST_IS_DRAINED = "host-is-drained"
    NO_SUCH_HOST = "no-such-host"
    NOT_MONITORED = "not-monitored"
    MONITORING_FAILED = "monitoring-failed"
    HAS_GROWN = "has-grown"
    HOST_STATE = "host-state"
    NO_ANSWER_YET = "no-answer-yet"
    HOST_UNUSABLE = "host-unusable"
    HOST_NOT_FREE = "host-not-free"

    # Maintenance.
    MAINTENANCE = "maintenance"
    MAINTENANCE_IS_OVER = "maintenance-is-over"
    ENDS_BEFORE_IT_STARTS = "ends-before-it-starts"
    NAMES_NO_HOST = "names-no-host"
    IN_MAINTENANCE_THEN = "in-maintenance-then"
    IN_THE_WAY = "in-the-way"
    ALSO_IN_THE_WAY = "also-in-the-way"
    GETS_OTHER_HOSTS = "gets-other-hosts"
    IS_SUSPENDED = "is-suspended"
    WAITS_OR_STARTS_OVER = "waits-or-starts-over"
    STAYS_UNTIL_OVER = "stays-until-over"
    BEGINS_AGAIN_OR_FAILS = "begins-again-or-fails"

    # Changes of leases.
    WAS_CHANGED = "was-changed"
    IS_OVER = "is-over"
    CHANGED_MEANWHILE = "changed-meanwhile"
    IS_BUSY = "is-busy"
    IMAGE_IS_PLANNED = "image-is-planned"
    SAVED_AS_IT_IS = "saved-as-it-is"
    HAS_RUN = "has-run"
    ONLY_ITS_END = "only-its-end"
    SHUTS_DOWN = "shuts-down"
    WOULD_END_BY = "would-end-by"
    LEAVES_FIRST = "leaves-first"
    ENDS_AFTER_DEADLINE = "ends-after-deadline"
    HOSTS_PROMISED = "hosts-promised"
    ANOTHER_KEEPS_HOSTS = "another-keeps-hosts"

    # Somebody else's words, as they are.
    STATED = "stated"


class Parameters(TypedDict, total=False):
    """The things that reasons are about. A parameter means the same in each reason that has it.

    Moments, those of :data:`MOMENTS`, are seconds since the epoch (``end`` may be ``FOREVER``).
    ``lease`` is the id of another lease, ``window`` that of a maintenance window, ``vm`` that
    of a VM in OpenNebula; ``node`` is one node of the lease, from 1,
    ``nodes`` a number of nodes, ``free`` how many of them
    there is room for, ``count`` a number of hosts. ``cause`` and ``refusal`` are reasons
    themselves. ``command`` is what OpenNebula was told to do, ``text`` is in the words of
    somebody else: a policy, OpenNebula, an administrator.
    """

    lease: int
    window: int
    vm: int
    node: int
    nodes: int
    free: int
    count: int
    seconds: int
    size_mb: int
    start: int
    end: int
    moment: int
    host: str
    hosts: str
    image: str
    owner: str
    purpose: str
    command: str
    text: str
    cause: Reason
    refusal: Reason


#: Reasons that say no more than when a lease that has its hosts is to start.
EXPECTATIONS: Final = frozenset(
    {Code.START_EXPECTED, Code.RESUMPTION_EXPECTED, Code.VMS_ARE_STARTED, Code.VMS_RUN}
)

#: The parameters that are moments.
MOMENTS: Final = frozenset({"start", "end", "moment"})


class Reason(NamedTuple):
    """A code and its parameters, as (name, value), in an order that the code decides.

    Reasons with the same parameters are equal. Made by :func:`because`.
    """

    code: Code
    parameters: tuple[tuple[str, object], ...] = ()

    def get(self, name: str) -> object:
        """The value of a parameter; ``None`` where the reason has none of that name."""
        return next((value for known, value in self.parameters if known == name), None)


def because(code: Code, **parameters: Unpack[Parameters]) -> Reason:
    """Make a reason. The words for its code name the parameters that it has to have."""
    return Reason(code, tuple(parameters.items()))


@lru_cache
def waits_for(nodes: int) -> Reason:
    """Why a lease waits that waits for hosts for so many nodes; every lease does, for a moment."""
    return because(Code.WAITS, nodes=nodes)


def expected_at(code: Code, start: int) -> Reason:
    """Make the reason of somebody who is expected to start, or to resume, then."""
    return because(code, start=start)


def starting(reason: Reason | None, start: int) -> Reason | None:
    """The reason for a lease whose start is ``start`` now: where one names its start, this one."""
    if reason is None or reason.code not in (Code.START_EXPECTED, Code.RESUMPTION_EXPECTED):
        return reason
    return expected_at(reason.code, start)


#: Why a lease is over that was not ended by anybody.
DURATION_OVER: Final = because(Code.DURATION_OVER)
ENDED_EARLY: Final = because(Code.ENDED_EARLY)

#: Why a host is down, or drained, where nothing else is said.
BROKE: Final = because(Code.HOST_BROKE)
DRAINED: Final = because(Code.HOST_IS_DRAINED)


def stated(text: str) -> Reason | None:
    """Make a reason of somebody else's words; ``None`` where there are none."""
    return because(Code.STATED, text=text) if text else None
