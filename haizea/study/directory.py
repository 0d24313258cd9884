"""The directory of a study: results of runs by their hash, and what is known of them.

A run is finished when the file with its figures has its name; that file says how large the
others are, so that what a power failure left half written is noticed, and made again.
Whoever kills whatever at any moment finds finished runs, and others that are not there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haizea.files import write_whole
from haizea.locks import LockFile
from haizea.study.expansion import Run

_STUDY = "study.json"
_TIMES = "times.jsonl"

#: The columns of the tables before those of the factors.
RUNS_TABLE, LEASES_TABLE, LEVELS_TABLE = "runs.parquet", "leases.parquet", "levels.parquet"


class StudyError(Exception):
    """A study cannot go on, or has no results; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed: the last of its output, which says why."""

    message: str
    output: str


class StudyDirectory:
    """The results of a study. Everything raises :class:`OSError` where the file system does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runs = path / "runs"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the directory for this process alone.

        Raises :class:`StudyError` where another has it. What killed processes left is removed.
        """
        self._runs.mkdir(parents=True, exist_ok=True)
        lock = LockFile(self.path / "lock")
        try:
            if not lock.take():
                raise StudyError(
                    f"{self.path}: another 'haizea study run' is at work here; wait for it, or"
                    " stop it"
                )
            shutil.rmtree(self.working, ignore_errors=True)
            self.working.mkdir(exist_ok=True)
            yield
            shutil.rmtree(self.working, ignore_errors=True)
        finally:
            lock.close()

    @property
    def working(self) -> Path:
        """A directory for what is under way."""
        return self.path / "working"

    def file(self, digest: str, what: str) -> Path:
        """The place of a file of a run: ``json``, ``leases``, ``results`` or ``failed``."""
        return self._runs / digest[:2] / f"{digest[2:]}.{what}"

    def save(self, digest: str, figures: bytes, leases: bytes, results: Path | None) -> None:
        """Keep a run's outcome; it is finished when this returns.

        ``results`` is moved here, from the same file system.
        """
        folder = self.file(digest, "json").parent
        folder.mkdir(exist_ok=True)
        if results is not None:
            os.replace(results, self.file(digest, "results"))
        sizes = {"leases_bytes": len(leases)}
        told = {**sizes, **json.loads(figures)}
        self._write(self.file(digest, "leases"), leases)
        self._write(self.file(digest, "json"), json.dumps(told).encode())
        self.file(digest, "failed").unlink(missing_ok=True)

    def save_failure(self, digest: str, failure: Failure) -> None:
        """Keep why a run failed. It is made again the next time."""
        path = self.file(digest, "failed")
        path.parent.mkdir(exist_ok=True)
        told = {"message": failure.message, "output": failure.output}
        self._write(path, json.dumps(told).encode())

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        os.replace(temporary, path)

    def finished(self, digest: str) -> dict[str, Any] | None:
        """The figures and levels of a finished run; ``None`` for one that is not."""
        try:
            told = json.loads(self.file(digest, "json").read_bytes())
            whole = self.file(digest, "leases").stat().st_size == told["leases_bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(told) if whole else None

    def is_finished(self, run: Run) -> bool:
        """Tell whether a run need not be made, its results file included if it is to be kept."""
        if run.recipe.keep_results and not self.file(run.digest, "results").exists():
            return False
        return self.finished(run.digest) is not None

    def failure(self, digest: str) -> Failure | None:
        """Return why a run failed when it was last tried; ``None`` if it did not."""
        try:
            told = json.loads(self.file(digest, "failed").read_bytes())
            return Failure(str(told["message"]), str(told["output"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def size_bytes(self, digest: str) -> int:
        """The size of all that is kept of a run."""
        total = 0
        for what in ("json", "leases", "results"):
            with suppress(OSError):
                total += self.file(digest, what).stat().st_size
        return total

    def note_time(self, digest: str, seconds: float) -> None:
        """Keep how long a run took, which says how long others will."""
        with (self.path / _TIMES).open("a", encoding="utf-8") as file:
            file.write(json.dumps([digest, round(seconds, 3)]) + "\n")

    def times(self) -> dict[str, float]:
        """Seconds that runs took, by hash."""
        found: dict[str, float] = {}
        with suppress(OSError):
            for line in (self.path / _TIMES).read_text("utf-8", "replace").splitlines():
                # A process may have been killed amid a line.
                with suppress(ValueError):
                    digest, seconds = json.loads(line)
                    found[str(digest)] = float(seconds)
        return found

    def write_description(self, told: Mapping[str, Any]) -> None:
        """Keep what the report and data frames have to know of the study."""
        write_whole(self.path / _STUDY, [json.dumps(told, indent=1) + "\n"])

    def description(self) -> dict[str, Any]:
        """Read what :meth:`write_description` kept. Raises :class:`StudyError` if there is none."""
        try:
            return dict(json.loads((self.path / _STUDY).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{self.path}: there are no results of a study ({error}); make them with"
                " 'haizea study run FILE'"
            ) from None
