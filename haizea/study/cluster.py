"""Runs on a Dask cluster, which may be of other machines, with no file system in common.

Inputs travel with a plugin, which the scheduler gives to every worker, those that join later and
those that take the place of one that was killed included. Outcomes come back as bytes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, WorkerPlugin, as_completed
from distributed.scheduler import KilledWorker

from haizea.runtime import RunError
from haizea.study.directory import Failure, StudyDirectory, StudyError
from haizea.study.execution import Done, failure_of, lost_worker
from haizea.study.expansion import Run
from haizea.study.perform import perform
from haizea.study.recipe import InputFile, Recipe, code_digest

#: So many runs for each worker are given out, so that none waits and few are lost.
_AHEAD = 3

_SECONDS_TO_CONNECT = 30


class Inputs(WorkerPlugin):  # type: ignore[misc]
    """The bytes of all input files by their hash, kept by every worker."""

    name = "haizea-study-inputs"

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = dict(contents)

    def setup(self, worker: Any) -> None:
        """Have the worker keep the files in a directory of its own."""
        place = Path(worker.local_directory) / "haizea-inputs"
        place.mkdir(parents=True, exist_ok=True)
        for digest, content in self._contents.items():
            (place / digest).mkdir(exist_ok=True)
            (place / digest / "content").write_bytes(content)
        worker.haizea_inputs = place


class Cluster:
    """An :class:`haizea.study.execution.Executor` of the workers of a Dask cluster."""

    def __init__(self, directory: StudyDirectory, client: Client, runs: Sequence[Run]) -> None:
        self._directory = directory
        self._client = client
        files = {file.digest: file.path for run in runs for file in run.recipe.files}
        contents = {digest: Path(path).read_bytes() for digest, path in files.items()}
        client.register_plugin(Inputs(contents))

    @property
    def workers(self) -> int:
        """The number of threads of all workers, as it is now."""
        return max(1, sum(map(int, self._client.nthreads().values())))

    def carry_out(self, runs: Sequence[Run]) -> Iterator[Done]:
        """Make the runs; see :class:`haizea.study.execution.Executor`."""
        waiting = iter(runs)
        by_key: dict[str, Run] = {}
        going = as_completed()

        def give_out() -> None:
            while len(by_key) < self.workers * _AHEAD:
                run = next(waiting, None)
                if run is None:
                    return
                told = {**run.recipe.as_json(), "haizea": code_digest()}
                future = self._client.submit(make, told, key=f"haizea-{run.digest}", pure=False)
                by_key[future.key] = run
                going.add(future)

        give_out()
        try:
            while by_key:
                future = next(going)
                yield self._done(by_key.pop(future.key), future)
                give_out()
        finally:
            self._client.cancel(list(going.futures), force=True)

    def _done(self, run: Run, future: Any) -> Done:
        error = future.exception()
        if isinstance(error, KilledWorker):
            return Done(run, 0.0, lost_worker("a worker of Dask was lost"))
        if error is not None:
            return Done(run, 0.0, failure_of(error))
        told = future.result()
        future.release()
        if "message" in told:
            return Done(run, 0.0, Failure(told["message"], told["output"]))
        results = None
        if told["results"] is not None:
            results = self._directory.working / f"{run.digest}.results"
            results.write_bytes(told["results"])
        self._directory.save(run.digest, told["figures"], told["leases"], results)
        return Done(run, told["seconds"])


def make(told: Mapping[str, Any]) -> dict[str, Any]:
    """Make one run, on a worker: its outcome as bytes, or why it failed."""
    from distributed import get_worker

    recipe = Recipe.from_json(told)
    inputs: Path = get_worker().haizea_inputs
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=inputs.parent) as place:

        def find(file: InputFile) -> Path:
            # A link with its name, which tells the format of some.
            link = Path(place) / "inputs" / file.option / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(inputs / file.digest / "content")
            return link

        try:
            _check_code(told["haizea"])
            work = Path(place) / "run"
            work.mkdir()
            outcome = perform(recipe, work, find)
        except Exception as error:  # of the user's policies, say
            failure = failure_of(error)
            return {"message": failure.message, "output": failure.output}
        results = outcome.results.read_bytes() if recipe.keep_results else None
    seconds = time.perf_counter() - began
    return {
        "figures": outcome.figures,
        "leases": outcome.leases,
        "results": results,
        "seconds": seconds,
    }


def _check_code(wanted: str) -> None:
    if wanted != code_digest():
        raise RunError(
            "this worker has another Haizea than the command: install the same one on all machines"
        )


@contextmanager
def connected(address: str, workers: int) -> Iterator[Client]:
    """A client of the cluster whose scheduler has this address.

    ``local`` is one of ``workers`` processes on this machine, for as long as it is used. Raises
    :class:`StudyError` where nobody answers.
    """
    if address == "local":
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs="CRITICAL",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"--dask {address}: the scheduler does not answer ({error}); start one with"
            " 'dask scheduler', and workers with 'dask worker'"
        ) from error
    with client:
        yield client
