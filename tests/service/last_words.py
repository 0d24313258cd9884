"""Changes that are sent the moment before a service is killed, and whose answers nobody reads."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from busy_clients import Answers, terms_of
from service_process import Client, Unanswered, written

#: What they are about is so far ahead that nothing of it begins.
_FAR_SECONDS = 86_400
#: So long, in real seconds, they are on their way at most when the service is killed.
_LONGEST_WAY_SECONDS = 0.03


class LastWords:
    """A change of a lease, or of a window on one host, on its way when the service is killed.

    :meth:`prepare` finds it done or not done, and nothing else; call that of a service that
    serves.
    """

    def __init__(
        self, client: Client, answers: Answers, host: str, now: Callable[[], float]
    ) -> None:
        self._client = client
        self._answers = answers
        self._host = host
        self._now = now
        self._lease: int | None = None
        self._etag = ""
        self._terms: dict[str, Any] = {}
        #: The terms that it was to have, and the window that was to be there or gone.
        self._asked: dict[str, Any] = {}
        self._window: dict[str, Any] | None = None
        self._wanted = ""
        self._serial = 0
        #: How often the service was killed after it had done so, and before.
        self.done = self.undone = 0

    def prepare(self) -> None:
        """See what came of the last words, and be ready for others."""
        client = self._client
        if self._lease is None:
            far = self._now() + _FAR_SECONDS
            nodes = [{"count": 1, "resources": {"CPU": 100, "Memory": 128}}]
            draft = {"duration": 60, "label": "far", "nodes": nodes, "after": written(far)}
            draft["deadline"] = written(far + _FAR_SECONDS)
            status, body = client.submit(draft, "far")
            assert status in (200, 201), (status, body)
            self._lease = body["lease"]["id"]
            self._terms = self._asked = terms_of(body["lease"])
        shown = client.get(f"/v1/leases/{self._lease}")
        found = terms_of(shown)
        assert found in (self._terms, self._asked), (found, self._terms, self._asked)
        if found != self._terms:
            self._answers.granted[self._lease] += 1
            self._answers.terms[self._lease] = found
        self._count(self._asked != self._terms, found == self._asked)
        self._terms = self._asked = found
        self._etag = client.etag or ""
        self._look_at_window()

    def _look_at_window(self) -> None:
        there = self._client.get("/v1/maintenance")["maintenance"]
        mine = [window for window in there if window["hosts"] == [self._host]]
        before, known = self._window, [] if self._window is None else [self._window["reason"]]
        reasons = [window["reason"] for window in mine]
        may_be = [known, [self._wanted] if self._wanted not in ("", "end") else []]
        assert reasons in (may_be if self._wanted else may_be[:1]), (reasons, may_be)
        self._window = mine[0] if mine else None
        if self._window is not None and self._window != before:
            self._answers.windows.setdefault(self._window["reason"], set()).add(self._window["id"])
        elif before is not None and self._window is None:
            self._answers.ended.add(before["id"])
        self._count(bool(self._wanted), reasons != known)
        self._wanted = ""

    def _count(self, said: bool, done: bool) -> None:
        self.done += said and done
        self.undone += said and not done

    def say(self, chance: random.Random) -> None:
        """Send something, if anybody is there, and do not wait for the answer."""
        if not self._etag:
            return
        with suppress(Unanswered):
            if chance.random() < 0.5:
                self._asked = {**self._terms, "duration": self._terms["duration"] + 1}
                path, seen = f"/v1/leases/{self._lease}", {"If-Match": self._etag}
                self._client.send("PATCH", path, {"extend": 1}, seen)
            elif self._window is None:
                self._serial += 1
                self._wanted = f"far {self._serial}"
                wanted = {"hosts": [self._host], "reason": self._wanted}
                wanted["start"] = written(self._now() + _FAR_SECONDS)
                self._client.send("POST", "/v1/maintenance", wanted)
            else:
                self._wanted = "end"
                self._client.send("DELETE", f"/v1/maintenance/{self._window['id']}")
        self._etag = ""
        time.sleep(chance.uniform(0, _LONGEST_WAY_SECONDS))

    def end(self) -> None:
        """See what came of the last words, and leave nothing of theirs; of one that serves."""
        self.prepare()
        status, body = self._client.cancel(self._lease or 0)
        assert status == 200, (status, body)
        if self._window is not None:
            self._client.call("DELETE", f"/v1/maintenance/{self._window['id']}")
        self._client.close()
