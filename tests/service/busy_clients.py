"""Clients that go on asking, changing and cancelling, whatever becomes of the service."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service_process import Client, Unanswered, moment, written

#: What an answer may be that settles a request for a lease.
_SETTLED = {200, 201, 409}
#: The terms of a lease that can be changed.
TERMS = ("start", "after", "deadline", "duration", "nodes", "preemptible")


class Form(NamedTuple):
    """A maintenance window as it was answered to be."""

    hosts: tuple[str, ...]
    start: int
    end: int | None
    leases: str


class Odd(NamedTuple):
    """An answer that nobody describes, and all that was sent and heard before it."""

    status: int
    body: Any
    #: The request, and what became of each try of it, with seconds of real time.
    call: str
    tries: tuple[str, ...]
    #: What else the client knew.
    known: Any = None


@dataclass
class Answers:
    """Promises of the service to its clients, who rely on them."""

    #: By idempotency key: the lease of every answer, in the order of the answers.
    leases: dict[str, list[int]] = field(default_factory=dict)
    #: Leases whose cancellation was confirmed.
    cancelled: set[int] = field(default_factory=set)
    #: By lease, the terms that it was answered to have after its last change.
    terms: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: By lease, how many changes of it were granted.
    granted: Counter[int] = field(default_factory=Counter)
    #: By the reason that it was asked for with, which nobody else gives: the windows.
    windows: dict[str, set[int]] = field(default_factory=dict)
    #: By window, how it was answered to be last.
    forms: dict[int, Form] = field(default_factory=dict)
    #: Windows whose end was confirmed.
    ended: set[int] = field(default_factory=set)
    #: What was neither an answer nor a polite "later", and what a client came to grief with.
    odd: list[Odd] = field(default_factory=list)
    refused: int = 0
    later: int = 0
    unanswered: int = 0


class Caller:
    """One client's way to the service; it calls until there is an answer."""

    def __init__(self, client: Client, answers: Answers, lock: threading.Lock) -> None:
        self.client = client
        self.answers = answers
        self.lock = lock
        #: True if the last call was answered the first time.
        self.at_once = True
        self._call = ""
        self._tries: list[str] = []

    def insist(self, what: str, call: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        """Call until there is an answer; ``what`` says what is called."""
        self.at_once = True
        self._call, self._tries = what, []
        while True:
            begun = time.time()
            try:
                status, body = call()
            except Unanswered as error:
                self._note_try(begun, f"no answer: {error}")
                self.at_once = False
                with self.lock:
                    self.answers.unanswered += 1
                time.sleep(0.05)
                continue
            self._note_try(begun, f"{status}: {body if status >= 400 else '...'}")
            if status != 503:
                return status, body
            # It may have been decided all the same.
            self.at_once = False
            with self.lock:
                self.answers.later += 1
            time.sleep(0.05)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call so until there is an answer."""
        what = f"{method} {path} {body} {dict(headers or {})}"
        return self.insist(what, lambda: self.client.call(method, path, body, headers))

    def _note_try(self, begun: float, outcome: str) -> None:
        self._tries.append(f"{begun:.2f}, {time.time() - begun:.2f} s: {outcome}"[:1000])

    def note_odd(self, status: int, body: Any, known: Any = None) -> None:
        """Note an answer that nobody describes, and what else is known of it."""
        with self.lock:
            odd = Odd(status, body, self._call, tuple(self._tries[-10:]), known)
            self.answers.odd.append(odd)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what goes wrong in a thread: nobody else hears of it."""
        try:
            yield
        except Exception as error:
            self.note_odd(0, "".join(traceback.format_exception(error)))
            raise


class BusyClients:
    """Threads that ask for leases until they are to end, and repeat what nobody answered.

    ``now`` reads the service's clock. ``pause_seconds`` is the mean time, of real time, between
    two requests of a client.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        connect: Callable[[], Client],
        now: Callable[[], float],
        pause_seconds: float,
    ) -> None:
        self.answers = Answers()
        self._now = now
        self._pause_seconds = pause_seconds
        self._connect = connect
        self._over = threading.Event()
        self.lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, args=(number, random.Random(f"{seed} {number}")))
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Ask for nothing new; wait until all that was asked is answered."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "every request is answered in the end"

    def _work(self, number: int, chance: random.Random) -> None:
        caller = Caller(self._connect(), self.answers, self.lock)
        with caller.watched():
            self._ask_on(caller, number, chance)
        caller.client.close()

    def _ask_on(self, caller: Caller, number: int, chance: random.Random) -> None:
        own: list[int] = []
        serial = 0
        while not self._over.wait(chance.expovariate(1 / self._pause_seconds)):
            turn = chance.random()
            if own and turn < 0.12:
                self._cancel(caller, own.pop(chance.randrange(len(own))))
            elif own and turn < 0.35:
                change(caller, own[-1 - chance.randrange(min(len(own), 8))], chance)
            else:
                serial += 1
                lease = self._ask(caller, f"client-{number}-{serial}", chance)
                own += [] if lease is None else [lease]

    def _ask(self, caller: Caller, key: str, chance: random.Random) -> int | None:
        draft = random_draft(chance, self._now(), key)
        while True:
            status, body = caller.insist(
                f"submit {key} {draft}", lambda: caller.client.submit(draft, key)
            )
            if status not in _SETTLED:
                caller.note_odd(status, body)
                return None
            lease: int = body["lease"]["id"]
            with self.lock:
                self.answers.leases.setdefault(key, []).append(lease)
            # Some answers get lost on their way, and so the client asks again.
            if chance.random() < 0.9:
                return lease

    def _cancel(self, caller: Caller, lease: int) -> None:
        status, body = caller.insist(f"cancel {lease}", lambda: caller.client.cancel(lease))
        if status == 200:
            with self.lock:
                self.answers.cancelled.add(lease)
        elif status != 409:
            caller.note_odd(status, body)


def random_draft(chance: random.Random, now: float, label: str) -> dict[str, Any]:
    """A request as they come in a busy hour."""
    kind = chance.choice(["ar", "immediate", "deadline", "deadline", *["best-effort"] * 3])
    draft: dict[str, Any] = {
        "kind": kind,
        "duration": chance.randint(20, 300),
        "label": label,
        "nodes": random_nodes(chance),
    }
    if kind == "ar":
        draft["start"] = written(now + chance.randint(60, 600))
    if kind == "deadline":
        after = now + chance.choice([0, chance.randint(30, 300)])
        draft["deadline"] = written(after + draft["duration"] + chance.randint(60, 900))
        if after > now:
            draft["after"] = written(after)
    if kind == "best-effort":
        draft["preemptible"] = chance.random() < 0.8
    return draft


def random_nodes(chance: random.Random) -> list[dict[str, Any]]:
    """Nodes as a lease may ask for."""
    resources = {"CPU": chance.choice([50, 100]), "Memory": chance.choice([128, 512])}
    return [{"count": chance.randint(1, 3), "resources": resources}]


# --- changes ----------------------------------------------------------------------------------


def terms_of(lease: Mapping[str, Any]) -> dict[str, Any]:
    """The terms of a lease as an answer has them; times in seconds, to be compared."""
    terms = {name: lease[name] for name in TERMS}
    for name in ("start", "after", "deadline"):
        terms[name] = None if terms[name] is None else moment(terms[name])
    return terms


def change(caller: Caller, lease: int, chance: random.Random) -> None:
    """Have a lease changed as it is now, once, however often that has to be sent."""
    path = f"/v1/leases/{lease}"
    status, shown = caller.ask("GET", path)
    if status != 200:
        caller.note_odd(status, shown)
        return
    before, seen = terms_of(shown), {"If-Match": caller.client.etag or ""}
    wanted, after = random_change(chance, before)
    status, body = caller.ask("PATCH", path, wanted, seen)
    if status == 412 and not caller.at_once:
        # It was granted, and the answer did not arrive.
        status, body = caller.ask("GET", path)
        body = {"lease": body}
    answers = caller.answers
    if status == 200 and terms_of(body["lease"]) == after:
        with caller.lock:
            answers.terms[lease] = after
            answers.granted[lease] += 1
    elif status == 409:
        with caller.lock:
            answers.terms[lease] = before
            answers.refused += 1
    else:
        caller.note_odd(status, body, {"wanted": wanted, "to be": after, "before": before, **seen})


def random_change(
    chance: random.Random, before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A change of a lease with these terms, and the terms that it is to have then."""
    moments = [name for name in ("start", "after", "deadline") if before[name] is not None]
    way = chance.choice(["extend", "extend", "shorten", "preemptible", "nodes", *moments * 2])
    if way in moments:
        moved = before[way] + chance.choice([-60, -10, 10, 60, 300])
        return {way: written(moved)}, {**before, way: moved}
    if way == "nodes" and (nodes := random_nodes(chance)) != before["nodes"]:
        return {"nodes": nodes}, {**before, "nodes": nodes}
    by = chance.choice([chance.randint(1, 60), chance.randint(60, 300), 2_000])
    if way == "shorten" and by < before["duration"]:
        return {"shorten": by}, {**before, "duration": before["duration"] - by}
    if way == "extend":
        return {"extend": by}, {**before, "duration": before["duration"] + by}
    otherwise = not before["preemptible"]
    return {"preemptible": otherwise}, {**before, "preemptible": otherwise}
