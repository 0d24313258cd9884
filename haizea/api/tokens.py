"""Routes about tokens, for operators."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Response

from haizea.api.answers import TokenList, TokenMade, TokenOut
from haizea.api.forms import TOKEN_NAME, TokenForm
from haizea.api.interface import OPERATING, Here, OperatorToken, described
from haizea.api.problems import Refused, not_found
from haizea.api.views import token_out
from haizea.service_types import TokenNameTaken

router = APIRouter()
_WHICH = rf"{TOKEN_NAME}|^[0-9]{{1,15}}$"


@router.get(
    "/tokens",
    response_model=TokenList,
    **described("List tokens", "tokens", OPERATING),
)
async def list_tokens(here: Here, token: OperatorToken) -> Response:
    """All tokens, revoked and expired ones too, without their secrets."""
    return await here.answer(
        lambda: TokenList(tokens=[token_out(found) for found in here.manager.tokens()])
    )


@router.post(
    "/tokens",
    status_code=201,
    response_model=TokenMade,
    **described("Make a token", "tokens", OPERATING, 408, 409, 413),
)
async def make_token(here: Here, wanted: TokenForm, token: OperatorToken) -> Response:
    """Makes a token and tells its secret, which is kept nowhere: note it."""
    if wanted.expires is not None and wanted.expires <= time.time():
        message = "expires: it is past: a token that ends then is never good"
        raise Refused(422, "invalid", message, "expires")

    def make() -> TokenMade:
        made, secret = here.manager.make_token(
            wanted.name, wanted.role, wanted.owner or wanted.name, wanted.expires
        )
        return TokenMade(**token_out(made).model_dump(), secret=secret)

    try:
        return await here.answer(make, 201)
    except TokenNameTaken:
        raise Refused(
            409,
            "name-taken",
            f"there is a token {wanted.name} already; choose another name, or revoke that one",
            "name",
        ) from None


@router.delete(
    "/tokens/{which}",
    response_model=TokenOut,
    **described("Revoke a token", "tokens", OPERATING, 404),
)
async def revoke_token(
    here: Here,
    which: Annotated[
        str, Path(max_length=64, pattern=_WHICH, description="The token's name or number.")
    ],
    token: OperatorToken,
) -> Response:
    """From now on the token is good for nothing: its event streams end. Its leases stay."""
    revoked = await here.ask(here.manager.revoke_token, which)
    if revoked is None:
        raise not_found(f"token {which}")
    here.bells.revoked()
    return await here.answer(partial(token_out, revoked))
