"""OpenNebula's two small languages: requirements, which a host meets or not, and ranks.

A requirement compares attributes (``FREE_CPU > 50 & HOSTNAME = "node*"``), a rank calculates
with them (``FREE_CPU * 2 - RUNNING_VMS``). What the words mean is decided where they are
evaluated, in :mod:`haizea.backends.opennebula.expressions.table`; here is their form.

``&`` and ``|`` have the same precedence and are taken from left to right, as OpenNebula does.
``>=`` and ``<=`` are understood too, which no version of OpenNebula does.

The texts are written by users: their length and nesting are bounded, and parsing takes time
in proportion to the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from haizea.backends.opennebula.expressions.errors import ExpressionError, explained, parentheses

MOST_CHARACTERS = 4096
MOST_NESTING = 50

#: Parsed texts that are kept, in characters. One takes some forty bytes when it is parsed.
_REMEMBERED_CHARACTERS = 1_000_000

_PATH = re.compile(r"/?[A-Za-z_][\w.-]*(?:/[A-Za-z_][\w.-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attribute compared with a value: ``operator`` is one of ``= != > < >= <= @>``.

    A ``value`` that is text may have wildcards. ``@>`` asks whether any of the attribute's
    values is this one.
    """

    attribute: str
    operator: str
    value: int | float | str

    def __str__(self) -> str:
        value = f'"{self.value}"' if isinstance(self.value, str) else self.value
        return f"{_named(self.attribute)} {self.operator} {value}"


@dataclass(frozen=True, slots=True)
class Negation:
    """True where its operand is not."""

    operand: Condition

    def __str__(self) -> str:
        return f"!({self.operand})"


@dataclass(frozen=True, slots=True)
class Chain:
    """Conditions joined by ``&`` and ``|``, from left to right."""

    first: Condition
    rest: tuple[tuple[str, Condition], ...]

    def __str__(self) -> str:
        return _joined(self.first, self.rest)


Condition = Comparison | Negation | Chain


@dataclass(frozen=True, slots=True)
class Requirement:
    """A parsed requirement; without a condition (an empty text) everything meets it."""

    text: str
    condition: Condition | None

    def conjuncts(self) -> tuple[Condition, ...]:
        """The conditions that must all hold: one, unless it is joined by ``&`` alone."""
        match self.condition:
            case None:
                return ()
            case Chain(first, rest) if all(join == "&" for join, _ in rest):
                return (first, *(condition for _, condition in rest))
            case condition:
                return (condition,)


@dataclass(frozen=True, slots=True)
class Attribute:
    """The number that an attribute has."""

    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """A value with the other sign."""

    operand: Term


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Values joined by ``+`` and ``-``, or by ``*`` and ``/``, from left to right."""

    first: Term
    rest: tuple[tuple[str, Term], ...]


Term = float | Attribute | Negative | Arithmetic


@dataclass(frozen=True, slots=True)
class Rank:
    """A parsed rank; without a term (an empty text) everything is equally good."""

    text: str
    term: Term | None


def parse_requirement(text: str, where: str = "requirement") -> Requirement:
    """The requirement that ``text`` is.

    :raises ExpressionError: it is none; ``where`` names the attribute in the message.
    """
    parsed: Requirement | ExpressionError = _remembered_requirement(text)
    if isinstance(parsed, ExpressionError):
        raise parsed.of(where)
    return parsed


def parse_rank(text: str, where: str = "rank") -> Rank:
    """The rank that ``text`` is.

    :raises ExpressionError: it is none; ``where`` names the attribute in the message.
    """
    parsed: Rank | ExpressionError = _remembered_rank(text)
    if isinstance(parsed, ExpressionError):
        raise parsed.of(where)
    return parsed


def _named(attribute: str) -> str:
    return attribute if attribute.replace("_", "").isalnum() else f'"{attribute}"'


def _joined(first: Condition, rest: tuple[tuple[str, Condition], ...]) -> str:
    parts = [_part(first)]
    parts += [f"{join} {_part(condition)}" for join, condition in rest]
    return " ".join(parts)


def _part(condition: Condition) -> str:
    return f"({condition})" if isinstance(condition, Chain) else str(condition)


_VALUES = r"""
    WORD: /[A-Za-z_][0-9A-Za-z_]*/
    QUOTED: /"[^"]*"/
    %ignore /\s+/
"""

_REQUIREMENT_GRAMMAR = (
    r"""
    start: chain?
    chain: operand (JOIN operand)*
    ?operand: comparison | NOT operand -> negation | "(" chain ")"
    comparison: attribute EQUALITY value | attribute MEMBER value | attribute ORDER number
    attribute: WORD | QUOTED
    value: number | WORD -> word | QUOTED -> quoted
    number: NUMBER

    JOIN: /[&|]/
    NOT: "!"
    EQUALITY: /=|!\s*=/
    MEMBER: /@\s*>/
    ORDER: /[<>]=?/
    NUMBER: /-?[0-9]+(\.[0-9]+)?(?![0-9A-Za-z_.])/
