"""Reasons of earlier versions: sentences, then codes that were about somebody else's sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from haizea.core.model.reasons import Code, Reason, because, stated
from haizea.times import format_utc

#: A moment in such a sentence.
_MOMENT = re.compile(r"@(\d{1,15})\b", re.ASCII)
#: What sentences began with that others' doings in OpenNebula were behind.
_OUTSIDE = "OpenNebula: "


def old_reason(text: str) -> Reason | None:
    """The reason that a sentence of an earlier version is kept as, ``None`` where it was empty.

    It is shown as it is, with its times in UTC; but what a lease waits for, or was ended by,
    goes on to be known.
    """
    for code, words in _EXPECTATIONS.items():
        if found := re.fullmatch(f"{words} {_MOMENT.pattern}", text, re.ASCII):
            return because(code, start=int(found[1]))
    if text.startswith(_OUTSIDE):
        return because(Code.ENDED_OUTSIDE, text=text.removeprefix(_OUTSIDE))
    return stated(_MOMENT.sub(lambda found: format_utc(int(found[1])), text))


def renewed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A reason as JSON has it, with a cause where version 2 had a sentence of somebody else's."""
    parameters = value.get("parameters")
    if not isinstance(parameters, Mapping):
        return dict(value)
    newer = {n: renewed(v) if isinstance(v, Mapping) else v for n, v in parameters.items()}
    if value.get("code") in _HAVE_A_CAUSE and "text" in newer:
        newer["cause"] = {"code": Code.STATED, "parameters": {"text": newer.pop("text")}}
    return {**value, "parameters": newer}


_HAVE_A_CAUSE = {Code.HOST_FAILED, Code.HOST_DRAINED, Code.RUN_FAILED, Code.OPERATION_FAILED}
_EXPECTATIONS = {
    Code.START_EXPECTED: "expected to start",
    Code.RESUMPTION_EXPECTED: "expected to resume",
}
