"""Mistakes in expressions, in words for the owner of the VM that has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

#: So much of the text is shown on either side of the error.
_SHOWN_CHARACTERS = 30


class ExpressionError(ValueError):
    """A text that is no expression.

    ``position`` counts characters from 0; ``problem`` says what is expected there, or what
    to write instead; ``where`` names the attribute that has the text.
    """

    def __init__(self, text: str, position: int, problem: str, where: str = "expression") -> None:
        self.text = text
        self.position = position
        self.problem = problem
        self.where = where
        super().__init__(
            f"{where}, character {position + 1}: {problem} (at ▸ in {_shown(text, position)})"
        )

    def of(self, where: str) -> ExpressionError:
        """The same error as that of another attribute."""
        return ExpressionError(self.text, self.position, self.problem, where)


def explained(text: str, unexpected: UnexpectedInput) -> ExpressionError:
    """The error that the parser met, with what was expected and what may have been meant."""
    position, terminals = _place(text, unexpected)
    is_open = _is_open(text, position)
    state = _state(terminals)
    found = "the end" if position >= len(text) else f"“{_found(text, position)}”"
    problem = f"{_expectation(state, is_open)} is expected, not {found}"
    hint = _hint(text, position, state, is_open)
    return ExpressionError(text, position, f"{problem}; {hint}" if hint else problem)


def printable(text: str) -> str:
    """A user's text as it may be shown: on one line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def parentheses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each parenthesis outside quotes is, and how many are open from there on."""
    nesting = 0
    for found in re.finditer(r'"[^"]*"|[()]', text):
        if found[0] in "()":
            nesting += 1 if found[0] == "(" else -1
            yield found.start(), nesting


def _is_open(text: str, position: int) -> bool:
    nesting = 0
    for where, now in parentheses(text):
        if where >= position:
            break
        nesting = now
    return nesting > 0


def _place(text: str, unexpected: UnexpectedInput) -> tuple[int, set[str]]:
    """The position of the error, and the grammar's names of what may stand there."""
    match unexpected:
        case UnexpectedToken(token=token):
            ended = token.type == "$END"
            return len(text) if ended else token.start_pos or 0, set(unexpected.expected)
        case UnexpectedCharacters():
            return unexpected.pos_in_stream or 0, set(unexpected.allowed or ())
        case _:
            return len(text), set()


#: What tells the state of the parser, and what is expected in it.
_EXPECTATIONS: tuple[tuple[str, str], ...] = (
    ("JOIN", "“&”, “|”"),
    ("ADDITION", "“+”, “-”, “*”, “/”"),
    ("EQUALITY", "“=”, “!=”, “>”, “<”, “>=”, “<=” or “@>”"),
    ("NOT", "an attribute, “!” or “(”"),
    ("MINUS", "a number, an attribute, “-” or “(”"),
    ("QUOTED", "a number, a word or a text in quotes"),
    ("NUMBER", "a number"),
)


def _state(terminals: set[str]) -> str:
    return next((state for state, _ in _EXPECTATIONS if state in terminals), "END")


def _expectation(state: str, is_open: bool) -> str:
    end = "“)”" if is_open else "the end"
    match state:
        case "JOIN" | "ADDITION":
            return f"{dict(_EXPECTATIONS)[state]} or {end}"
        case "END":
            return end
        case _:
            return dict(_EXPECTATIONS)[state]


#: What stands there, in which state of the parser ("" for any), and what to write.
_HINTS: tuple[tuple[str, str, str], ...] = (
    (r'"[^"]*$', "", 'the quotes that open here are not closed: end the text with “"”'),
    (r"[‘’“”']", "", 'write text in "double quotes"'),
    (r"(?<==)=", "", "write “=” once"),
    (r"(?<=&)&", "", "write “&” once"),
    (r"(?<=\|)\|", "", "write “|” once"),
    (r"(?<=<)>", "", "write “!=” for unequal"),
    (r"(?i:and)\b", "JOIN", "write “&” for and"),
    (r"(?i:or)\b", "JOIN", "write “|” for or"),
    (r"(?i)(?<=\bnot )\w", "EQUALITY", "write “!” for not"),
    (r"/", "EQUALITY", 'put a path in quotes, as in "CLUSTERS/ID"'),
    (r"[\"A-Za-z]", "NUMBER", "compare text with “=” or “!=”; write a number without quotes"),
    (r"[0-9]", "NOT", "write the attribute first, then the number"),
    (r"[^&|!=<>@()\"\s\w]", "JOIN", "write a value with such characters in quotes"),
    (r"[^&|!=<>@()\"\s]", "QUOTED", "write a value with such characters in quotes"),
)


def _hint(text: str, position: int, state: str, is_open: bool) -> str:
    if position >= len(text):
        return "close the parenthesis" if is_open and state in ("JOIN", "ADDITION", "END") else ""
    if text[position] == ")" and not is_open:
        return "no parenthesis is open here: leave it out"
    for pattern, wanted, hint in _HINTS:
        if wanted in ("", state) and re.compile(pattern).match(text, position):
            return hint
    return ""


def _found(text: str, position: int) -> str:
    found = re.compile(r"\w+|.", re.DOTALL).match(text, position)
    return printable(found[0][:_SHOWN_CHARACTERS]) if found else ""


def _shown(text: str, position: int) -> str:
    """The text around the place."""
    before = text[max(0, position - _SHOWN_CHARACTERS) : position]
    after = text[position : position + _SHOWN_CHARACTERS]
    start = "…" if position > _SHOWN_CHARACTERS else ""
    end = "…" if position + _SHOWN_CHARACTERS < len(text) else ""
    return printable(f"{start}{before}▸{after}{end}")
