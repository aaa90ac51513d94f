"""Where a query names what it reads. Pure.

The names of relations and their aliases stand in FROM lists; elsewhere the same words are columns,
types and functions. What PostgreSQL's grammar allows beyond what queries are made of is not told
apart here: whoever asks has PostgreSQL judge what comes of it.
"""

from collections.abc import Sequence
from enum import Enum

from refresher.config.lexer import Token
from refresher.names import NAME_BYTES, folded, is_keyword


class _Clause(Enum):
    """Where in a query, or between which parentheses of it, a token is."""

    SELECT = 1
    FROM = 2
    CONDITION = 3
    OTHER = 4


_AFTER_FROM = (
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
)


def identifier(token: Token) -> str | None:
    """The name a token is, if it can be one that PostgreSQL holds whole."""
    if token.kind == "word":
        name = folded(token.text)
    elif token.text.startswith('"'):
        name = token.text[1:-1].replace('""', '"')
    else:
        return None
    return name if 0 < len(name.encode()) <= NAME_BYTES else None


def is_alias(token: Token) -> bool:
    """Whether a token right behind a relation is its alias."""
    if token.kind != "word":
        return identifier(token) is not None
    word = folded(token.text)
    return word in _COLUMN_WORDS or not is_keyword(word)


_COLUMN_WORDS = frozenset(
    """
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest
    grouping inout int integer interval json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value least
    merge_action national nchar none normalize nullif numeric out overlay position precision real
    row setof smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()  # noqa: SIM905 - a list literal of these would fill a screen
)
"""Keywords that may name tables and columns: `catcode` C of `pg_get_keywords()`, 14 to 18."""


def in_from_lists(tokens: Sequence[Token]) -> list[bool]:
    """Of each token, whether it stands in a FROM list and in no condition or argument there."""
    found: list[bool] = []
    clauses = [_Clause.OTHER]
    for index, token in enumerate(tokens):
        found.append(clauses[-1] is _Clause.FROM)
        before = tokens[index - 1] if index else None
        match token.text:
            case "(" | "[":
                clauses.append(_inner(clauses[-1], token, before))
            case ")" | "]":
                clauses = clauses[:-1] or [_Clause.OTHER]
            case _:
                if before is None or not (before.text == "." or before.is_word("as")):
                    clauses[-1] = _next(clauses[-1], tokens, index)
    return found


def _inner(clause: _Clause, token: Token, before: Token | None) -> _Clause:
    if clause is not _Clause.FROM or token.text == "[" or before is None:
        return _Clause.OTHER
    joins = before.text in {"(", ","} or before.is_word("from", "join", "lateral", "only")
    return _Clause.FROM if joins else _Clause.OTHER


def _next(clause: _Clause, tokens: Sequence[Token], index: int) -> _Clause:
    token = tokens[index]
    after = clause
    match clause:
        case _ if token.is_word("select"):
            after = _Clause.SELECT
        case _ if token.is_word("table"):
            after = _Clause.FROM
        case _Clause.SELECT if token.is_word("from") and not _is_comparison(tokens, index):
            after = _Clause.FROM
        case _Clause.FROM if token.is_word("on"):
            after = _Clause.CONDITION
        case _Clause.CONDITION if token.is_word("join") or token.text == ",":
            after = _Clause.FROM
        case _Clause.FROM | _Clause.CONDITION if token.is_word(*_AFTER_FROM):
            after = _Clause.OTHER
    return after


def _is_comparison(tokens: Sequence[Token], index: int) -> bool:
    """Whether FROM belongs to IS [NOT] DISTINCT FROM."""
    return (
        index > 1
        and tokens[index - 1].is_word("distinct")
        and tokens[index - 2].is_word("is", "not")
    )
