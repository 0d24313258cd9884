"""Any decision and any record, for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from string import Formatter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from haizea.core.model.events import Decision
from haizea.core.model.hostrules import AllowedRecord
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.reasons import Code, Parameters, Reason, because
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.wording import WORDS

INTS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(), max_size=12)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that decisions and records are made of."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([st.none() if p is NoneType else any_of(p) for p in parts])
    if origin is Sequence:
        return st.lists(any_of(parts[0]), max_size=3).map(tuple)
    if origin is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        return st.lists(any_of(parts[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[any_of(part) for part in parts])
    if hint is Reason:
        return REASONS
    if issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    plain: dict[type, st.SearchStrategy[Any]] = {
        int: INTS,
        str: TEXTS,
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
    }
    return plain[hint] if hint in plain else any_object(hint)


def any_object(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any instance of a dataclass or named tuple."""
    fields = {name: any_of(hint) for name, hint in get_type_hints(kind).items()}
    if kind is LeaseRequest:
        return st.fixed_dictionaries(fields).map(_request)
    if kind is AllowedRecord:
        sets = st.lists(st.integers().map("{:x}".format), min_size=1, max_size=3)
        fields["sets"] = sets.map(tuple)
        fields["nodes"] = st.sampled_from([(), (0,), (0, 0)])
        fields["together"] = fields["apart"] = st.sampled_from([(), ((0,),)])
    if kind is NodeSet:
        fields["count"] = st.integers(1, (1 << 63) - 1)
    return st.builds(kind, **fields)


def _request(values: dict[str, Any]) -> LeaseRequest:
    """With what a request must have, whatever was drawn."""
    if (values["kind"] is Kind.AR) != (values["start"] is not None):
        values["start"] = 7 if values["kind"] is Kind.AR else None
    if values["kind"] is Kind.DEADLINE:
        values["deadline"] = 7 if values["deadline"] is None else values["deadline"]
        values["duration"] = values["duration"] or 60
    else:
        values["after"] = values["deadline"] = None
    values["nodes"] = values["nodes"] or (NodeSet(1, (100,)),)
    if values["names"]:
        values["nodes"] = (NodeSet(len(values["names"]), (100, 1024)),)
    if values["duration"] is not None and values["duration"] <= 0:
        values["duration"] = 60
    return LeaseRequest(**values)


def _reason(code: Code) -> st.SearchStrategy[Reason]:
    """Any reason with this code."""
    names = [name for _, name, _, _ in Formatter().parse(WORDS[code]) if name]
    hints = get_type_hints(Parameters)
    parts = [any_of(str if hints[name] is Reason else hints[name]) for name in names]
    nested = [hints[name] is Reason for name in names]

    def made(values: tuple[Any, ...]) -> Reason:
        said = [
            because(Code.STATED, text=value) if inner else value
            for value, inner in zip(values, nested, strict=True)
        ]
        return Reason(code, tuple(zip(names, said, strict=True)))

    return st.tuples(*parts).map(made)


REASONS: st.SearchStrategy[Reason] = st.sampled_from(list(Code)).flatmap(_reason)
DECISIONS: st.SearchStrategy[Decision] = st.one_of([any_object(k) for k in get_args(Decision)])
LEASES: st.SearchStrategy[LeaseRecord] = any_object(LeaseRecord)
SITES: st.SearchStrategy[SiteRecord] = any_object(SiteRecord)
