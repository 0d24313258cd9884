"""Runs in processes of this machine.

A pool of Python's own is broken once one of its processes is killed; this one replaces it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from haizea.study.directory import Failure, StudyDirectory
from haizea.study.execution import MOST_ATTEMPTS, MOST_OUTPUT_CHARACTERS, Done, lost_worker
from haizea.study.expansion import Run


class Processes:
    """An :class:`haizea.study.execution.Executor` of ``workers`` processes."""

    def __init__(self, directory: StudyDirectory, workers: int) -> None:
        self._directory = directory
        self._workers = workers

    @property
    def workers(self) -> int:
        """The number of processes."""
        return self._workers

    def carry_out(self, runs: Sequence[Run]) -> Iterator[Done]:
        """Make the runs; see :class:`haizea.study.execution.Executor`."""
        waiting = deque(runs)
        attempts: Counter[str] = Counter()
        with selectors.DefaultSelector() as selector:
            running: list[_Worker] = []
            try:
                for number in range(min(self._workers, len(waiting))):
                    running.append(_Worker(self._directory, number, selector))
                    running[-1].give(waiting.popleft())
                while any(worker.run for worker in running):
                    for key, _ in selector.select():
                        worker: _Worker = key.data
                        done = worker.take()
                        if done is not None:
                            yield done
                        elif run := worker.lost():
                            attempts[run.digest] += 1
                            if attempts[run.digest] < MOST_ATTEMPTS:
                                waiting.appendleft(run)
                            else:
                                yield Done(run, 0.0, lost_worker(worker.how_it_ended))
                        if waiting and worker.run is None:
                            worker.give(waiting.popleft())
            finally:
                for worker in running:
                    worker.end()


class _Worker:
    """A process that makes one run at a time; a new one takes its place when it ends."""

    def __init__(
        self, directory: StudyDirectory, number: int, selector: selectors.BaseSelector
    ) -> None:
        self._directory = directory
        self._output = directory.working / f"output-{number}"
        self._selector = selector
        self.run: Run | None = None
        self.how_it_ended = ""
        self.start()

    def start(self) -> None:
        """Begin a process."""
        with self._output.open("w+b") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "haizea.study.worker", str(self._directory.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                process_group=0,
            )
        self._answers = self._pipe(self._process.stdout)
        self._selector.register(self._answers, selectors.EVENT_READ, self)

    def _pipe(self, pipe: Any) -> Any:
        assert pipe is not None, "it was asked for"
        return pipe

    def give(self, run: Run) -> None:
        """Have a run made."""
        self.run = run
        asked = {"digest": run.digest, "recipe": run.recipe.as_json()}
        try:
            pipe = self._pipe(self._process.stdin)
            pipe.write(json.dumps(asked).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # It has ended; the end of its answers tells.

    def take(self) -> Done | None:
        """The answer that has come; ``None`` where the process has ended instead."""
        # It writes a line at a time, and none before the last was taken.
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            return None
        run, self.run = self.run, None
        assert run is not None, "it answers what it was asked"
        told = json.loads(line)
        if "seconds" in told:
            return Done(run, float(told["seconds"]))
        return Done(run, 0.0, Failure(told["message"], told["output"]))

    def lost(self) -> Run | None:
        """The run that the process had when it ended, if any; another process is begun."""
        self._selector.unregister(self._answers)
        status = self._close()
        said = self._output.read_bytes()[-MOST_OUTPUT_CHARACTERS:].decode(errors="replace")
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        self.how_it_ended = f"{name} {said.strip()[-1000:]}".strip()
        run, self.run = self.run, None
        self.start()
        return run

    def _close(self) -> int:
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # It was amid being told something.
                self._pipe(pipe).close()
        return self._process.wait()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.terminate()
        self._close()


def processors() -> int:
    """The number of processors that this process may use."""
    known = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
