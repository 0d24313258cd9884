"""Requirements and ranks: what they mean, and what is said of those that are wrong."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from typing import Any

import pytest
from effort import tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.backends.opennebula.expressions.errors import ExpressionError
from haizea.backends.opennebula.expressions.glob import glob
from haizea.backends.opennebula.expressions.language import (
    MOST_CHARACTERS,
    MOST_NESTING,
    parse_rank,
    parse_requirement,
)
from haizea.backends.opennebula.expressions.table import (
    DATASTORE_PLACES,
    HOST_PLACES,
    AttributeTable,
)
from haizea.backends.opennebula.model.template import Attributes

HOST: Attributes = {
    "ID": "7",
    "NAME": "node07",
    "CLUSTER_ID": "0",
    "HOST_SHARE": {
        "RUNNING_VMS": "3",
        "MAX_MEM": "8589934592000",
        "DATASTORES": {"FREE_DISK": "2047", "DS": [{"ID": "100"}, {"ID": "101"}]},
        "PCI_DEVICES": {"PCI": [{"TYPE": "10de"}, {"TYPE": "8086"}]},
    },
    "VMS": {"ID": ["5", "6"]},
    "TEMPLATE": {
        "HOSTNAME": "node07.example",
        "ARCH": "x86_64",
        "RESERVED_CPU": "",
        "PRIORITY": "9",
        "VERSION": "6.10",
        "GHZ": "2.5",
        "LABEL": ["red", "blue"],
        "MIXED": "12abc",
    },
    "MONITORING": {"CAPACITY": {"FREE_CPU": "650"}, "SYSTEM": {"LOAD": "-1.5e1"}},
    "CLUSTER_TEMPLATE": {"PRIORITY": "1", "SITE": "north"},
}


def is_met(text: str, attributes: Attributes = HOST) -> bool:
    table = AttributeTable([attributes], HOST_PLACES)
    return bool(table.matching(parse_requirement(text)))


def rank_of(text: str, attributes: Attributes = HOST) -> float:
    return AttributeTable([attributes], HOST_PLACES).values(parse_rank(text))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        (" \t\n", True),
        # Numbers.
        ("FREE_CPU > 600", True),
        ("FREE_CPU > 650", False),
        ("FREE_CPU < 651", True),
        ("FREE_CPU >= 650 & FREE_CPU <= 650", True),
        ("FREE_CPU = 650", True),
        ("FREE_CPU != 650", False),
        ("LOAD = -15", False),  # a whole number is "-1", up to the point
        ("LOAD = -15.0", True),
        ("LOAD = -1", True),
        ("GHZ > 2", False),  # compared by its whole number
        ("GHZ > 2.4", True),
        ("GHZ = 2", True),
        ("MIXED = 12", True),
        ("MAX_MEM > 8589934591999", True),
        ("ARCH > 5", False),
        ("ARCH != 5", False),
        # Text.
        ('HOSTNAME = "node07.example"', True),
        ('HOSTNAME = "node*"', True),
        ('HOSTNAME = "NODE*"', False),
        ('HOSTNAME = "node0[123].*"', False),
        ('HOSTNAME = "node0[1-7].*"', True),
        ('HOSTNAME = "node0[!8-9]?example"', True),
        ('HOSTNAME != "node*"', False),
        ('HOSTNAME != "other*"', True),
        ("ARCH = x86_64", True),
        ('ID = "7"', True),
        ('VERSION = "6.1*"', True),
        # What is absent, and what is empty.
        ("NOTHING = 5", False),
        ("NOTHING != 5", False),
        ('NOTHING = "*"', False),
        ('NOTHING != "x"', False),
        ("NOTHING @> 5", False),
        ("!(NOTHING = 5)", True),
        ("!(PIN_POLICY = PINNED)", True),
        ('RESERVED_CPU = "*"', True),
        ("RESERVED_CPU < 5", False),
        ('RESERVED_CPU = ""', False),
        ('ARCH != ""', False),
        # Where attributes are looked up.
        ("CLUSTER_ID = 0", True),
        ("RUNNING_VMS = 3", True),
        ("FREE_DISK = 2047", True),
        ("SITE = north", True),
        ("PRIORITY = 9", True),
        ('"TEMPLATE/ARCH" = "x86*"', True),
        ('"/HOST/TEMPLATE/ARCH" = "x86*"', True),
        ('"/VM/TEMPLATE/ARCH" = "x86*"', False),
        ('"CLUSTER_TEMPLATE/SITE" = "north"', True),
        ('VMS = "56"', True),  # an element's text is all text in it
        # Lists.
        ("LABEL = red", True),
        ("LABEL = blue", False),
        ("LABEL @> blue", True),
        ('LABEL @> "b*"', True),
        ("LABEL @> green", False),
        ('"VMS/ID" @> 6', True),
        ('"VMS/ID" @> 6.0', True),
        ('"VMS/ID" = 6', False),
        ('"PCI_DEVICES/PCI/TYPE" @> "8086"', True),
        ('"DATASTORES/DS/ID" @ > 101', True),
        ("CURRENT_VMS = 6", True),
        ("CURRENT_VMS = 7", False),
        ("CURRENT_VMS != 6", False),
        ("CURRENT_VMS != 7", True),
        ("CURRENT_VMS @> 5", True),
        ("CURRENT_VMS > 1", False),
        # How conditions are joined: from left to right.
        ("ID = 7 & ID = 8", False),
        ("ID = 7 | ID = 8", True),
        ("ID = 7 | ID = 7 & ID = 8", False),
        ("ID = 7 | (ID = 7 & ID = 8)", True),
        ("ID = 8 & ID = 8 | ID = 7", True),
        ("!ID = 8 & ID = 7", True),
        ("!ID = 7 | ID = 7", True),
        ("!(ID = 7 | ID = 8)", False),
        ("!!ID = 7", True),
        ("ID ! = 8", True),
        ("((((ID=7))))", True),
        ("ID=-7", False),
    ],
)
def test_requirements_mean_what_the_stock_scheduler_takes_them_for(
    text: str, expected: bool
) -> None:
    assert is_met(text) is expected


def test_a_host_without_vms_has_no_current_vms() -> None:
    assert is_met("CURRENT_VMS != 6", {"ID": "1", "VMS": ""})
    assert not is_met("CURRENT_VMS = 6", {"ID": "1", "VMS": ""})


def test_datastores_are_asked_for_their_own_attributes() -> None:
    datastore: Attributes = {
        "ID": "0",
        "CLUSTERS": {"ID": ["0", "100"]},
        "TEMPLATE": {"TM_MAD": "dummy"},
    }
    table = AttributeTable([datastore, {"ID": "1", "CLUSTERS": ""}], DATASTORE_PLACES)
    met = table.matching(parse_requirement('("CLUSTERS/ID" @> 100) & (TM_MAD = "dummy")'))
    assert met == 0b01


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("RUNNING_VMS", 3),
        ("- RUNNING_VMS", -3),
        ("-ID", -7),
        ("FREE_CPU * 2 + RUNNING_VMS", 1303),
        ("FREE_CPU - 5", 645),
        ("FREE_CPU -5", 645),
        ("2 + 3 * 4 - 10 / 4", 11.5),
        ("(2 + 3) * 4", 20),
        ("10 - 2 - 3", 5),
        ("16 / 4 / 2", 2),
        ("2 * -3", -6),
        ("- 2 + 3", 1),
        ("--2", 2),
        ("- (RUNNING_VMS * 50 + FREE_CPU)", -800),
        ("GHZ * 2", 5),
        ("LOAD", -15),
        ("NOTHING", 0),
        ("NOTHING + 1", 1),
        ("ARCH", 0),
        ("MIXED", 12),
        ('"HOST_SHARE/RUNNING_VMS" * 0.5', 1.5),
        ("1 / 0", -math.inf),
        ("RUNNING_VMS / NOTHING", -math.inf),
        ("0 * (1 / 0)", -math.inf),
        ("9" * 400, -math.inf),
    ],
)
def test_ranks_are_calculated(text: str, expected: float) -> None:
    assert rank_of(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("A", 1, "“@>” is expected, not the end"),
        ("A >> 5", 3, "a number is expected, not “>”"),
        ("A = ", 4, "a number, a word or a text in quotes is expected, not the end"),
        ("A == 5", 3, "write “=” once"),
        ("A=1 && B=2", 5, "write “&” once"),
        ("A=1 || B=2", 5, "write “|” once"),
        ("A=1 and B=2", 4, "write “&” for and"),
        ("A=1 OR B=2", 4, "write “|” for or"),
        ("not A=1", 4, "write “!” for not"),
        ("A <> 4", 3, "write “!=” for unequal"),
        ("(A=1", 4, "close the parenthesis"),
        ("A=1)", 3, "leave it out"),
        ('A="x', 2, "the quotes that open here are not closed"),
        ("A='x'", 2, 'write text in "double quotes"'),
        ("A = b-c", 5, "write a value with such characters in quotes"),
        ("A = 10.0.0.1", 4, "write a value with such characters in quotes"),
        ('A > "5"', 4, "write a number without quotes"),
        ("A > b", 4, "write a number without quotes"),
        ("5 > A", 0, "write the attribute first"),
        ("CLUSTERS/ID @> 0", 8, "put a path in quotes"),
        ('"a b" = 1', 0, "expected an attribute's name"),
        ('"VMS[1]" = 1', 0, "expected an attribute's name"),
        ('"" = 1', 0, "expected an attribute's name"),
        ("A = 1 & % = 2", 8, "an attribute, “!” or “(” is expected, not “%”"),
        ("()", 1, "is expected, not “)”"),
    ],
)
def test_a_wrong_requirement_is_explained(text: str, position: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_requirement(text, "SCHED_REQUIREMENTS")
    assert caught.value.position == position
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"SCHED_REQUIREMENTS, character {position + 1}: ")


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("A +", 3, "a number, an attribute, “-” or “(” is expected, not the end"),
        ("A ** 2", 3, "is expected, not “*”"),
        ("A B", 2, "“+”, “-”, “*”, “/” or the end is expected, not “B”"),
        ("(A B", 3, "“+”, “-”, “*”, “/” or “)” is expected, not “B”"),
        ("(A", 2, "close the parenthesis"),
        ("A)", 1, "leave it out"),
        ("2A", 0, "is expected, not “2A”"),
        ("A > 5", 2, "is expected, not “>”"),
        ('"a*b"', 0, "expected an attribute's name"),
    ],
)
def test_a_wrong_rank_is_explained(text: str, position: int, said: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_rank(text, "SCHED_RANK")
    assert caught.value.position == position
    assert said in str(caught.value)


def test_the_same_text_is_explained_under_each_name_that_it_has() -> None:
    for name in ("REQUIREMENTS", "SCHED_REQUIREMENTS"):
        with pytest.raises(ExpressionError, match=rf"^{name}, character 2"):
            parse_requirement("A", name)


def test_messages_stay_short_and_on_one_line() -> None:
    text = "A = 1 &\n" * 100 + "\x1b[31m" + "B" * 1000
    with pytest.raises(ExpressionError) as caught:
        parse_requirement(text)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("parse", [parse_requirement, parse_rank])
def test_length_and_nesting_are_bounded(parse: Any) -> None:
    inner = "A = 1" if parse is parse_requirement else "A"
    parse("(" * MOST_NESTING + inner + ")" * MOST_NESTING)
    with pytest.raises(ExpressionError, match="parentheses are open"):
        parse("(" * (MOST_NESTING + 1) + inner + ")" * (MOST_NESTING + 1))
    parse(inner + " " * (MOST_CHARACTERS - len(inner)))
    with pytest.raises(ExpressionError, match=f"of which {MOST_CHARACTERS} are read"):
        parse(inner + " " * (MOST_CHARACTERS - len(inner) + 1))


def test_long_runs_of_signs_are_no_nesting() -> None:
    assert is_met("!" * 4000 + "ID = 7")
    assert not is_met("!" * 4001 + "ID = 7")
    assert rank_of("-" * 4001 + "ID") == -7
    assert rank_of("ID" + "*-1" * 1301) == -7
    assert is_met("&".join(["ID=7"] * 800))


@pytest.mark.parametrize(
    "text",
    [
        "*a" * 2000,
        "*" * 4000 + "b",
        "[" * 4000,
        "[a" * 2000,
        "?" * 4000,
        "\\" * 3999,
        "*[!a]" * 800,
    ],
)
def test_no_pattern_takes_long(text: str) -> None:
    table = AttributeTable([{"TEMPLATE": {"A": "a" * 5000}}], HOST_PLACES)
    assert table.matching(parse_requirement(f'A = "{text}"')) in (0, 1)


# ---- properties ----

NAMES = ("A", "B", "C", "LONG_NAME")
TEXTS = ("red", "blue", "x-1", "9")


def naive_condition(tree: Any, row: Mapping[str, str]) -> bool:
    """The truth of a tree, without any of the project's code."""
    match tree:
        case ("not", inner):
            return not naive_condition(inner, row)
        case ("join", joins, parts):
            result = naive_condition(parts[0], row)
            for join, part in zip(joins, parts[1:], strict=True):
                value = naive_condition(part, row)
                result = (result and value) if join == "&" else (result or value)
            return result
        case ("compare", name, sign, value):
            return name in row and naive_comparison(row[name], sign, value)
    raise AssertionError(tree)


