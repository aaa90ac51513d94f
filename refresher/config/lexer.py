r"""PostgreSQL's lexical rules: just enough to tell code from quoted text and comments.

They follow src/backend/parser/scan.l with standard_conforming_strings on. A general SQL tokenizer
is not exact enough to decide where a statement ends: sqlglot 30 takes the second half of
E'a'⏎'\'' (one string continued on the next line) for a string of its own and so sees quoted text
where PostgreSQL sees code.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

TokenKind: TypeAlias = Literal["word", "quoted", "number", "symbol"]


class SqlError(ValueError):
    """SQL that can't be what it should be; `line` counts from 1 within the text."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


class Token(NamedTuple):
    """A piece of SQL that is neither space nor comment."""

    kind: TokenKind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these key words, given in lower case."""
        return self.kind == "word" and self.text.lower() in words


_START = r"[A-Za-z_\x80-\U0010ffff]"
_PART = r"[A-Za-z0-9_\x80-\U0010ffff]"
_ESCAPED = r"'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'"
_CONTINUED = (
    r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+" + _ESCAPED
)  # two strings with a line break between them are one string
_TAG = rf"\$(?:{_START}{_PART}*+)?\$"

_TOKEN = re.compile(
    rf"""
    (?: [\ \t\n\r\f\v]++ | --[^\n\r]*+ )*+
    (?: (?P<comment> /\* )
    | (?P<quoted>
        (?:[bBxXnN]|[uU]&)?'[^']*+(?:''[^']*+)*+'
        | [eE]{_ESCAPED}(?:{_CONTINUED})*+
        | (?:[uU]&)?"[^"]*+(?:""[^"]*+)*+"
        | (?P<tag>{_TAG}).*?(?P=tag)
      )
    | (?P<unclosed> (?:[eEbBxXnN]|[uU]&)?' | (?:[uU]&)?" | {_TAG} )
    | (?P<word> {_START}(?:{_PART}|\$)*+ )
    | (?P<number> \$?[0-9][0-9A-Za-z_.]*+ )
    | (?P<symbol> . ) )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def scan(text: str) -> Iterator[Token]:
    """Yield the tokens of some SQL.

    Raises:
        SqlError: a quote or a comment is not closed.
    """
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        match match.lastgroup:
            case "word" | "quoted" | "number" | "symbol" as kind:
                yield Token(kind, match[kind], match.start(kind), position)
            case "comment":
                position = _end_of_comment(text, match.start("comment"))
            case "unclosed":
                problem = f"the quote {match['unclosed']} is not closed; close it"
                raise SqlError(problem, line_at(text, match.start("unclosed")))


def line_at(text: str, position: int) -> int:
    """The line of a position, counted from 1."""
    return text.count("\n", 0, position) + 1


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    problem = "the comment /* is not closed; close it with */ (comments nest)"
    raise SqlError(problem, line_at(text, start))
