"""docs/scheduling.md says what the code does: its diagram and its figures are compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from haizea.core.disruption import failures
from haizea.core.model import overheads
from haizea.core.model.lifecycle import FINAL, TRANSITIONS, State
from haizea.core.model.settings import Exclusion, Settings

PAGE = (Path(__file__).parent.parent / "docs" / "scheduling.md").read_text(encoding="utf-8")

#: Every state that is not final leads to these, which the page says in words.
FROM_ANYWHERE = {State.CANCELLED, State.FAILED}


def diagram() -> Iterator[str]:
    """The life cycle as Mermaid text, from the live table."""
    yield "stateDiagram-v2"
    drawn = [state for state in State if state not in FROM_ANYWHERE]
    for state in drawn:
        if name(state) != state:
            yield f'    state "{state}" as {name(state)}'
    yield f"    [*] --> {name(State.NEW)}"
    for old in drawn:
        for new in drawn:
            if new in TRANSITIONS[old]:
                yield f"    {name(old)} --> {name(new)}"
        if old in FINAL:
            yield f"    {name(old)} --> [*]"


def name(state: State) -> str:
    return state.replace("-", "")


def test_the_diagram_is_the_table() -> None:
    [drawn] = re.findall(r"^```mermaid\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    expected = "\n".join(diagram()) + "\n"
    assert drawn == expected, f"write this into the page:\n{expected}"


def test_every_state_that_is_not_final_can_be_cancelled_or_fail() -> None:
    for state, following in TRANSITIONS.items():
        assert (following >= FROM_ANYWHERE) == (state not in FINAL)


@pytest.mark.parametrize("example", re.findall(r"^\| `(.*)` \| (.*) \| (\d+) \|$", PAGE, re.M))
def test_times_in_examples(example: tuple[str, str, str]) -> None:
    """The table of examples: settings and nodes, in code, with what comes out."""
    what, _, seconds = example
    found = re.fullmatch(
        r"(\d+) MB/s, overhead (\d+), (\w+), (\d+) nodes? of 1024 MB on (\d+) hosts?", what
    )
    assert found is not None
    rate, overhead, exclusion, nodes, where = found.groups()
    settings = Settings(
        suspend_rate_mb_s=float(rate),
        enactment_overhead_seconds=int(overhead),
        exclusion=Exclusion(exclusion),
    )
    count = int(nodes)
    hosts = [i % int(where) for i in range(count)]
    vms = [overheads.suspend_vm_seconds(settings, 1024)] * count
    assert overheads.lease_seconds(settings, hosts, vms) == int(seconds)


def test_there_are_examples_and_the_other_figures_hold() -> None:
    assert len(re.findall(r"^\| `.* MB/s,", PAGE, re.MULTILINE)) >= 4
    assert overheads.transfer_seconds(1024, 100) == 82
    assert "1024 MB over 100 Mbit/s take 82 s" in PAGE
    assert f"unless it has done so {failures.MOST_FAILURES} times" in PAGE
    assert overheads.threshold_seconds(Settings(), 32, 32) == 128
    assert "(32 + 32) × 2 = 128 s" in PAGE
