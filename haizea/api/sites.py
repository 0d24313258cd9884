"""Routes about hosts, the schedule, and how the service is."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from haizea.api.answers import (
    Health,
    ScheduleEntry,
    ScheduleOut,
    StatusOut,
)
from haizea.api.forms import Period, ScheduleFilter
from haizea.api.host_answers import HostList, HostUseOut, LearnedOut, UseEntry
from haizea.api.interface import (
    ANYBODY,
    WATCHING,
    AnyToken,
    Here,
    Interface,
    WatchingToken,
    described,
    whose,
)
from haizea.api.metrics import MEDIA_TYPE, exposition
from haizea.api.problems import not_found
from haizea.api.settings import MOST_MOMENTS, MOST_PERIOD_SECONDS, MOST_PLACES
from haizea.api.timelines import TimelineOut
from haizea.api.values import written
from haizea.api.views import host_out, resources, schedule_entry
from haizea.core.model.hosts import Host, Site
from haizea.service_types import Role, TokenInfo

router = APIRouter()
_AS_BEFORE: dict[int | str, dict[str, str]] = {
    304: {"description": "It is what `If-None-Match` says, the `ETag` of an answer."}
}
#: Routes that are not part of a version of the interface.
plain_router = APIRouter()


@router.get(
    "/hosts",
    response_model=HostList,
    **described("List hosts", "site", ANYBODY),
)
async def list_hosts(here: Here, token: AnyToken) -> Response:
    """All hosts, with what is in use on them now."""
    own = whose(token)

    def show() -> HostList:
        types = here.manager.site.types
        return HostList(
            hosts=[host_out(use, types, own) for use in here.manager.hosts()],
            learned=[LearnedOut(**asdict(one)) for one in here.manager.learned()],
        )

    return await here.answer(show)


@router.get(
    "/hosts/{host}/use",
    response_model=HostUseOut,
    **described("Show the use of a host over time", "site", ANYBODY, 404),
)
async def show_host_use(
    here: Here,
    host: Annotated[str, Path(max_length=200, description="The host's name or number.")],
    wanted: Annotated[Period, Query()],
    token: AnyToken,
) -> Response:
    """Show how much of the host was, is and will be in use, whoever uses it.

    Up to 400 days and 5000 changes; `until` of the answer says how far it goes.
    """
    start, end = wanted.bounds(here.manager.now(), MOST_PERIOD_SECONDS)

    def show() -> HostUseOut:
        site = here.manager.site
        found = _host(site, host)
        use = here.manager.host_use(found.id, start, end)
        last = use[MOST_MOMENTS][0] if len(use) > MOST_MOMENTS else end
        return HostUseOut(
            host=found.name,
            resources=resources(site.types, found.capacity),
            since=written(start),
            until=written(last),
            use=[
                UseEntry(time=written(moment), used=resources(site.types, used))
                for moment, used in use[:MOST_MOMENTS]
            ],
        )

    return await here.answer(show)


def _host(site: Site, called: str) -> Host:
    for host in site.hosts:
        if host.name == called:
            return host
    if called.isascii() and called.isdigit() and len(called) < 10:
        index = int(called)
        if index < len(site.hosts):
            return site.hosts[index]
    raise not_found(f"host {called[:100]!a}")


@router.get(
    "/schedule",
    response_model=ScheduleOut,
    **described("Show the schedule", "site", ANYBODY),
)
async def show_schedule(
    here: Here, wanted: Annotated[ScheduleFilter, Query()], token: AnyToken
) -> Response:
    """List what is reserved between two moments, past and planned, by start.

    At most 400 days at once. A user is shown reservations of own leases; how much is in use
    in all is told host by host.
    """
    start, end = wanted.bounds(here.manager.now(), MOST_PERIOD_SECONDS)
    return await here.answer(partial(_schedule, here, token, start, end, wanted.limit))


def _schedule(here: Interface, token: TokenInfo, start: int, end: int, limit: int) -> ScheduleOut:
    site = here.manager.site
    found = here.manager.schedule(start, end, limit + 1, whose(token))
    entries: list[ScheduleEntry] = []
    places = 0
    for reserved in found[:limit]:
        places += len(reserved.use)
        # At least one, or nobody would ever see a reservation of very many hosts.
        if entries and places > MOST_PLACES:
            break
        entries.append(schedule_entry(reserved, site))
    return ScheduleOut(
        since=written(start),
        until=written(end),
        complete=len(entries) == len(found),
        reservations=entries,
    )


@router.get(
    "/timeline",
    response_model=TimelineOut,
    **described("Show the timeline", "site", ANYBODY, responses=_AS_BEFORE),
)
async def show_timeline(
    request: Request, here: Here, wanted: Annotated[Period, Query()], token: AnyToken
) -> Response:
    """Show what is reserved between two moments in few bytes, for pictures of it.

    A user is shown reservations of own leases, and in `use` how full each host is, whoever uses
    it. Up to 25000 reservations, the first ones by start, and 400 days at once.
    """
    start, end = wanted.bounds(here.manager.now(), MOST_PERIOD_SECONDS)
    told = await here.telling.told(start, end, whose(token))
    headers = {"ETag": told.tag, "Vary": "Accept-Encoding"}
    if told.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(told.packed, media_type="application/json", headers=headers)
    return Response(told.body, media_type="application/json", headers=headers)


@router.get(
    "/status",
    response_model=StatusOut,
    **described("Show how the service is", "service", ANYBODY),
)
async def show_status(here: Here, token: AnyToken) -> Response:
    """Show the state of the service, and what the token allows."""

    def show() -> StatusOut:
        status = here.manager.status()
        store, problem = status.store, status.problem
        if token.role is not Role.OPERATOR:
            # Where it is on the machine, or in the network, is not for everybody.
            store, problem = status.store_kind, problem.replace(store, status.store_kind)
        return StatusOut(
            version=status.version,
            started=written(status.started),
            now=written(status.now),
            last_turn=None if status.last_turn is None else written(status.last_turn),
            leases={state.value: count for state, count in status.leases.items()},
            queue_length=status.queue_length,
            backend=status.backend,
            store=store,
            healthy=status.healthy,
            problem=problem,
            role=token.role,
            owner=token.owner,
        )

    return await here.answer(show)


@plain_router.get(
    "/health",
    response_model=Health,
    summary="Tell whether the service works",
    tags=["service"],
    responses={
        503: {"model": Health, "description": "It does not, at present: `status` is `not up`."}
    },
    openapi_extra={"x-roles": [], "security": []},
)
async def show_health(here: Here) -> Response:
    """For monitoring. It needs no token and says nothing more."""
    up = here.manager.healthy() and not here.closing.is_set()
    body = Health(status="up" if up else "not up").model_dump_json()
    return Response(body, status_code=200 if up else 503, media_type="application/json")


@plain_router.get(
    "/metrics",
    response_class=Response,
    **described(
        "Figures for Prometheus",
        "service",
        WATCHING,
        responses={
            200: {
                "description": "The figures, in version 0.0.4 of the text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        },
    ),
)
async def show_metrics(here: Here, token: WatchingToken) -> Response:
    """Figures about the service in the text format of Prometheus."""
    own = here.meters.metrics(here.shares.streams)
    text = await here.ask(lambda: exposition([*here.manager.metrics(), *own]))
    return Response(text, media_type=MEDIA_TYPE)
