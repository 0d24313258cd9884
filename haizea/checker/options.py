"""The options in effect, from the text that the results file has."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from haizea.checker.records import Options

_DURATION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,8}):(\d{1,2}):)?(\d{1,12})", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{0,20})?|\.\d{1,20}", re.ASCII)


class BadOption(ValueError):
    """An option's text does not make sense."""


class _Reader:
    def __init__(self, texts: Mapping[tuple[str, str], str]) -> None:
        self._texts = texts

    def text(self, section: str, option: str, default: str) -> str:
        text = self._texts.get((section, option), "").strip()
        return text.lower() if text else default

    def flag(self, section: str, option: str) -> bool:
        return self.text(section, option, "no") in ("yes", "true", "on", "1")

    def number(self, section: str, option: str, default: float) -> float:
        """A positive number."""
        text = self.text(section, option, "")
        if not text:
            return default
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise BadOption(f"[{section}] {option} is {text!r}, which is not a number")
        return float(text)

    def positive(self, section: str, option: str, default: float) -> float:
        value = self.number(section, option, default)
        if value <= 0:
            raise BadOption(f"[{section}] {option} is {value:g}: it is more than 0")
        return value

    def seconds(self, section: str, option: str) -> int | None:
        text = self.text(section, option, "")
        if text in ("", "none"):
            return None
        parts = _DURATION.fullmatch(text)
        if not parts:
            raise BadOption(f"[{section}] {option} is {text!r}, which is not a duration")
        days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def read_options(texts: Mapping[tuple[str, str], str]) -> Options:
    """The options by (section, option); one that is missing has its default.

    Raises :class:`BadOption`.
    """
    read = _Reader(texts)
    scheduling, images = "scheduling", "deploy-imagetransfer"
    simulated = read.text("general", "mode", "simulated") == "simulated"
    return Options(
        simulated=simulated,
        simulated_clock=simulated and read.text("simulation", "clock", "simulated") == "simulated",
        images_managed=read.text("general", "lease-preparation", "unmanaged") == "imagetransfer",
        preemption=read.text(scheduling, "policy-preemption", "no-preemption"),
        queue_order=read.text(scheduling, "policy-queue-order", "submission"),
        backfilling=read.text(scheduling, "backfilling", "off"),
        backfilling_reservations=int(read.number(scheduling, "backfilling-reservations", 1)),
        suspension=read.text(scheduling, "suspension", "none"),
        suspend_rate=read.positive(scheduling, "suspend-rate", 32),
        resume_rate=read.positive(scheduling, "resume-rate", 32),
        override_suspend=read.seconds(scheduling, "override-suspend-time"),
        override_resume=read.seconds(scheduling, "override-resume-time"),
        global_exclusion=read.text(scheduling, "suspendresume-exclusion", "local") == "global",
        migration=read.text(scheduling, "migration", "no"),
        threshold_factor=read.number(scheduling, "scheduling-threshold-factor", 1),
        force_threshold=read.seconds(scheduling, "force-scheduling-threshold"),
        shutdown_seconds=read.seconds(scheduling, "shutdown-time") or 0,
        enactment_overhead=read.seconds(scheduling, "enactment-overhead") or 0,
        non_schedulable=_or(read.seconds(scheduling, "non-schedulable-interval"), 10),
        bandwidth=max(int(read.positive("simulation", "imagetransfer-bandwidth", 100)), 1),
        stop_when=read.text("simulation", "stop-when", "all-leases-done"),
        multicast=read.text(images, "transfer-mechanism", "unicast") == "multicast",
        redundant_avoided=read.flag(images, "avoid-redundant-transfers"),
        image_caches=read.text(images, "diskimage-reuse", "none") == "image-caches",
        ahead_mb=int(read.number(images, "diskimage-ahead-size", 20480)),
        force_transfer=read.seconds(images, "force-imagetransfer-time"),
        preparation_counts=read.text("opennebula", "duration-from", "running") == "deployment",
        prepares_at_start=read.text("opennebula", "ready-by", "start") == "deploy",
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
