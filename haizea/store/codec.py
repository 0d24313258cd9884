"""Decisions and records as JSON, and back.

What is written follows from the classes: an object per instance, its fields by name, every
field. A reader takes a field's default where an older program did not write it, and
leaves out what it does not know, so that fields can be added. ``v`` is the version of
this form; one that is newer than :data:`VERSION` is refused. In versions 1 to 3, which were never
released, some reasons and some of their causes were sentences, and are read as such.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from haizea.core.model.events import Decision
from haizea.core.model.reasons import Code, Reason, stated
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.store.errors import CodecError
from haizea.wording import as_data, reason_of

VERSION = 4

#: Numbers have 64 bits here, as in databases and in most other programs' JSON.
LARGEST = (1 << 63) - 1
SMALLEST = -LARGEST - 1

_MAYBE_TOO_LARGE = re.compile(r"\d{19}")

#: The classes of decisions, by the name under which they are kept.
KINDS: dict[str, type[Decision]] = {kind.__name__: kind for kind in get_args(Decision)}

#: Reasons that had a sentence in versions 2 and 3.
_HAVE_A_CAUSE = {
    Code.HOST_FAILED,
    Code.HOST_DRAINED,
    Code.RUN_FAILED,
    Code.OPERATION_FAILED,
    Code.ENDED_OUTSIDE,
}

_REQUIRED = object()


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """Ways to write and read values of one type; ``write`` is ``None`` for as they are."""

    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any]


def write_decision(decision: Decision) -> str:
    """A decision as JSON; its class is not in it. Raises :class:`CodecError`."""
    return _dump(type(decision), decision)


def read_decision(kind: str, text: str) -> Decision:
    """The decision of the class called ``kind``. Raises :class:`CodecError`."""
    found = KINDS.get(kind)
    if found is None:
        raise CodecError(f"unknown kind of decision {kind!r}")
    return cast(Decision, _load(found, text))


def write_lease(record: LeaseRecord) -> str:
    """A lease's record as JSON. Raises :class:`CodecError`."""
    return _dump(LeaseRecord, record)


def read_lease(text: str) -> LeaseRecord:
    """The record that :func:`write_lease` wrote. Raises :class:`CodecError`."""
    return cast(LeaseRecord, _load(LeaseRecord, text))


def write_site(record: SiteRecord) -> str:
    """Write what is known of the hosts, as JSON. Raises :class:`CodecError`."""
    return _dump(SiteRecord, record)


def read_site(text: str) -> SiteRecord:
    """The record that :func:`write_site` wrote. Raises :class:`CodecError`."""
    return cast(SiteRecord, _load(SiteRecord, text))


def _dump(kind: type[Any], value: Any) -> str:
    write = _form(cast(Hashable, kind)).write
    assert write is not None, "objects have a form of their own"
    document = write(value)
    document["v"] = VERSION
    text = json.dumps(document, separators=(",", ":"), check_circular=False)
    if _MAYBE_TOO_LARGE.search(text):
        _refuse_large(document)
    return text


def _load(kind: type[Any], text: str) -> Any:
    try:
        document = json.loads(text)
        version = document.get("v", VERSION)
        if type(version) is not int or version > VERSION:
            raise CodecError(f"it has version {version!r}, this program reads {VERSION}")
        return _form(cast(Hashable, kind)).read(document)
    except CodecError as error:
        raise CodecError(f"a {kind.__name__} in the store: {error}") from None
    except (ValueError, AttributeError, AssertionError, RecursionError) as error:
        raise CodecError(f"a {kind.__name__} in the store cannot be read: {error}") from error


