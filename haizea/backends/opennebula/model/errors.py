"""Errors that can occur between Haizea and OpenNebula."""

from __future__ import annotations

from enum import StrEnum


class OpenNebulaError(Exception):
    """Whatever goes wrong in talking to OpenNebula; its text is for the administrator.

    It never contains the session's password or token.
    """


class SessionError(OpenNebulaError):
    """There are no credentials, or they cannot be read."""


class Unreachable(OpenNebulaError):
    """No answer arrived: no connection, a time limit, an HTTP error, a connection cut off.

    ``maybe_done`` says that the request may have been carried out nevertheless; look at
    the object before sending it again. ``nobody_listens`` says that no server was running.
    """

    def __init__(
        self, text: str, *, maybe_done: bool = False, nobody_listens: bool = False
    ) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done
        self.nobody_listens = nobody_listens


class BadAnswer(OpenNebulaError):
    """An answer or an event is not what OpenNebula says: malformed, too large or hostile."""


class NotInThisVersion(OpenNebulaError):
    """The OpenNebula that answers has no such call."""


class Fault(OpenNebulaError):
    """An XML-RPC fault: the call itself was wrong, for example an unknown method (-506)."""

    NO_SUCH_METHOD = -506

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"fault {code}: {text}")
        self.code = code


class RefusalKind(StrEnum):
    """Kinds of reasons for which OpenNebula refuses a call."""

    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    NO_SUCH_OBJECT = "no such object"
    NOT_NOW = "not in this state"
    CALL = "wrong call"
    INTERNAL = "internal error"
    OTHER = "other"


_KINDS = {
    0x0100: RefusalKind.AUTHENTICATION,
    0x0200: RefusalKind.AUTHORIZATION,
    0x0400: RefusalKind.NO_SUCH_OBJECT,
    0x0800: RefusalKind.NOT_NOW,
    0x1000: RefusalKind.CALL,
    0x2000: RefusalKind.INTERNAL,
}

#: OpenNebula 1.4 has no codes: words of its messages, in lower case.
_WORDS = (
    ("not authenticated", RefusalKind.AUTHENTICATION),
    ("not exist", RefusalKind.NO_SUCH_OBJECT),
    ("wrong state", RefusalKind.NOT_NOW),
    ("unknown action", RefusalKind.CALL),
)


class Refused(OpenNebulaError):
    """OpenNebula understood the call and refuses it.

    ``code`` is its error code, 0 where it gives none (1.4); ``object_id`` the object that
    it complains about, if it names one.
    """

    def __init__(self, text: str, code: int = 0, object_id: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.object_id = object_id

    @property
    def kind(self) -> RefusalKind:
        """The kind of refusal, from the code or, without one, from the message."""
        if self.code:
            return _KINDS.get(self.code, RefusalKind.OTHER)
        text = str(self).lower()
        return next((kind for words, kind in _WORDS if words in text), RefusalKind.OTHER)
