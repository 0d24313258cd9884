"""Routes about sessions: a browser signs in, asks who it is, and signs out."""

from __future__ import annotations

import base64
import math
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from haizea.api.answers import SessionOut
from haizea.api.identities import BY_PASSWORD, BY_SESSION, cookie_name
from haizea.api.interface import ANYBODY, AnyToken, Here, Interface, described, secret_of
from haizea.api.manager import Unavailable
from haizea.api.problems import Refused, later
from haizea.api.sessions import csrf_of
from haizea.api.values import written_or_none
from haizea.service_types import TokenInfo
from haizea.times.zones import local_zone_name

router = APIRouter()
PATH = "/session"

_Secret = Annotated[str, Field(min_length=1, max_length=256)]


class SignInForm(BaseModel):
    """Credentials: a token, or the name and the password of a user of OpenNebula."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: _Secret | None = Field(None, description="A token's secret.")
    user: _Secret | None = Field(None, description="A user's name in OpenNebula.")
    password: _Secret | None = Field(None, description="The user's password, or a login token.")

    @model_validator(mode="after")
    def _one_of_both(self) -> SignInForm:
        by_password = self.user is not None and self.password is not None
        if (self.token is not None) == by_password or (self.token and self.user):
            raise ValueError("send a token, or a user and a password")
        return self

    def shown(self) -> str:
        """The credentials as a header would have them."""
        if self.token is not None:
            return self.token.strip()
        pair = f"{self.user}:{self.password}".encode()
        return BY_PASSWORD + base64.b64encode(pair).decode("ascii")


@router.post(
    PATH,
    response_model=SessionOut,
    **described("Sign in", "sessions", (), 408, 413, 415, also={"security": []}),
)
async def sign_in(request: Request, here: Here, form: SignInForm) -> Response:
    """Begins a session of a browser: a cookie takes the place of the token for 12 hours.

    No script can read the cookie, and no other site's page can have it sent. Requests that
    change something send `csrf` as the header `X-CSRF-Token` with it. Programs have no use for
    this: they show the token itself.
    """
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise Refused(415, "media-type", "send application/json")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refused(403, "other-site", "another site's page cannot sign in here")
    token = await _identified(request, here, form)
    secret, session = await here.ask(here.sessions.begin, token)
    out = _session_out(token, session.expires, csrf_of(secret))
    answer = await here.answer(lambda: out)
    answer.set_cookie(
        cookie_name(request.scope),
        secret,
        max_age=here.settings.session_seconds,
        path="/",
        secure=_is_tls(request),
        httponly=True,
        samesite="strict",
    )
    return answer


async def _identified(request: Request, here: Interface, form: SignInForm) -> TokenInfo:
    """Return whose credentials these are. Raises :class:`Refused` for nobody's."""
    address = request.client.host if request.client is not None else ""
    wait_seconds = here.attempts.wait_seconds(address)
    if wait_seconds > 0:
        raise Refused(
            429,
            "too-many",
            "too many wrong attempts to sign in: wait a minute",
            headers={"Retry-After": str(math.ceil(wait_seconds))},
        )
    try:
        token = await here.identities.identify(form.shown())
    except Unavailable as away:
        raise later("unavailable", f"nobody can sign in at present: {away}", 10) from None
    if token is None:
        here.attempts.note_wrong(address)
        raise Refused(401, "unauthorized", "these are not good credentials", headers=_BEARER)
    return token


_BEARER = {"WWW-Authenticate": "Bearer"}


def _is_tls(request: Request) -> bool:
    """Tell whether the browser talks TLS, to us or to a proxy that says so."""
    proxied = request.headers.get("x-forwarded-proto", "").lower() == "https"
    return request.url.scheme == "https" or proxied


@router.get(
    PATH,
    response_model=SessionOut,
    **described("Show who one is", "sessions", ANYBODY),
)
async def show_session(request: Request, here: Here, token: AnyToken) -> Response:
    """The owner of the session or token, and what a page that is loaded anew needs to go on."""
    secret = _cookie(request)
    out = _session_out(token, token.expires, None if secret is None else csrf_of(secret))
    return await here.answer(lambda: out)


@router.delete(
    PATH,
    status_code=204,
    response_class=Response,
    **described("Sign out", "sessions", ANYBODY),
)
async def sign_out(request: Request, here: Here, token: AnyToken) -> Response:
    """Ends the session; its event streams end, too. Shown with a token, it changes nothing."""
    answer = Response(status_code=204)
    secret = _cookie(request)
    if secret is not None:
        await here.ask(here.sessions.end, secret)
        here.bells.revoked()
        answer.delete_cookie(cookie_name(request.scope), path="/", httponly=True, samesite="strict")
    return answer


def _cookie(request: Request) -> str | None:
    """The secret of the session that a request belongs to, ``None`` if it showed a token."""
    shown = secret_of(request)
    return shown.removeprefix(BY_SESSION) if shown.startswith(BY_SESSION) else None


def _session_out(token: TokenInfo, expires: int | None, csrf: str | None) -> SessionOut:
    return SessionOut(
        name=token.name,
        role=token.role,
        owner=token.owner,
        expires=written_or_none(expires),
        csrf=csrf,
        zone=local_zone_name(),
    )
