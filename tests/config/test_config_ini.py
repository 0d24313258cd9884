"""The format of the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.config.ini import MAX_BYTES, ConfigError, parse_ini, read_ini

PATH = Path("some.conf")


def entries(text: str) -> dict[str, dict[str, str]]:
    file = parse_ini(PATH, text)
    assert not file.problems
    return {s: {o: e.text for o, e in x.entries.items()} for s, x in file.sections.items()}


def messages(text: str) -> list[str]:
    return [problem.describe(PATH) for problem in parse_ini(PATH, text).problems]


def test_both_delimiters_comments_and_blank_lines() -> None:
    text = """
        # comment
        ; comment too
[general]
mode: simulated
loglevel = INFO   # after a space, a comment
logfile:a#b.log
url: http://host:2633/x=y

[Other Section]  # so here
"""
    assert entries(text) == {
        "general": {
            "mode": "simulated",
            "loglevel": "INFO",
            "logfile": "a#b.log",
            "url": "http://host:2633/x=y",
        },
        "Other Section": {},
    }


def test_a_semicolon_within_a_line_is_no_comment() -> None:
    text = "[simulation]\nresources: 4 CPU:100 Memory:1024 ; 2 CPU:400 Memory:8192\n"
    assert entries(text)["simulation"]["resources"].endswith("; 2 CPU:400 Memory:8192")


def test_indented_lines_go_on_with_the_value() -> None:
    text = "[s]\na: 1\n   2  # two\n   # nothing\n   b: 3\nc:\n  4\n"
    assert entries(text) == {"s": {"a": "1 2 b: 3", "c": "4"}}


def test_an_indented_option_after_a_blank_line_is_an_option() -> None:
    assert entries("[s]\na: 1\n\n  b: 2\n") == {"s": {"a": "1", "b": "2"}}


def test_option_names_do_not_depend_on_case_and_percent_means_nothing() -> None:
    assert entries("[s]\nLogFile: 100%(x)s\n") == {"s": {"logfile": "100%(x)s"}}


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"\xef\xbb\xbf[s]\r\na: 1\r\n")
    assert read_ini(path).sections["s"].entries["a"].text == "1"


def test_every_problem_of_the_format_is_told_with_its_line() -> None:
    text = "early: 1\n[s]\na: 1\nA = 2\nnonsense\n[t]\n[s]\nb: 2\n: 3\n"
    assert messages(text) == [
        "some.conf:1 early: stands before the first [section]",
        "some.conf:4: [s] a: is set already, on line 3; keep one of them",
        "some.conf:5: 'nonsense' is neither [section] nor option: value",
        "some.conf:7: [s]: the section is there already, from line 2; keep one of them",
        "some.conf:9: ': 3' is neither [section] nor option: value",
    ]


def test_what_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.conf"
    path.write_bytes("[s]\na: é\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.conf:2: is not UTF-8"):
        read_ini(path)


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.conf"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read_ini(path)


@pytest.mark.slow
@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    file = parse_ini(PATH, text)
    lines = len(text.splitlines())
    assert all(1 <= problem.line <= lines for problem in file.problems)
