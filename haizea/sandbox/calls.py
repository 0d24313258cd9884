"""From the bytes of a call to the bytes of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.events import Publisher
from haizea.sandbox.journal import Command
from haizea.sandbox.methods import Method
from haizea.sandbox.objects import User
from haizea.sandbox.people import AUTHORIZATION, INTERNAL, WRONG_CALL, Refusal
from haizea.sandbox.wire import (
    NOT_ENOUGH,
    UNDEFINED,
    Argument,
    WireFault,
    answer,
    check_types,
    fault,
    read_call,
)

#: A method that belongs to the sandbox: keyword arguments in, something that JSON can tell out.
Handle = Callable[..., object]
_CONTROL = "sandbox."


class Dialogue(Protocol):
    """The methods of one generation of OpenNebula, and the shape of its answers."""

    table: dict[str, Method]

    def authenticate(self, method: str, session: str) -> User:
        """The user of a session."""

    def accepted(self, value: Argument) -> list[Argument]:
        """The answer to a call that is accepted."""

    def refused(self, method: str, refusal: Refusal) -> list[Argument]:
        """The answer to a call that is refused."""


class Calls:
    """Answers calls; ``handles`` are the sandbox's own methods, without their prefix."""

    def __init__(self, cloud: Cloud, dialogue: Dialogue, handles: Mapping[str, Handle]) -> None:
        self.cloud = cloud
        self.dialogue = dialogue
        self.handles = handles
        self.publisher: Publisher | None = None

    def answer(self, body: bytes) -> bytes:
        """The answer to a call, whatever it is."""
        try:
            name, arguments = read_call(body)
            if name.startswith(_CONTROL):
                return answer(self._control(name, arguments))
            return answer(self._call(name, arguments))
        except WireFault as problem:
            return fault(problem)

    def _call(self, name: str, arguments: list[Argument]) -> list[Argument]:
        method = self.dialogue.table.get(name)
        if method is None:
            raise WireFault(UNDEFINED, f"Method '{name}' not defined")
        session, *given = check_types(arguments, "s" + method.required, method.optional)
        with self.cloud.turn():
            user: User | None = None
            refusal: Refusal | None = None
            try:
                user = self.dialogue.authenticate(name, str(session))
                if method.changes and self.cloud.faults.refuses(name):
                    raise Refusal("Internal error, as the sandbox was told", INTERNAL)
                values = self.dialogue.accepted(method.call(user, *given))
            except Refusal as problem:
                refusal = problem
                values = self.dialogue.refused(name, problem)
            if method.changes:
                self._note(name, user, given, refusal)
                if self.publisher is not None:
                    is_new = name == "one.vm.allocate" and refusal is None
                    submitted = self.cloud.vms[int(values[1])] if is_new else None
                    self.publisher.called(name, given, values, submitted)
        return values

    def _note(
        self, name: str, user: User | None, given: list[Argument], refusal: Refusal | None
    ) -> None:
        self.cloud.journal.add(
            Command(
                time=self.cloud.now,
                user=user.name if user else "",
                method=name,
                arguments=tuple(given),
                error=refusal.text if refusal else "",
                code=refusal.code if refusal else 0,
            )
        )

    def _control(self, name: str, arguments: list[Argument]) -> list[Argument]:
        handle = self.handles.get(name.removeprefix(_CONTROL))
        if handle is None:
            raise WireFault(UNDEFINED, f"Method '{name}' not defined")
        session, given = check_types([*arguments, "{}"][:2], "ss", "")
        try:
            with self.cloud.turn():
                user = self.dialogue.authenticate("one.sandbox.control", str(session))
            if not user.administers:
                text = f"User [{user.id}] : Not authorized to perform ADMIN SANDBOX [0]."
                raise Refusal(text, AUTHORIZATION)
            keywords = json.loads(str(given))
            if not isinstance(keywords, dict):
                raise WireFault(NOT_ENOUGH, "the parameter must be a JSON object")
            return [True, json.dumps(handle(**keywords)), 0]
        except Refusal as refusal:
            return self.dialogue.refused(name, refusal)
        except (TypeError, ValueError, LookupError) as error:
            return self.dialogue.refused(name, Refusal(str(error), WRONG_CALL))