def naive_comparison(text: str, sign: str, value: int | str) -> bool:
    if isinstance(value, str):
        equal = fnmatch.fnmatchcase(text, value)
        return not equal if sign == "!=" else equal
    try:
        number = int(text)
    except ValueError:
        return False
    return {
        "=": number == value,
        "@>": number == value,
        "!=": number != value,
        ">": number > value,
        "<": number < value,
    }[sign]


def written_condition(tree: Any) -> str:
    match tree:
        case ("not", inner):
            return f"!({written_condition(inner)})"
        case ("join", joins, parts):
            written = [f"({written_condition(part)})" for part in parts]
            # The first need not be in parentheses: joining goes from left to right.
            text = written_condition(parts[0])
            for join, part in zip(joins, written[1:], strict=True):
                text += f" {join} {part}"
            return text
        case ("compare", name, sign, value):
            return f'{name} {sign} "{value}"' if isinstance(value, str) else f"{name}{sign}{value}"
    raise AssertionError(tree)


COMPARISONS = st.one_of(
    st.tuples(
        st.just("compare"),
        st.sampled_from(NAMES),
        st.sampled_from(["=", "!=", ">", "<", "@>"]),
        st.integers(-3, 12),
    ),
    st.tuples(
        st.just("compare"),
        st.sampled_from(NAMES),
        st.sampled_from(["=", "!=", "@>"]),
        st.sampled_from(["red", "*", "?ed", "b*e", "[a-c]*", "[!a-c]*", "x-*", "9"]),
    ),
)


