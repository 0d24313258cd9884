"""Routes about maintenance: hosts that are out of use from, until, and why."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from haizea.api.answers import Answer, ReasonCode, ReasonParameters, When
from haizea.api.calls import Closing
from haizea.api.forms import Moment
from haizea.api.interface import (
    ANYBODY,
    OPERATING,
    AnyToken,
    Here,
    Interface,
    OperatorToken,
    described,
)
from haizea.api.manager import Manager, Upkept
from haizea.api.problems import Refused, later, not_found
from haizea.api.settings import MOST_ID, PRINTABLE
from haizea.api.values import written, written_or_none
from haizea.api.views import host_names, reason_fields
from haizea.core.model.hosts import Site
from haizea.core.model.maintenance import Leaving, Maintenance, MaintenanceRecord
from haizea.core.model.reasons import Code
from haizea.host_names import hosts_called
from haizea.wording import in_words

router = APIRouter()
_T = TypeVar("_T")

WindowId = Annotated[int, Path(ge=1, le=MOST_ID, description="The window's number.")]
_Hosts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]],
    Field(
        min_length=1,
        max_length=1000,
        description="Hosts by name, by pattern (`rack-b-*`), by size (`Memory>=65536`) or, with"
        ' OpenNebula, by a condition on their attributes (`RACK="b"`).',
        examples=[["host-3", "rack-b-*"]],
    ),
]
_Reason = Annotated[str, Field(max_length=200, pattern=PRINTABLE, description="Why.")]
_Leases = Annotated[
    Literal["refuse", "stay", "end"],
    Field(
        description="Fate of leases that cannot leave in time: with `refuse` there is no"
        " window then, with `stay` they stay until they are over (and nothing new comes), with"
        " `end` they begin again elsewhere at its start, or fail."
    ),
]


class MaintenanceForm(BaseModel):
    """Request for a maintenance window."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hosts: _Hosts
    start: Moment | None = Field(None, description="From when on; left out: from now on.")
    end: Moment | None = Field(None, description="Until when; left out: until it is ended.")
    reason: _Reason = ""
    leases: _Leases = "refuse"


