"""Settings that are right each by itself but make no sense together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from haizea.config.option import options_of
from haizea.config.resources import IN_TRACEFILE
from haizea.config.sections import Config
from haizea.config.words import ClockKind, Mode

#: Section and option.
Place = tuple[str, str]

_TRACE = ("tracefile", "tracefile")


class Conflict(NamedTuple):
    """Problem with the option at ``place``, seen with the ``others``."""

    place: Place
    others: tuple[Place, ...]
    what: str


def combinations(config: Config, given: Collection[Place]) -> Iterator[Conflict]:
    """Every conflict; ``given`` are the options that the file sets.

    What merely has no effect, such as migration without suspension, is no conflict:
    the profiles of a study differ in one option and share the rest.
    """
    yield from _clock(config, given)
    yield from _trace(config)
    yield from _capacity(config, given)
    yield from _interface(config)
    yield from _files(config)


def _clock(config: Config, given: Collection[Place]) -> Iterator[Conflict]:
    clock = ("simulation", "clock")
    simulated = config.simulation.clock is ClockKind.SIMULATED
    if config.general.mode is Mode.OPENNEBULA and simulated and clock in given:
        what = "OpenNebula lives in real time: leave clock out, or set mode: simulated"
        yield Conflict(clock, (("general", "mode"),), what)


def _trace(config: Config) -> Iterator[Conflict]:
    trace = config.tracefile
    if trace.tracefile is not None:
        return
    for name, value in (("injectionfile", trace.injectionfile), ("imagefile", trace.imagefile)):
        if value is not None:
            what = (
                f"there is no tracefile for it to be used with: set tracefile, or leave {name} out"
            )
            yield Conflict(("tracefile", name), (_TRACE,), what)
    if config.simulation.resources == ():
        what = f"{IN_TRACEFILE}, but there is no tracefile: set it, or say here what the hosts have"
        yield Conflict(("simulation", "resources"), (_TRACE,), what)


def _capacity(config: Config, given: Collection[Place]) -> Iterator[Conflict]:
    groups = config.simulation.resources
    place = ("tracefile", "node-capacity")
    if not groups or place not in given:
        return
    known = {name for group in groups for name, _ in group.amounts}
    for name, _ in config.tracefile.node_capacity:
        if name not in known:
            what = f"no host has {name}: add it to resources ([simulation]), or leave it out here"
            yield Conflict(place, (("simulation", "resources"),), what)


def _interface(config: Config) -> Iterator[Conflict]:
    service = config.service
    if not config.is_service or service.listen is None:
        return
    certificate, key = ("service", "tls-certificate"), ("service", "tls-key")
    has_tls = service.tls_certificate is not None
    if service.tls_key is not None and not has_tls:
        # The other way round is right: a certificate's file may have the key in it.
        what = f"TLS takes {certificate[1]} as well: set it, or leave this out"
        yield Conflict(key, (certificate,), what)
    if not (has_tls or service.allow_plain_http or _is_of_this_machine(service.listen[0])):
        what = (
            "other machines reach this address, and tokens would cross the network in the clear:"
            " set tls-certificate and tls-key, or, behind a proxy that adds TLS,"
            " allow-plain-http: yes"
        )
        others = (certificate, key, ("service", "allow-plain-http"))
        yield Conflict(("service", "listen"), others, what)


def _is_of_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # Nobody knows where a name leads to.
        return False


def _files(config: Config) -> Iterator[Conflict]:
    """A file that is written must be none that is read, nor be written twice."""
    written = [("general", "logfile"), ("general", "persistence-file"), ("accounting", "datafile")]
    read = [_TRACE, ("tracefile", "injectionfile"), ("tracefile", "imagefile")]
    values = {
        (section.NAME, option.name): os.path.abspath(getattr(section, field))
        for section in config.sections()
        for field, option in options_of(section)
        if isinstance(getattr(section, field), Path)
    }
    for i, place in enumerate(written):
        if place not in values:
            continue
        if values[place] == os.path.abspath(config.path):
            yield Conflict(place, (), "it would overwrite this configuration: name another file")
        for other in [*read, *written[:i]]:
            if values[place] == values.get(other):
                what = f"it is {other[1]} ([{other[0]}]) already: name another file"
                yield Conflict(place, (other,), what)