def joined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, min_size=2, max_size=4).flatmap(
        lambda parts: st.tuples(
            st.just("join"),
            st.lists(st.sampled_from("&|"), min_size=len(parts) - 1, max_size=len(parts) - 1),
            st.just(parts),
        )
    )


CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), joined(inner)),
    max_leaves=12,
)
VALUES = st.one_of(st.integers(-3, 12).map(str), st.sampled_from(TEXTS))
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), min_size=1, max_size=6)


@tries(200)
@given(CONDITIONS, ROWS)
def test_conditions_have_the_value_that_a_naive_evaluator_gives(
    tree: Any, rows: list[dict[str, str]]
) -> None:
    table = AttributeTable([{"TEMPLATE": row} for row in rows], HOST_PLACES)
    requirement = parse_requirement(written_condition(tree))
    met = table.matching(requirement)
    assert [bool(met >> i & 1) for i in range(len(rows))] == [
        naive_condition(tree, row) for row in rows
    ]
    # What is shown to people is the same expression.
    assert table.matching(parse_requirement(str(requirement.condition))) == met
    # And it is what all its conjuncts say.
    every = table.everything
    for condition in requirement.conjuncts():
        every &= table.meeting(condition)
    assert every == met


def naive_value(tree: Any, row: Mapping[str, str]) -> float:
    match tree:
        case ("minus", inner):
            return -naive_value(inner, row)
        case ("calculate", sign, left, right):
            one, other = naive_value(left, row), naive_value(right, row)
            if sign == "/":
                return one / other if other else math.nan
            return {"+": one + other, "-": one - other, "*": one * other}[sign]
        case str(name):
            return float(row.get(name, "0"))
        case number:
            return float(number)


