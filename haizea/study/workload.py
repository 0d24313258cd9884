"""The workload of a run: read, scaled, or made after a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from haizea.workloads import values
from haizea.workloads.generate import ArOptions, Estimate, GenerateOptions, ar_nodes
from haizea.workloads.model import DEFAULT_AMOUNTS
from haizea.workloads.scaling import ScaleBy

_Words = TypeVar("_Words", bound=StrEnum)

_MOST_JOBS = 10**6
_MOST_HOSTS = 10**5


class ParameterError(ValueError):
    """A parameter of a workload cannot be used: its name, and what is wrong with the value."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name
        self.what = what


def generate_options(parameters: Mapping[str, str]) -> GenerateOptions:
    """The options of a generator from their texts. Raises :class:`ParameterError`."""
    read = _Parameters(parameters)
    hosts = read("hosts", lambda text: values.whole(text, 1, _MOST_HOSTS), 1)
    least, most = read("ar-size", lambda text: ar_nodes(text, hosts), ar_nodes("small", hosts))
    ars = ArOptions(
        share=read("ar-share", lambda text: _number(text, 0, 0.999), 0.0),
        mean_seconds=read("ar-duration", _seconds, 3600),
        least_nodes=least,
        most_nodes=most,
        lead_seconds=read("ar-lead", values.length, 3600),
    )
    nodes = read("node-capacity", values.amounts, DEFAULT_AMOUNTS)
    host = read("host-capacity", values.amounts, None)
    _check_fit(nodes, host)
    return GenerateOptions(
        jobs=read("jobs", lambda text: values.whole(text, 1, _MOST_JOBS), 1),
        hosts=hosts,
        seed=read("seed", values.whole, 1),
        load=read("load", lambda text: _number(text, 0.001, 100), None),
        estimate=read("estimate", _choice(Estimate), Estimate.EXACT),
        estimate_factor=read("estimate-factor", lambda text: _number(text, 1, 1000), 2.0),
        ars=ars,
        node_capacities=(nodes,),
        host_capacity=host,
    )


def scale_options(parameters: Mapping[str, str]) -> tuple[float, ScaleBy, int]:
    """Factor, way and seed of a scaling from their texts. Raises :class:`ParameterError`."""
    read = _Parameters(parameters)
    return (
        read("scale", lambda text: _number(text, 0.01, 100), 1.0),
        read("scale-by", _choice(ScaleBy), ScaleBy.ARRIVAL),
        read("seed", values.whole, 1),
    )


class _Parameters:
    """Parameters as text, each read as what it is."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def __call__(self, name: str, parse: Callable[[str], Any], default: Any) -> Any:
        text = self._parameters.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as wrong:
            raise ParameterError(name, str(wrong)) from None


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ValueError(f"{text!r} is not a number from {least:g} to {most:g}")
    return number


def _seconds(text: str) -> int:
    seconds = values.duration(text)
    if seconds is None:
        raise ValueError("'unlimited' is not a length of time here")
    return seconds


def _choice(of: type[_Words]) -> Callable[[str], _Words]:
    def parse(text: str) -> _Words:
        try:
            return of(text)
        except ValueError:
            known = ", ".join(of)
            raise ValueError(f"{text!r} is not one of {known}") from None

    return parse


def _check_fit(nodes: Mapping[str, int], host: Mapping[str, int] | None) -> None:
    for name, amount in nodes.items():
        if host is not None and amount > host.get(name, 0):
            what = f"{name}:{amount} of a node does not fit a host with {name}:{host.get(name, 0)}"
            raise ParameterError("node-capacity", what)
