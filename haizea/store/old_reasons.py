"""Reasons of earlier versions: sentences, then codes that were about somebody else's sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from haizea.core.model.reasons import Code, Reason, because, stated
from haizea.times import format_utc
from haizea.wording import as_data

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
        return because(Code.ENDED_OUTSIDE, cause=_others_doing(text.removeprefix(_OUTSIDE)))
    return stated(_MOMENT.sub(lambda found: format_utc(int(found[1])), text))


def renewed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A reason as JSON has it, with a cause where version 2 or 3 had a sentence."""
    parameters = value.get("parameters")
    if not isinstance(parameters, Mapping):
        return dict(value)
    newer = {n: renewed(v) if isinstance(v, Mapping) else v for n, v in parameters.items()}
    if value.get("code") in _HAVE_A_CAUSE and "text" in newer:
        newer["cause"] = {"code": Code.STATED, "parameters": {"text": newer.pop("text")}}
    elif value.get("code") == Code.ENDED_OUTSIDE and "text" in newer:
        newer["cause"] = as_data(_others_doing(str(newer.pop("text"))))
    return {**value, "parameters": newer}


def _others_doing(text: str) -> Reason:
    """Return as data what a sentence says others did to a VM; any other stays a sentence."""
    found = re.fullmatch(r"VM (\d{1,18}) (.*)", text, re.ASCII)
    code = _OTHERS_DOINGS.get(found[2]) if found else None
    if found is None or code is None:
        return because(Code.STATED, text=text)
    return because(code, vm=int(found[1]))


_HAVE_A_CAUSE = {Code.HOST_FAILED, Code.HOST_DRAINED, Code.RUN_FAILED, Code.OPERATION_FAILED}
_EXPECTATIONS = {
    Code.START_EXPECTED: "expected to start",
    Code.RESUMPTION_EXPECTED: "expected to resume",
}
_OTHERS_DOINGS = {
    "was deleted": Code.VM_DELETED,
    "ended": Code.VM_ENDED,
    "was taken off its host": Code.VM_TAKEN_OFF,
    "was powered off": Code.VM_POWERED_OFF,
    "was put on hold": Code.VM_PUT_ON_HOLD,
    "was released": Code.VM_RELEASED,
    "was started by somebody else": Code.VM_STARTED_BY_OTHERS,
    "asks for something else now": Code.VM_ASKS_ANEW,
}
