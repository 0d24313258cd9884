"""The HTTP interface as a whole: routes, errors, and the description of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from haizea import __version__
from haizea.api import changes, events, leases, maintenance, pages, signing_in, sites, tokens
from haizea.api.answers import EventOut
from haizea.api.calls import Calls
from haizea.api.feed import Feed
from haizea.api.forms import LeaseForm, schema_of
from haizea.api.guard import Guard
from haizea.api.identities import CheckPassword, Identities
from haizea.api.interface import Here, Interface
from haizea.api.manager import Busy, Manager, Unavailable
from haizea.api.parameters import known_alone
from haizea.api.problems import Problem, Refused, invalid_form, later
from haizea.api.sessions import Sessions
from haizea.api.settings import ApiSettings, ParseLease
from haizea.api.shares import Shares
from haizea.api.telling import Telling
from haizea.api.timelines import Timelines
from haizea.core.model.lease import Draft

PREFIX = "/v1"
DESCRIPTION_PATH = f"{PREFIX}/openapi.json"

_DESCRIPTION = """\
Ask for machines over a period, see what became of it, follow what happens.

**Tokens.** Every request but `/health` shows a token: `Authorization: Bearer TOKEN`. A *user*
asks for leases, sees and cancels own ones; anybody else's are not there (`404`). An *operator*
may do all. A *reader* sees all and changes nothing. Reasons may name another's lease by its
number; nothing else of it is told.

**Times** are ISO 8601 in UTC. In requests they may have any zone (in a URL write `+` as `%2B`).
Durations are whole seconds.

**Errors** have one shape, `{"error": {"code": …, "message": …, "field": …}}`: the code for
programs, the message for people. What an address does not know, in its parameters or its body, is
refused (`422`), and nothing is done.

**Lists** come in pages: pass `next` of one as `after` of the next one, until it is `null`.
"""
_TAGS = [
    {"name": "leases", "description": "Asking for nodes, and what became of it."},
    {"name": "site", "description": "The hosts, and when they are in use."},
    {"name": "events", "description": "Events, as they happen."},
    {"name": "service", "description": "State of the service."},
    {"name": "tokens", "description": "Tokens and their rights."},
    {"name": "sessions", "description": "Signing in with a browser."},
]


class _App(FastAPI):
    """An application that describes itself in its own words."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _openapi(self)
        return self.openapi_schema


def make_app(
    manager: Manager,
    settings: ApiSettings | None = None,
    parse_lease: ParseLease | None = None,
    check_password: CheckPassword | None = None,
) -> FastAPI:
    """The interface to a manager, to be run in one event loop once.

    Without ``parse_lease``, leases are taken in JSON alone; without ``check_password``, tokens
    alone are taken for credentials. ``app.state.interface`` is the
    :class:`~haizea.api.interface.Interface`; streams and waiting requests end when its
    ``closing`` is set.
    """
    settings = settings or ApiSettings()
    sessions = Sessions(manager, settings.session_seconds)
    look_up = Calls("tokens", settings.token_threads)
    stream = Calls("streams", settings.stream_threads)
    timelines = Timelines()
    interface = Interface(
        manager=manager,
        settings=settings,
        parse_lease=parse_lease or _json_alone,
        ask=Calls("questions", settings.question_threads, settings.own_question_threads),
        read_yaml=Calls("yaml", 1, 1),
        stream=stream,
        feed=Feed(manager, stream),
        timelines=timelines,
        telling=Telling(manager, timelines, Calls("timelines", 1, 1)),
        identities=Identities(manager, look_up, sessions, check_password),
        sessions=sessions,
        shares=Shares(settings),
    )
    app = _App(
        title="Haizea",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.interface = interface
    _include_routes(app)
    _describe(app)
    _handle_errors(app)
    app.add_middleware(
        Guard,
        settings=settings,
        identities=interface.identities,
        meters=interface.meters,
        shares=interface.shares,
        is_open=_is_open,
    )
    return app


def _is_open(method: str, path: str) -> bool:
    """Tell whether a request needs no token: for monitoring, pages, and to sign in."""
    if path == f"{PREFIX}{signing_in.PATH}":
        return method == "POST"
    return path == "/health" or pages.has(path)


def _json_alone(content: bytes, media_type: str) -> Draft:
    raise ValueError(f"{media_type} is not taken here; send application/json")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    interface: Interface = app.state.interface
    interface.bells.bind()
    unwatch = interface.manager.watch(interface.bells.ring)
    beside = [
        asyncio.create_task(interface.bells.ring_when(interface.closing)),
        asyncio.create_task(interface.prepare_timelines()),
    ]
    try:
        yield
    finally:
        unwatch()
        for task in beside:
            task.cancel()
        asks = (interface.ask, interface.read_yaml, interface.stream)
        for closes in (*asks, interface.telling, interface.identities):
            closes.close()


def description() -> dict[str, Any]:
    """The OpenAPI description, which is the same for every manager."""
    app = _App(
        title="Haizea",
        version=__version__,
        description=_DESCRIPTION,
        generate_unique_id_function=_operation_id,
    )
    _include_routes(app)
    return app.openapi()


def _operation_id(route: APIRoute) -> str:
    """Return the name that programs generated from the description give an operation."""
    return route.name


def _include_routes(app: FastAPI) -> None:
    app.include_router(sites.plain_router)
    for module in (leases, changes, sites, maintenance, events, tokens, signing_in):
        app.include_router(module.router, prefix=PREFIX, dependencies=[Depends(known_alone)])
    app.include_router(pages.router)


def _describe(app: FastAPI) -> None:
    """Have the description of the interface at its address, as JSON."""
    made: list[bytes] = []

    def text() -> bytes:
        if not made:
            made.append(json.dumps(app.openapi(), ensure_ascii=False).encode())
        return made[0]

    async def show_description(here: Here) -> Response:
        return Response(await here.ask(text), media_type="application/json")

    app.add_api_route(DESCRIPTION_PATH, show_description, include_in_schema=False)


def _openapi(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=_TAGS,
    )
    components = described["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of the service."}
    }
    described["security"] = [{"token": []}]
    schemas = components["schemas"]
    for schema in (schema_of(LeaseForm, "validation"), schema_of(EventOut, "serialization")):
        schemas.update(schema.pop("$defs", {}))
        schemas[schema["title"]] = schema
    return described


def _handle_errors(app: FastAPI) -> None:
    """Every error that a route or the framework raises gets the one shape."""

    async def refuse(refused: Refused) -> Response:
        return Response(
            refused.body(), refused.status, refused.headers, media_type="application/json"
        )

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return await refuse(error)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        return await refuse(invalid_form(error.errors(), leave_out=1))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:
            return await refuse(Refused(422, "invalid", "the body is not JSON in UTF-8"))
        words = _WORDS.get(error.status_code, Problem(code="refused", message=str(error.detail)))
        return await refuse(
            Refused(error.status_code, words.code, words.message, headers=error.headers)
        )

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:
        return await refuse(
            later("busy", "too many requests wait for a decision; nothing was taken: try again")
        )

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> Response:
        return await refuse(
            later("unavailable", f"there is no answer at present: {error}", seconds=10)
        )


_WORDS = {
    404: Problem(code="not-found", message="there is no such address; see /v1/openapi.json"),
    405: Problem(code="method", message="this address does not take this method"),
}
