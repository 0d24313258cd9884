"""A worker process: takes recipes on its standard input, a line each, and answers with a line.

It ends when its input does, so that it does not outlive whoever started it by more than a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from haizea.runtime import RunError
from haizea.study.directory import StudyDirectory
from haizea.study.execution import MOST_OUTPUT_CHARACTERS, failure_of
from haizea.study.expansion import file_digest
from haizea.study.perform import perform
from haizea.study.recipe import InputFile, Recipe


def work(directory: StudyDirectory) -> None:
    """Make runs until the input ends."""
    # Ctrl-C is for the command, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Policies of users may print. That is output of the run, not an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    place = directory.working / f"place-{os.getpid()}"
    inputs = _Inputs()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _make(directory, asked["digest"], Recipe.from_json(asked["recipe"]), place, inputs)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _make(
    directory: StudyDirectory, digest: str, recipe: Recipe, place: Path, inputs: _Inputs
) -> dict[str, object]:
    """Make one run and keep its outcome; the answer says how long it took, or why it failed."""
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    began = time.perf_counter()
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        outcome = perform(recipe, place, inputs.find)
        results = outcome.results if recipe.keep_results else None
        directory.save(digest, outcome.figures, outcome.leases, results)
    except Exception as error:  # of the user's policies, say; the next run is another
        failure = failure_of(error, _printed())
        return {"message": failure.message, "output": failure.output}
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return {"seconds": time.perf_counter() - began}


def _printed() -> str:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    size = os.fstat(2).st_size
    most = 4 * MOST_OUTPUT_CHARACTERS
    return os.pread(2, most, max(0, size - most)).decode(errors="replace")


class _Inputs:
    """Input files, each looked at once to see that it is what it was when the study began."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, int], str] = {}

    def find(self, file: InputFile) -> Path:
        """The place of the file. Raises :class:`RunError` where it has changed."""
        path = Path(file.path)
        try:
            stat = path.stat()
            key = (file.path, stat.st_mtime_ns, stat.st_size)
            if key not in self._seen:
                self._seen[key] = file_digest(path)
        except OSError as error:
            raise RunError(f"{path}: cannot be read any more: {error.strerror}") from error
        if self._seen[key] != file.digest:
            raise RunError(f"{path}: changed since the study began; run the study again")
        return path


if __name__ == "__main__":
    work(StudyDirectory(Path(sys.argv[1])))