def written_value(tree: Any) -> str:
    match tree:
        case ("minus", inner):
            return f"-({written_value(inner)})"
        case ("calculate", sign, left, right):
            return f"({written_value(left)}) {sign} ({written_value(right)})"
        case _:
            return str(tree)


TERMS = st.recursive(
    st.one_of(st.sampled_from(NAMES), st.integers(0, 20), st.sampled_from([0.5, 2.25])),
    lambda inner: st.one_of(
        st.tuples(st.just("minus"), inner),
        st.tuples(st.just("calculate"), st.sampled_from("+-*/"), inner, inner),
    ),
    max_leaves=10,
)
NUMBER_ROWS = st.dictionaries(st.sampled_from(NAMES), st.integers(-9, 9).map(str))


@tries(200)
@given(TERMS, NUMBER_ROWS)
def test_ranks_have_the_value_that_a_naive_evaluator_gives(tree: Any, row: dict[str, str]) -> None:
    expected = naive_value(tree, row)
    if not math.isfinite(expected):
        expected = -math.inf
    assert rank_of(written_value(tree), {"TEMPLATE": row}) == expected


@tries(200)
@given(st.lists(st.sampled_from("+-*/"), min_size=1, max_size=6), st.integers(1, 9))
def test_ranks_need_no_parentheses_for_the_usual_precedence(signs: list[str], start: int) -> None:
    numbers = [start + i for i in range(len(signs) + 1)]
    text = str(numbers[0])
    for sign, number in zip(signs, numbers[1:], strict=True):
        text += f" {sign} {number}"
    assert rank_of(text) == pytest.approx(eval(text))


