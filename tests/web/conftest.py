"""One service for each file of tests, one page for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from browser import Visit, WebService
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def service() -> Iterator[WebService]:
    with WebService() as running:
        yield running


@pytest.fixture
def visit(chromium: Browser, service: WebService) -> Iterator[Callable[..., Visit]]:
    """Begin a visit; nothing may have gone wrong on its page when the test ends."""
    with ExitStack() as visits:

        def begin(name: str | None = None, view: str = "", **options: object) -> Visit:
            context = chromium.new_context(**options)  # type: ignore[arg-type]
            visits.callback(context.close)
            made = Visit(context, service)
            visits.callback(made.check)
            if name is not None:
                made.sign_in(name)
            made.go(view)
            return made

        yield begin