"""
    + _VALUES
)

_RANK_GRAMMAR = (
    r"""
    start: sum?
    sum: product (ADDITION product)*
    product: factor (MULTIPLICATION factor)*
    ?factor: MINUS factor -> negative | number | attribute | "(" sum ")"
    attribute: WORD | QUOTED
    number: NUMBER

    ADDITION: /[+-]/
    MULTIPLICATION: /[*\/]/
    MINUS: "-"
    NUMBER: /[0-9]+(\.[0-9]+)?(?![0-9A-Za-z_.])/
"""
    + _VALUES
)


class _NoName(Exception):
    """A text stands where an attribute's name should, and is none."""

    def __init__(self, token: Token) -> None:
        super().__init__(str(token))
        self.position = token.start_pos or 0


def _attribute_name(token: Token) -> str:
    name = token.strip('"')
    if not _PATH.fullmatch(name):
        raise _NoName(token)
    return name


def _pairs(rest: tuple[Any, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple((str(rest[i]), rest[i + 1]) for i in range(0, len(rest), 2))


@v_args(inline=True)
class _Conditions(Transformer[Token, Any]):
    """Makes conditions while the parser goes along, so that no tree is walked."""

    def start(self, condition: Condition | None = None) -> Condition | None:
        return condition

    def chain(self, first: Condition, *rest: Any) -> Condition:
        return Chain(first, _pairs(rest)) if rest else first

    def negation(self, _not: Token, operand: Condition) -> Condition:
        # A run of "!" must not become a deep nesting.
        return operand.operand if isinstance(operand, Negation) else Negation(operand)

    def comparison(self, attribute: str, operator: Token, value: int | float | str) -> Condition:
        return Comparison(attribute, "".join(operator.split()), value)

    def attribute(self, token: Token) -> str:
        return _attribute_name(token)

    def value(self, value: int | float) -> int | float:
        return value

    def word(self, token: Token) -> str:
        return str(token)

    def quoted(self, token: Token) -> str:
        return token[1:-1]

    def number(self, token: Token) -> int | float:
        return float(token) if "." in token else int(token)


@v_args(inline=True)
class _Terms(Transformer[Token, Any]):
    """Makes terms while the parser goes along."""

    def start(self, term: Term | None = None) -> Term | None:
        return term

    def sum(self, first: Term, *rest: Any) -> Term:
        return Arithmetic(first, _pairs(rest)) if rest else first

    def product(self, first: Term, *rest: Any) -> Term:
        return Arithmetic(first, _pairs(rest)) if rest else first

    def negative(self, _minus: Token, operand: Term) -> Term:
        return operand.operand if isinstance(operand, Negative) else Negative(operand)

    def attribute(self, token: Token) -> Term:
        return Attribute(_attribute_name(token))

    def number(self, token: Token) -> Term:
        return float(token)


@cache
def _requirement_parser() -> Lark:
    return Lark(_REQUIREMENT_GRAMMAR, parser="lalr", transformer=_Conditions())


@cache
def _rank_parser() -> Lark:
    return Lark(_RANK_GRAMMAR, parser="lalr", transformer=_Terms())


def _requirement(text: str) -> Requirement | ExpressionError:
    parsed = _parsed(_requirement_parser(), text)
    return parsed if isinstance(parsed, ExpressionError) else Requirement(text, parsed)


def _rank(text: str) -> Rank | ExpressionError:
    parsed = _parsed(_rank_parser(), text)
    return parsed if isinstance(parsed, ExpressionError) else Rank(text, parsed)


def _parsed(parser: Lark, text: str) -> Any:
    """The parser's result for the text, or the error."""
    try:
        _check_size(text)
        return parser.parse(text)
    except ExpressionError as error:
        return error
    except _NoName as found:
        return ExpressionError(
            text,
            found.position,
            'expected an attribute\'s name: letters, digits and "_", several joined by "/"',
        )
    except UnexpectedInput as unexpected:
        return explained(text, unexpected)


def _check_size(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(
            text,
            MOST_CHARACTERS,
            f"it has {len(text)} characters, of which {MOST_CHARACTERS} are read: shorten it",
        )
    for position, nesting in parentheses(text):
        if nesting > MOST_NESTING:
            raise ExpressionError(
                text,
                position,
                f"more than {MOST_NESTING} parentheses are open: write it with fewer",
            )


class _Remembered:
    """Results of parsing the latest texts, bounded by how long these are in all."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self._parsed: dict[str, Any] = {}
        self._characters = 0
        self._lock = Lock()

    def __call__(self, text: str) -> Any:
        found = self._parsed.get(text)
        if found is not None:
            return found
        parsed = self._parse(text)
        with self._lock:
            if text not in self._parsed:
                self._parsed[text] = parsed
                self._characters += len(text)
            while self._characters > _REMEMBERED_CHARACTERS:
                oldest = next(iter(self._parsed))
                del self._parsed[oldest]
                self._characters -= len(oldest)
        return parsed


_remembered_requirement = _Remembered(_requirement)
_remembered_rank = _Remembered(_rank)
