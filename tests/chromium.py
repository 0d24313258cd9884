"""A real Chromium for tests: one for each worker, whichever tests of whichever folder it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Nothing is timed: it is only given up after so long.
PATIENCE_MILLISECONDS = 90_000

#: The names of its program. The first draws no windows, which takes half of the processor time.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def chromium_program() -> str:
    """The browser; without one the test is skipped, or fails where there must be one."""
    there = (shutil.which(name) for name in PROGRAMS)
    found = os.environ.get("HAIZEA_CHROMIUM") or next(filter(None, there), None)
    if found is None:
        assert not os.environ.get("HAIZEA_NEEDS_CHROMIUM"), "chromium is not installed"
        pytest.skip("chromium is not installed")
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window. Root may have no sandbox.

    Playwright refuses to be started a second time in a process, so that only the fixture
    ``chromium`` may use this: a worker may run tests of several folders, in any order.
    """
    path = chromium_program()
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        # Nobody looks: drawing as a graphics card would takes a seventh of all processor time.
        options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        try:
            yield browser
        finally:
            browser.close()