def _refuse_large(value: Any) -> None:
    if isinstance(value, dict):
        for part in value.values():
            _refuse_large(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _refuse_large(part)
    elif isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        raise CodecError("a number has more than 64 bits; such numbers are not kept")


# --- forms ----------------------------------------------------------------------------


@cache
def _form(hint: Any) -> _Form:
    origin = get_origin(hint)
    if hint is Reason:
        return _Form(as_data, _reason)
    if origin in (Union, UnionType):
        return _optional(hint)
    if origin is tuple:
        return _sequence(get_args(hint))
    if origin is Sequence:
        return _spelled_out(_sequence((*get_args(hint), Ellipsis)))
    if issubclass(hint, StrEnum):
        return _Form(None, _named(hint))
    if hint in _BOUNDS:
        return _Form(None, _plain(hint))
    return _object(hint)


#: Kinds of plain values, with what a value is at least and at most, where that is bounded.
_BOUNDS: dict[type[Any], tuple[float, float] | None] = {
    int: (SMALLEST, LARGEST),
    float: (-sys.float_info.max, sys.float_info.max),
    str: None,
    bool: None,
}


def _plain(kind: type[Any]) -> Callable[[Any], Any]:
    """Return a reader; it is short, since a start reads dozens of values of each lease."""
    bounds = _BOUNDS[kind]

    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise CodecError(f"{value!r:.40} is not of type {kind.__name__}")
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            wrong = (
                "a number has more than 64 bits" if kind is int else f"{value!r} is not a number"
            )
            raise CodecError(wrong)
        return value

    return read


def _named(kind: type[StrEnum]) -> Callable[[Any], StrEnum]:
    members = {member.value: member for member in kind}

    def read(value: Any) -> StrEnum:
        found = members.get(value) if isinstance(value, str) else None
        if found is None:
            raise CodecError(f"{value!r:.40} is not a valid {kind.__name__}")
        return found

    return read


def _reason(value: Any) -> Reason | None:
    if isinstance(value, str):
        return stated(value)
    if not isinstance(value, dict):
        raise CodecError(f"{value!r:.40} is not a reason")
    newer = _with_cause(value)
    return reason_of(newer.get("code"), newer.get("parameters"))


def _with_cause(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reason as JSON has it, with a cause where versions 2 and 3 had a sentence."""
    parameters = value.get("parameters")
    if not isinstance(parameters, Mapping):
        return value
    newer = {n: _with_cause(v) if isinstance(v, Mapping) else v for n, v in parameters.items()}
    if value.get("code") in _HAVE_A_CAUSE and "text" in newer:
        newer["cause"] = {"code": Code.STATED, "parameters": {"text": newer.pop("text")}}
    return {**value, "parameters": newer}


def _optional(hint: Any) -> _Form:
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    assert len(kinds) == 1, f"{hint}: a field has one type, or that and None"
    form = _form(kinds[0])
    write, read = form.write, form.read
    return _Form(
        None if write is None else lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
    )


def _sequence(hints: tuple[Any, ...]) -> _Form:
    if len(hints) == 2 and hints[1] is Ellipsis:
        form = _form(hints[0])
        write, read = form.write, form.read
        return _Form(
            None if write is None else lambda value: [write(part) for part in value],
            lambda value: tuple([read(part) for part in _array(value)]),
        )
    forms = [_form(hint) for hint in hints]
    reads = [form.read for form in forms]

    def read_parts(value: Any) -> Any:
        if len(_array(value)) != len(reads):
            raise CodecError(f"{value!r:.40} has not {len(reads)} parts")
        return tuple([read(part) for read, part in zip(reads, value, strict=True)])

    if all(form.write is None for form in forms):
        return _Form(None, read_parts)
    writes = [form.write or (lambda part: part) for form in forms]
    return _Form(
        lambda value: [write(part) for write, part in zip(writes, value, strict=True)],
        read_parts,
    )


def _spelled_out(form: _Form) -> _Form:
    """Return the form of what is a sequence and may be no tuple."""
    return _Form(list if form.write is None else form.write, form.read)


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CodecError(f"{value!r:.40} is not an array")
    return value


def _object(kind: type[Any]) -> _Form:
    hints = get_type_hints(kind)
    defaults = _defaults(kind)
    forms = [(name, _form(hints[name]), default) for name, default in defaults.items()]
    writes = [(name, form.write) for name, form, _ in forms]
    reads = [(name, form.read, default) for name, form, default in forms]

    def write(value: Any) -> dict[str, Any]:
        return {
            name: getattr(value, name) if part is None else part(getattr(value, name))
            for name, part in writes
        }

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise CodecError(f"{value!r:.40} is not an object")
        found = {}
        for name, part, default in reads:
            given = value.get(name, _REQUIRED)
            if given is _REQUIRED:
                if default is _REQUIRED:
                    raise CodecError(f"{name!r} is missing")
            elif given is default:  # as most are
                found[name] = given
            else:
                found[name] = part(given)
        return kind(**found)

    return _Form(write, read)


def _defaults(kind: type[Any]) -> dict[str, Any]:
    """Its fields in order, each with its default, or ``_REQUIRED``."""
    if dataclasses.is_dataclass(kind):
        return {
            field.name: _REQUIRED if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(kind)
        }
    # What is neither plain nor a dataclass here is a named tuple.
    defaults = kind._field_defaults
    return {name: defaults.get(name, _REQUIRED) for name in kind._fields}
