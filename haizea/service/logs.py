"""The log of a service: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from collections.abc import Callable
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from haizea.config import Config
from haizea.config.words import LogFormat
from haizea.report import LEVELS, STATUS, VDEBUG, on_one_line

_LEVEL_NAMES = {STATUS: "STATUS", VDEBUG: "VDEBUG"}

#: What a record may have beside its message, by the names in JSON.
_MORE = ("lease", "decision", "state", "code", "host")


class TextFormatter(logging.Formatter):
    """``2026-11-25 13:00:00+01:00 INFO message``, in local time with the zone.

    ``now`` reads the service's clock, in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._now = now

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time of the service's clock."""
        return local(self._now())

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, the level in the configuration's words; it stays one line."""
        record.levelname = _LEVEL_NAMES.get(record.levelno, record.levelname)
        record.message = on_one_line(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``message``, and what it is about."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__()
        self._now = now

    def format(self, record: logging.LogRecord) -> str:
        """The record as an object."""
        found: dict[str, Any] = {
            "time": local(self._now()).replace(" ", "T"),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found.update((name, getattr(record, name)) for name in _MORE if hasattr(record, name))
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return on_one_line(json.dumps(found, ensure_ascii=False))


def local(moment: int) -> str:
    """A moment in local time, with the zone."""
    return datetime.fromtimestamp(moment).astimezone().isoformat(sep=" ")


class _OwnFile(logging.handlers.WatchedFileHandler):
    """A log that its user alone can read; it notices when it was moved away, to be rotated.

    Only one that the configuration names may be a link.
    """

    def __init__(self, path: Path, named: bool) -> None:
        self._flags = 0 if named else os.O_NOFOLLOW
        super().__init__(path, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | self._flags
        handle = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)


class ServiceLog:
    """The handler of a service's log; ``path`` is ``None`` for standard error."""

    def __init__(self, config: Config, path: Path | None, now: Callable[[], int]) -> None:
        self._now = now
        self._handler: logging.Handler
        if path is None:
            self._handler = logging.StreamHandler(sys.stderr)
        else:
            self._handler = _OwnFile(path, named=path == config.general.logfile)
        self.logger = logging.getLogger("haizea")
        self._before = self.logger.level, self.logger.propagate
        self.logger.propagate = False
        self.logger.addHandler(self._handler)
        self.configure(config)

    def follow(self, now: Callable[[], int]) -> None:
        """Tell the time by this clock from now on."""
        self._now = now

    def configure(self, config: Config) -> None:
        """Follow the configuration's level and format."""
        chosen = config.service.log_format
        formatter = JsonFormatter if chosen is LogFormat.JSON else TextFormatter
        self._handler.setFormatter(formatter(lambda: self._now()))
        self.logger.setLevel(LEVELS[config.general.loglevel])

    def close(self) -> None:
        """Write no more."""
        self.logger.removeHandler(self._handler)
        self._handler.close()
        self.logger.setLevel(self._before[0])
        self.logger.propagate = self._before[1]
