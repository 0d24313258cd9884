"""Reasons in words: a sentence for each code, which says all that the reason knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import get_type_hints
from zoneinfo import ZoneInfo

import pytest

from haizea.core.model import reasons
from haizea.core.model.reasons import MOMENTS, Code, Parameters, Reason, because, stated
from haizea.core.model.resources import FOREVER
from haizea.times.moments import format_moment
from haizea.wording import WORDS, as_data, in_words, reason_of

PACKAGE = Path(__file__).resolve().parents[1] / "haizea"
NOON = 1_795_608_000


def parameters(code: Code) -> set[str]:
    """The parameters that the words for a code name."""
    return {name for _, name, _, _ in Formatter().parse(WORDS[code]) if name is not None}


def made() -> Iterator[tuple[str, str, set[str]]]:
    """Every reason that the package makes: where, its code, the names of its parameters."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "because":
                where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                yield where, ast.unparse(node.args[0]), {k.arg or "**" for k in node.keywords}


def test_every_code_has_words_of_its_own() -> None:
    assert set(WORDS) == set(Code)
    quoting = {Code.POLICY, Code.STATED}
    assert all(WORDS[code] == "{text}" for code in quoting)
    rest = [WORDS[code] for code in Code if code not in quoting]
    assert len(set(rest)) == len(rest)


def test_words_name_known_parameters_and_every_one_of_them_is_used() -> None:
    used = set().union(*(parameters(code) for code in Code))
    assert used == set(get_type_hints(Parameters))
    assert used >= MOMENTS


def test_whoever_makes_a_reason_gives_it_what_its_words_need() -> None:
    wrong = []
    for where, code, names in made():
        if code.startswith("Code."):
            if names != parameters(Code[code.removeprefix("Code.")]):
                wrong.append(f"{where}: {code} with {sorted(names)}")
        else:
            assert code in {"code", "Code(code)"}, f"{where}: {code}"
    assert not wrong, "\n".join(wrong)


def test_codes_that_stand_for_each_other_have_the_same_parameters() -> None:
    """These are chosen between before ``because(code, …)``."""
    for group in (
        (Code.TOO_LARGE, Code.TOO_LARGE_WHERE_ALLOWED),
        (Code.TOO_LITTLE_ROOM, Code.TOO_LITTLE_ROOM_WHERE_ALLOWED),
        (Code.TOO_LITTLE_ROOM_NOW, Code.TOO_LITTLE_ROOM_WHERE_ALLOWED_NOW),
        (Code.LEFT_DRAINED_HOST, Code.STAYS_ON_DRAINED_HOST),
        (Code.START_EXPECTED, Code.RESUMPTION_EXPECTED),
        [code for code in Code if code.name.startswith("VM_") and parameters(code) == {"vm"}],
    ):
        assert len({frozenset(parameters(code)) for code in group}) == 1, group


def test_every_code_is_made_somewhere() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path.name not in {"reasons.py", "wording.py"}
    ]
    names = {f"Code.{code.name}": code for code in Code}
    # Some that have no parameters are made once, beside their codes.
    names |= {name: made.code for name, made in vars(reasons).items() if isinstance(made, Reason)}
    unused = set(Code) - {Code.STATED}
    unused -= {code for name, code in names.items() if any(name in text for text in sources)}
    assert not unused


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (None, ""),
        (because(Code.WAITS, nodes=1), "waiting for 1 node"),
        (because(Code.WAITS, nodes=12), "waiting for 12 nodes"),
        (
            because(Code.TOO_FEW_FREE, nodes=4, free=3, start=NOON, end=FOREVER),
            "4 nodes asked, at most 3 free between 2026-11-25 13:00:00 CET and whenever it would"
            " end",
        ),
        (
            because(Code.STARTS_LATE, cause=because(Code.IMAGE_ARRIVES_LATE, moment=NOON)),
            "it starts late: its image arrives at 2026-11-25 13:00:00 CET only",
        ),
        (
            because(
                Code.OPERATION_FAILED, purpose="resume", cause=because(Code.STATED, text="{x}")
            ),
            "resuming failed: {x}",
        ),
        (stated("no {power} @3"), "no {power} @3"),
        (stated(""), ""),
    ],
)
def test_a_reason_in_words_with_the_times_of_its_reader(reason: Reason | None, words: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert in_words(reason, lambda moment: format_moment(moment, zone)) == words


def test_times_are_in_utc_where_nobody_in_particular_reads() -> None:
    reason = because(Code.START_EXPECTED, start=NOON)
    assert in_words(reason) == "expected to start 2026-11-25 12:00:00"


def test_a_reason_comes_back_from_json() -> None:
    cause = because(Code.HOST_USED_BY_OTHERS, host="node01")
    reason = because(Code.STARTS_LATE, cause=cause)
    data = as_data(reason)
    assert data == {
        "code": "starts-late",
        "parameters": {"cause": {"code": "host-used-by-others", "parameters": {"host": "node01"}}},
    }
    assert reason_of(data["code"], {**data["parameters"], "later": 1}) == reason


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("dreams", {}),
        (None, None),
        ("waits", None),
        ("waits", {}),
        ("waits", {"nodes": True}),
        ("starts-late", {"cause": "because"}),
    ],
)
def test_json_that_is_no_reason_is_refused(code: object, values: object) -> None:
    with pytest.raises(ValueError, match=r"Code|has no|not an object|not a value"):
        reason_of(code, values)
