"""Parameters in an address: one that is not known is refused, not passed over.

Else ``DELETE …?preview=true`` would end what somebody wanted to have a look at.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from haizea.api.problems import invalid


async def known_alone(request: Request) -> None:
    """Raise :class:`Refused` for a parameter that the route does not know.

    A route that takes its parameters as a model leaves that to the model.
    """
    asked, route = request.query_params, request.scope["route"]
    if not asked:
        return
    assert isinstance(route, APIRoute), "this is for routes of the interface"
    taken = route.dependant.query_params
    if any(_is_model(parameter.field_info.annotation) for parameter in taken):
        return
    known = [parameter.alias for parameter in taken]
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        knows = f"it takes {', '.join(known)} alone" if known else "it takes none"
        raise invalid(unknown[:200], f"this address has no such parameter; {knows}")


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
