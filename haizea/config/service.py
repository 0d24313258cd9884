"""The options of a service: ``[service]``, and ``[world]`` for the site that it simulates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from haizea.config.option import option
from haizea.config.values import (
    Address,
    Boolean,
    Chances,
    Choice,
    Duration,
    FilePath,
    Integer,
    Number,
    OwnPath,
)
from haizea.config.words import LogFormat


@dataclass(frozen=True, kw_only=True)
class Service:
    """Ways for users to reach Haizea when it runs as a service, and the place of its own files."""

    NAME: ClassVar[str] = "service"

    listen: tuple[str, int] | None = option(
        "listen",
        Address(),
        "The address and port of the HTTP interface; none for no interface. Another address than"
        " this machine's own (127.0.0.1, ::1) needs tls-certificate and tls-key, or"
        " allow-plain-http.",
        default="127.0.0.1:42493",
    )
    tls_certificate: Path | None = option(
        "tls-certificate",
        FilePath(),
        "The certificate of the HTTP interface (PEM, with the chain); with tls-key it is served"
        " over TLS only.",
        example="/etc/haizea/certificate.pem",
    )
    tls_key: Path | None = option(
        "tls-key",
        FilePath(),
        "The private key of the certificate (PEM).",
        example="/etc/haizea/key.pem",
    )
    allow_plain_http: bool = option(
        "allow-plain-http",
        Boolean(),
        "Permits listening on other addresses than this machine's own without TLS. Tokens then"
        " cross the network in the clear: only behind a proxy that adds TLS.",
        default="no",
    )
    state_directory: Path = option(
        "state-directory",
        OwnPath(),
        "Folder of the service's own files: the first token, its process id, and the log when"
        " it is detached.",
        default="~/.haizea",
    )
    standby: bool = option(
        "standby",
        Boolean(),
        "Behaviour when another manager has the leases: yes, wait and take over when it ends;"
        " no, refuse to start.",
        default="no",
    )
    log_format: LogFormat = option(
        "log-format",
        Choice(LogFormat),
        "Form of a service's log: text, for people, or json, one object a line.",
        default="text",
    )
    keep_finished_seconds: int | None = option(
        "keep-finished",
        Duration(least=1),
        "For how long leases that are over are kept; none for ever.",
        example="365:00:00:00",
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """The site that a service simulates in real time; used where clock is real.

    It lives in a file of its own and goes on while Haizea does not run.
    """

    NAME: ClassVar[str] = "world"

    file: Path = option(
        "file",
        OwnPath(),
        "File of the simulated site.",
        default="~/.haizea/world.db",
    )
    speed: float = option(
        "speed",
        Number("seconds per second", positive=True),
        "Seconds that pass in the simulated site, and in Haizea, in a second of real time.",
        default="1",
    )
    failures: tuple[tuple[str, float], ...] = option(
        "failures",
        Chances(),
        "Chances that operations fail, by purpose: a probability from 0 to 1 for any of transfer,"
        " run, suspend, migrate, resume, shutdown.",
        default="none",
        example="run:0.01 suspend:0.05",
    )
    delays: tuple[tuple[str, float], ...] = option(
        "delays",
        Chances(),
        "Chances that operations take longer than planned, by purpose.",
        default="none",
        example="suspend:0.2 resume:0.2",
    )
    longest_delay_seconds: int = option(
        "longest-delay",
        Duration(least=1),
        "By how much they take longer at most.",
        default="60",
    )
    early_ends: float = option(
        "early-ends",
        Number("leases that end before their duration is over (0 to 1)"),
        "Chance that VMs end by themselves before their duration is over.",
        default="0",
    )
    host_failure_seconds: int | None = option(
        "host-failures",
        Duration(least=1),
        "For how long a host works on average until it dies, and all that runs on it; none for"
        " hosts that never do.",
        example="10:00:00:00",
    )
    host_repair_seconds: int = option(
        "host-repair",
        Duration(least=1),
        "Time for which a host that died is away.",
        default="600",
    )
    seed: int = option(
        "seed",
        Integer(),
        "Seed of failures, delays and early ends: the same seed draws the same.",
        default="0",
    )
    keep_days: int = option(
        "keep-days",
        Integer("days", least=1),
        "For how many days what is over in the simulated site is kept there.",
        default="30",
    )