class MaintenanceChange(BaseModel):
    """Another form of a maintenance window: what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hosts: _Hosts | None = None
    start: Moment | None = None
    end: Moment | None = Field(None, description="`null` for a window without end.")
    reason: _Reason | None = None
    leases: _Leases | None = None


class MaintenanceOut(Answer):
    """A maintenance window."""

    id: int
    hosts: list[str]
    start: When
    end: When | None
    reason: str
    leases: str
    status: str = Field(description="`planned` or `begun`.", examples=["planned"])
    out: list[str] = Field(description="The hosts that are empty and out of use now.")


class MaintenanceList(Answer):
    """Maintenance windows that are not over."""

    maintenance: list[MaintenanceOut]


class LeaverOut(Answer):
    """A lease that runs into a window."""

    lease: int
    stuck: bool = Field(description="True if it cannot leave in time.")
    reason: str = Field(description="Way in which it makes room, in words.")
    reason_code: ReasonCode
    reason_parameters: ReasonParameters


class ImpactOut(Answer):
    """The effect that a window would have, if it were asked for now."""

    possible: bool
    reason: str = Field(description="Why it cannot be; empty if it can.")
    reason_code: ReasonCode
    reason_parameters: ReasonParameters
    hosts: list[str]
    leases: list[LeaverOut]


Preview = Annotated[
    bool, Query(description="Do nothing: answer with what it would mean, `ImpactOut`.")
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": ImpactOut, "description": "What it would mean, with `preview`."}
}


@router.get(
    "/maintenance",
    response_model=MaintenanceList,
    **described("List maintenance windows", "site", ANYBODY),
)
async def list_maintenance(here: Here, token: AnyToken) -> Response:
    """All windows that are planned or under way, by number."""

    def show() -> MaintenanceList:
        site = here.manager.site
        return MaintenanceList(
            maintenance=[_window_out(record, site) for record in here.manager.maintenance()]
        )

    return await here.answer(show)


@router.post(
    "/maintenance",
    status_code=201,
    response_model=MaintenanceOut,
    **described("Plan maintenance", "site", OPERATING, 408, 409, 413, responses=_ANSWERS),
)
async def plan_maintenance(
    here: Here, wanted: MaintenanceForm, token: OperatorToken, preview: Preview = False
) -> Response:
    """Take hosts out of use: waiting leases are planned around it, others leave in time.

    A `409` says which leases are in the way, and nothing has changed.
    """
    now = here.manager.now()
    window = Maintenance(
        id=0,
        hosts=_hosts(here.manager, wanted.hosts),
        # Nothing is taken out of use in the past.
        start=now if wanted.start is None else max(now, wanted.start),
        end=wanted.end,
        reason=wanted.reason,
        leases=Leaving(wanted.leases),
    )
    return await _ask(here, window, token.owner, preview, 201)


@router.patch(
    "/maintenance/{window_id}",
    response_model=MaintenanceOut,
    **described("Change maintenance", "site", OPERATING, 404, 408, 409, 412, 413),
)
async def change_maintenance(
    here: Here,
    window_id: WindowId,
    wanted: MaintenanceChange,
    token: OperatorToken,
    preview: Preview = False,
) -> Response:
    """Give a window other hosts, another time or reason: as a whole, or (`409`) nothing changes.

    Nor does it where somebody else changes the window at the same moment (`412`).
    """
    record = _known(here, window_id)
    old = record.window
    given = wanted.model_fields_set
    window = Maintenance(
        id=window_id,
        hosts=old.hosts if wanted.hosts is None else _hosts(here.manager, wanted.hosts),
        start=old.start if wanted.start is None else _begins(here, record, wanted.start),
        end=wanted.end if "end" in given else old.end,
        reason=old.reason if wanted.reason is None else wanted.reason,
        leases=old.leases if wanted.leases is None else Leaving(wanted.leases),
    )
    return await _ask(here, window, token.owner, preview, 200, instead_of=old)


@router.delete(
    "/maintenance/{window_id}",
    response_model=MaintenanceOut,
    **described("End maintenance", "site", OPERATING, 404),
)
async def end_maintenance(here: Here, window_id: WindowId, token: OperatorToken) -> Response:
    """Give the hosts back now; a window that has not begun is forgotten."""
    record = _known(here, window_id)
    ended = await _decided(here, here.manager.end_maintenance(window_id, token.owner))
    if ended is None:
        raise not_found(f"maintenance {window_id}")
    return await here.answer(partial(_window_out, record, here.manager.site))


def _begins(here: Interface, record: MaintenanceRecord, wanted: int) -> int:
    """Return when a window begins that is to begin then: not in the past, unless it did."""
    now = here.manager.now()
    return record.window.start if record.begun and wanted <= now else max(now, wanted)


def _known(here: Interface, window_id: int) -> MaintenanceRecord:
    for record in here.manager.maintenance():
        if record.window.id == window_id:
            return record
    raise not_found(f"maintenance {window_id}")


def _hosts(manager: Manager, words: list[str]) -> tuple[int, ...]:
    try:
        return hosts_called(manager.site, words, manager.hosts_meeting)
    except ValueError as wrong:
        raise Refused(422, "invalid", str(wrong), "hosts") from None


async def _ask(
    here: Interface,
    window: Maintenance,
    owner: str,
    preview: bool,
    status: int,
    instead_of: Maintenance | None = None,
) -> Response:
    asked = here.manager.maintain(window, owner, preview=preview, instead_of=instead_of)
    found = await _decided(here, asked)
    if preview:
        return await here.answer(partial(_impact_out, found, here.manager.site))
    refusal = found.impact.refusal
    if refusal is not None and refusal.code is Code.ENDS_BEFORE_IT_STARTS:
        raise Refused(422, "invalid", in_words(refusal), "end")
    if refusal is not None and refusal.code is Code.CHANGED_MEANWHILE:
        _known(here, window.id)
        text = f"maintenance {window.id} was changed meanwhile: look at it again"
        raise Refused(412, "changed", text)
    if refusal is not None:
        raise Refused(409, "in-the-way", in_words(refusal))
    return await here.answer(
        lambda: _window_out(_as_kept(here, found.window), here.manager.site), status
    )


def _as_kept(here: Interface, window: Maintenance) -> MaintenanceRecord:
    """The window with what became of it since it was taken."""
    kept = [r for r in here.manager.maintenance() if r.window.id == window.id]
    return kept[0] if kept else MaintenanceRecord(window=window)


async def _decided(here: Interface, future: Future[_T]) -> _T:
    try:
        return await here.decided(future)
    except (TimeoutError, Closing):
        raise later(
            "no-decision-yet", "there is no decision yet: look at the list of maintenance", 5
        ) from None


def _window_out(record: MaintenanceRecord, site: Site) -> MaintenanceOut:
    window = record.window
    return MaintenanceOut(
        id=window.id,
        hosts=host_names(site, window.hosts),
        start=written(window.start),
        end=written_or_none(window.end),
        reason=window.reason,
        leases=window.leases.value,
        status="begun" if record.begun else "planned",
        out=host_names(site, [host for host, _ in record.out]),
    )


def _impact_out(found: Upkept, site: Site) -> ImpactOut:
    impact = found.impact
    return ImpactOut(
        possible=impact.refusal is None,
        **reason_fields(impact.refusal),
        hosts=host_names(site, found.window.hosts),
        leases=[
            LeaverOut(lease=x.lease_id, stuck=x.stuck, **reason_fields(x.how))
            for x in impact.leases
        ],
    )
