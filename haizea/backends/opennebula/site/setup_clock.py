"""The time by the clock of the machine where OpenNebula runs."""

from __future__ import annotations

import email.utils
import http.client
import ssl
from urllib.parse import urlsplit

_ANSWER_SECONDS = 10.0


def time_of(url: str, certificates: str | None) -> float | None:
    """The time in the head of an HTTP answer, whatever it answers; ``None`` without one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=certificates)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=_ANSWER_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        date = connection.getresponse().getheader("Date")
        return None if date is None else email.utils.parsedate_to_datetime(date).timestamp()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
