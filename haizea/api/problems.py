"""Refusal of requests: one JSON shape for every error, and words that help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from haizea.api.settings import PRINTABLE

_MOST_TOLD = 5


class Problem(BaseModel):
    """Problem with a request, and what to do about it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    code: str = Field(
        description="One word for programs; it does not change between versions.",
        examples=["invalid"],
    )
    message: str = Field(
        description="The problem, and what to do about it, in words.",
        examples=["nodes.0.count: Input should be greater than or equal to 1"],
    )
    field: str | None = Field(
        default=None,
        description="The part of the request that is wrong, where it is one part.",
        examples=["nodes.0.count"],
    )


class ErrorBody(BaseModel):
    """The body of every answer that reports an error."""

    error: Problem


class Refused(Exception):
    """A request is refused with this HTTP status; code and message are a :class:`Problem`'s."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.problem = Problem(code=code, message=message, field=field)
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The JSON body."""
        return ErrorBody(error=self.problem).model_dump_json().encode()


def later(code: str, message: str, seconds: int = 2) -> Refused:
    """The refusal of what can be tried again after so many seconds."""
    return Refused(503, code, message, headers={"Retry-After": str(seconds)})


def unauthorized() -> Refused:
    """The one answer to whoever shows no good token, whatever is wrong with it."""
    return Refused(
        401,
        "unauthorized",
        "this needs a token: send the header Authorization: Bearer TOKEN",
        headers={"WWW-Authenticate": "Bearer"},
    )


def not_found(what: str) -> Refused:
    """Return the refusal of what does not exist, or is not for the one who asks."""
    return Refused(404, "not-found", f"there is no {what}")


def invalid(field: str, message: str) -> Refused:
    """The refusal of a field that makes no sense."""
    return Refused(422, "invalid", f"{field}: {message}", field)


def invalid_form(errors: Sequence[Any], leave_out: int = 0) -> Refused:
    """The refusal for what pydantic found; ``leave_out`` parts of each place say nothing."""
    told = [_told(error, leave_out) for error in errors[:_MOST_TOLD]]
    message = "; ".join(f"{field}: {what}" if field else what for field, what in told)
    if len(errors) > _MOST_TOLD:
        message += f"; and {len(errors) - _MOST_TOLD} more"
    return Refused(422, "invalid", message, field=told[0][0] or None if told else None)


_PYDANTIC_PATTERN = "String should match pattern"
_NOT_PRINTABLE = (
    "it is text on one line, without control characters and marks for the direction of text"
)


def _told(error: Any, leave_out: int) -> tuple[str, str]:
    """Field and words for one of pydantic's findings."""
    place = [str(part) for part in error["loc"][leave_out:]]
    if error["loc"][:1] != ("header",):
        # A union names the alternative it tried; that is no part of the request.
        place = [part for part in place if "[" not in part and "-" not in part]
    field = ".".join(place)
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message.replace(f"{_PYDANTIC_PATTERN} '{PRINTABLE}'", _NOT_PRINTABLE)
    message = message.replace(
        _PYDANTIC_PATTERN, "there is something in it that it cannot have; it matches"
    )
    return field[:200], message[:500]