PIECES = st.sampled_from(
    [
        *"AB=!@><&|()\" \n1.-+*/é\0'[\\_\ud800٣",
        "!=",
        "@>",
        '"x"',
        "-1",
        "2.5",
        "and",
        "A = 1",
        "B*2",
    ]
)
ANY_TEXT = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join))


def error_of(parse: Any, text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


@tries(500)
@given(ANY_TEXT)
def test_any_text_is_an_expression_or_a_documented_error(text: str) -> None:
    for parse, use in ((parse_requirement, is_met), (parse_rank, rank_of)):
        error = error_of(parse, text)
        if error is None:
            use(text)
        else:
            assert 0 <= error.position <= len(text)
            assert str(error).isprintable()
            assert len(str(error)) < 500


@tries(300)
@given(
    st.lists(st.sampled_from(["*", "?", "a", "b", "c", "[ab]", "[!a]", "[a-b]"]), max_size=8),
    st.text(alphabet="abc.", max_size=10),
)
def test_patterns_match_as_those_of_the_standard_library(parts: list[str], text: str) -> None:
    pattern = "".join(parts)
    assert glob(pattern)(text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a\\", "a\\", True),
        ("[", "[", True),
        ("[a", "[a", True),
        ("[]a]", "]", True),
        ("[^a]", "b", True),
        ("[^a]", "a", False),
        ("[z-a]", "m", False),
        ("[!z-a]", "m", True),
        ("[a-]", "-", True),
        ("a.c", "abc", False),
        ("a?c", "a\nc", True),
        ("", "", True),
        ("*", "", True),
        ("ab*ba", "aba", False),
    ],
)
def test_patterns_to_the_letter(pattern: str, text: str, expected: bool) -> None:
    assert glob(pattern)(text) is expected


@pytest.mark.parametrize("text", ["1" * 5000, "1e999", "-", "", "nan", "inf", "0x10", "٣"])
def test_odd_numbers_of_hosts_are_no_trouble(text: str) -> None:
    host: Attributes = {"TEMPLATE": {"A": text}}
    assert math.isfinite(rank_of("A", host))
    for comparison in ("A > 5", "A > 5.5", "A != 5", "A @> 5"):
        is_met(comparison, host)
