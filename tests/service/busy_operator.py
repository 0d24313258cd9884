"""An operator who goes on taking hosts out of use and giving them back, whatever happens."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from busy_clients import Caller, Form
from service_process import moment, written

#: So many windows there are at most, so that most hosts are in use.
_MOST_WINDOWS = 3


class BusyOperator:
    """A thread that plans, changes and ends maintenance of ``hosts`` until it is to end.

    ``now`` reads the service's clock. ``pause_seconds`` is the mean time, of real time, between
    two requests.
    """

    def __init__(
        self,
        caller: Caller,
        chance: random.Random,
        hosts: Sequence[str],
        now: Callable[[], float],
        pause_seconds: float,
    ) -> None:
        self._caller = caller
        self._chance = chance
        self._hosts = hosts
        self._now = now
        self._pause_seconds = pause_seconds
        self._over = threading.Event()
        self._serial = 0
        self._thread = threading.Thread(target=self._work)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Have all windows ended, and do no more."""
        self._over.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "every request is answered in the end"

    def _work(self) -> None:
        with self._caller.watched():
            self._plan_on()
        self._caller.client.close()

    def _plan_on(self) -> None:
        chance = self._chance
        while not self._over.wait(chance.expovariate(1 / self._pause_seconds)):
            windows = self._windows()
            which = chance.choice(windows) if windows else None
            if which is None or (len(windows) < _MOST_WINDOWS and chance.random() < 0.5):
                self._plan()
            elif chance.random() < 0.5:
                self._change(which)
            else:
                self._end(which["id"])
        for window in self._windows():
            self._end(window["id"])

    def _windows(self) -> list[dict[str, Any]]:
        status, body = self._caller.ask("GET", "/v1/maintenance")
        if status != 200:
            self._caller.note_odd(status, body)
            return []
        found: list[dict[str, Any]] = body["maintenance"]
        return [window for window in found if window["id"] in self._caller.answers.forms]

    def _plan(self) -> None:
        self._serial += 1
        start = self._now() + self._chance.randint(0, 240)
        form: dict[str, Any] = {
            "hosts": self._some_hosts(),
            "start": written(start),
            "reason": f"upkeep {self._serial}",
            "leases": self._chance.choice(["refuse", "stay", "end"]),
        }
        if self._chance.random() < 0.8:
            form["end"] = written(start + self._chance.randint(60, 300))
        self._settle(*self._caller.ask("POST", "/v1/maintenance", form), form["reason"])

    def _change(self, window: Mapping[str, Any]) -> None:
        self._serial += 1
        reason = f"upkeep {self._serial}"
        wanted: dict[str, Any] = {"reason": reason}
        if self._chance.random() < 0.5:
            wanted["hosts"] = self._some_hosts()
        else:
            later = max(moment(window["start"]), self._now()) + self._chance.randint(30, 300)
            wanted["end"] = written(later)
        path = f"/v1/maintenance/{window['id']}"
        self._settle(*self._caller.ask("PATCH", path, wanted), reason)

    def _settle(self, status: int, body: Any, reason: str) -> None:
        """Note the answer; where an earlier one got lost, look at what there is."""
        if status in (404, 409) and not self._caller.at_once:
            there = self._caller.ask("GET", "/v1/maintenance")[1]["maintenance"]
            mine = [window for window in there if window["reason"] == reason]
            status, body = (201, mine[0]) if mine else (status, body)
        answers = self._caller.answers
        if status in (200, 201):
            with self._caller.lock:
                answers.windows.setdefault(reason, set()).add(body["id"])
                answers.forms[body["id"]] = form_of(body)
        elif status == 409:
            answers.refused += 1
        elif status != 404:
            self._caller.note_odd(status, body)

    def _end(self, window: int) -> None:
        status, body = self._caller.ask("DELETE", f"/v1/maintenance/{window}")
        if status in (200, 404):
            self._caller.answers.ended.add(window)
        else:
            self._caller.note_odd(status, body)

    def _some_hosts(self) -> list[str]:
        return sorted(self._chance.sample(self._hosts, self._chance.randint(1, 2)))


def form_of(window: Mapping[str, Any]) -> Form:
    """The form of a window as an answer has it."""
    end = None if window["end"] is None else moment(window["end"])
    return Form(tuple(window["hosts"]), moment(window["start"]), end, window["leases"])
