"""Running the interface: uvicorn in a thread of its own, beside the scheduler's."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from haizea.api.connection import protocol_for
from haizea.api.interface import Interface

_logger = logging.getLogger("haizea.api")
#: So long, in seconds, requests under way may take to end when the service ends.
_GRACE_SECONDS = 3
_BACKLOG = 512


class ServerError(Exception):
    """The interface cannot listen; the message says why and what to do."""


class Server:
    """Listens on an address and answers with ``app``, which is run once.

    ``certificate`` and ``key`` are files in PEM form; with them it talks TLS alone.
    """

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._interface: Interface = app.state.interface
        self._socket: socket.socket | None = None
        self._address = (host, port)
        self._tls = certificate is not None
        _check_tls(certificate, key)
        settings = self._interface.settings
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=protocol_for(settings),
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=settings.most_head_bytes,
                timeout_keep_alive=max(1, int(settings.request_seconds)),
                timeout_graceful_shutdown=_GRACE_SECONDS,
                ssl_certfile=None if certificate is None else str(certificate),
                ssl_keyfile=None if key is None else str(key),
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    # --- what it is -------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        return self._address[1]

    @property
    def url(self) -> str:
        """Address of the server: ``http://127.0.0.1:42493``."""
        host, port = self._address
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{shown}:{port}"

    # --- start and end ----------------------------------------------------------------

    def start(self, timeout_seconds: float = 30.0) -> None:
        """Listen; requests are answered when this returns. Raises :class:`ServerError`."""
        _take_over_log()
        self._socket = _listening(*self._address)
        self._address = (self._address[0], self._socket.getsockname()[1])
        self._thread.start()
        if not self._ready.wait(timeout_seconds) or not self._server.started:
            self.stop()
            raise ServerError(f"the HTTP interface on {self.url} did not start; see the log")
        _logger.info("listening on %s", self.url)

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """End streams and what waits, and stop listening; whether all ended in that time.

        It may be called any number of times, and from any thread.
        """
        loop = self._loop
        self._server.should_exit = True
        if loop is not None:
            # Without a loop any more, all is over already.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._interface.closing.set)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        if self._socket is not None:
            self._socket.close()
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """True if requests are answered."""
        return self._server.started and self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except SystemExit:
            _logger.error("the HTTP interface could not start")
        except Exception:
            _logger.exception("the HTTP interface ended by an error")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        assert self._socket is not None, "it is bound before the thread starts"
        tell = asyncio.create_task(self._tell_when_ready())
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            tell.cancel()

    async def _tell_when_ready(self) -> None:
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._ready.set()


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket; :class:`ServerError` where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends what is written at once; without, the end of each
    # answer waits 40 ms for the client to acknowledge its beginning.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ServerError(
            f"cannot listen on {host} port {port}: {why};"
            " is another manager running there, or is the address not of this machine?"
        ) from None
    return bound


def _check_tls(certificate: Path | None, key: Path | None) -> None:
    """Check that the files are good; what is wrong is told in words here, not by uvicorn later."""
    if certificate is None:
        if key is not None:
            raise ServerError(f"there is a TLS key, {key}, but no certificate; name both")
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:
        reason = error.strerror
        if isinstance(error, ssl.SSLError):
            reason = "one of them is not what it should be (in PEM), or they do not belong together"
        raise ServerError(
            f"the TLS certificate {certificate} and key {key or certificate} cannot be used:"
            f" {reason}"
        ) from None


class _ToProject(logging.Handler):
    """Passes uvicorn's log on to the project's; what is merely of interest, as debugging."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno if record.levelno >= logging.ERROR else logging.DEBUG
        if _logger.isEnabledFor(level):
            _logger.log(level, "%s", record.getMessage(), exc_info=record.exc_info)


def _take_over_log() -> None:
    log = logging.getLogger("uvicorn")
    if not any(isinstance(handler, _ToProject) for handler in log.handlers):
        log.addHandler(_ToProject())
    log.propagate = False
