"""The requests that the page about the HTTP interface shows do what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live_service import LiveService

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
#: How curl tells the status after each answer.
TELL_STATUS = r'write-out = "\n%{http_code}\n"'


def examples(url: str) -> str:
    """The first script of the page, for a service that is elsewhere; its stream ends."""
    script: str
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for shown, instead in (
        (r"http://127\.0\.0\.1:42493", url),
        (r"2026-11-25T14:00", "2100-11-25T14:00"),
        (r"events\?after=0", "events?after=0&follow=false"),
    ):
        script, found = re.subn(shown, instead, script)
        assert found == 1, f"{shown} is not in the script any more"
    return script


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_five_requests_are_answered(tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text(TELL_STATUS)
    (tmp_path / ".haizea").mkdir()
    with LiveService() as service:
        (tmp_path / ".haizea/token").write_text(service.secrets["olga"] + "\n")
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", examples(service.url)],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answers = re.findall(r"(.*?)\n(\d{3})\n", done.stdout, re.DOTALL)
    assert [status for _, status in answers] == ["201", "201", "200", "200", "200"]
    first, second, shown, events, cancelled = (body for body, _ in answers)
    assert json.loads(first)["lease"]["duration"] == 5400
    assert json.loads(second)["lease"]["start"] == "2100-11-25T13:00:00Z"
    assert json.loads(shown)["story"]
    assert events.count("event: accepted") == 2
    assert json.loads(cancelled)["state"] == "Cancelled"
