"""What a definition file may hold: exactly one query.

PostgreSQL judges the SQL itself when definitions are applied. Refused here is what it would judge
too late or not at all (a second statement would simply be run) and what can't be a query for sure,
so that typing mistakes are found without a server. Nothing that PostgreSQL accepts is refused.
"""

from itertools import pairwise, product

from refresher.config.faults import shorten
from refresher.config.lexer import SqlError, Token, line_at, scan

_BEGINNINGS = ("select", "with", "values", "table")
_INTO = frozenset("".join(letters) for letters in product("iI", "nN", "tT", "oO"))
_CLOSING = {"(": ")", "[": "]"}
_ENDS = frozenset({",", ")", "]"})
_TELLING = frozenset("()[],{}\\")
# Reserved in every supported major, so that none of them can begin a list's next entry.
_CLAUSES = (
    *("except", "fetch", "from", "group", "having", "intersect", "into", "limit", "offset"),
    *("on", "order", "union", "using", "where", "window"),
)


def check_query(text: str) -> str:
    """Return the one query in a text, without what follows it: a semicolon or a comment.

    What remains can be embedded in a larger statement.

    Raises:
        SqlError: there is none, or more than one, or it is no query.
    """
    tokens = list(scan(text))
    end = next((index for index, token in enumerate(tokens) if token.text == ";"), len(tokens))
    statement, rest = tokens[:end], tokens[end:]
    if not statement:
        problem = "has no query; write one SELECT"
        raise SqlError(problem, 1)
    _require_query(text, statement)
    for token in rest:
        if token.text != ";":
            problem = "has a second statement; write one SELECT only"
            raise SqlError(problem, line_at(text, token.start))
    _require_sound(text, statement)
    return text[: statement[-1].end]


def check_expression(text: str) -> str:
    """Return an SQL expression without the comments around it.

    What remains can be embedded in parentheses.

    Raises:
        SqlError: it is empty, or can't be one expression.
    """
    tokens = list(scan(text))
    if not tokens:
        problem = "is empty; write an SQL expression"
        raise SqlError(problem, 1)
    for token in tokens:
        if token.text == ";":
            problem = "has a semicolon; write one SQL expression"
            raise SqlError(problem, line_at(text, token.start))
    _require_sound(text, tokens)
    return text[tokens[0].start : tokens[-1].end]


def check_index_definition(text: str) -> str:
    """Return what follows `ON relation` in a CREATE INDEX, without the comments around it.

    Raises:
        SqlError: it does not begin with USING, or can't be one piece of SQL.
    """
    definition = check_expression(text)
    first = next(scan(definition))
    if not first.is_word("using"):
        problem = (
            f"begins with {shorten(first.text)!r}; write all that follows ON … in pg_get_indexdef,"
            " such as USING gin (tags)"
        )
        raise SqlError(problem, 1)
    return definition


def _require_query(text: str, statement: list[Token]) -> None:
    first = next((token for token in statement if token.text != "("), statement[0])
    if not first.is_word(*_BEGINNINGS):
        problem = (
            f"begins with {shorten(first.text)!r}; a definition is one query,"
            " which begins with SELECT, WITH, VALUES or TABLE"
        )
        raise SqlError(problem, line_at(text, first.start))
    for before, token in pairwise(statement):
        # After AS or a dot, INTO is a name.
        if token.text in _INTO and before.text != "." and not before.is_word("as"):
            problem = "has INTO; a definition only reads, so leave INTO out"
            raise SqlError(problem, line_at(text, token.start))


def _require_sound(text: str, tokens: list[Token]) -> None:
    opened: list[Token] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.text not in _TELLING:
            continue
        problem = _mistake(token, after, opened)
        if problem is not None:
            raise SqlError(problem, line_at(text, token.start))
    if opened:
        problem = f"has a {opened[-1].text} that is not closed; close it"
        raise SqlError(problem, line_at(text, opened[-1].start))


def _mistake(token: Token, after: Token | None, opened: list[Token]) -> str | None:
    """What is wrong with a telling symbol; keeps the list of open brackets."""
    match token.text:
        case "(" | "[":
            opened.append(token)
        case ")" | "]":
            if not opened or _CLOSING[opened.pop().text] != token.text:
                return f"has a {token.text} that closes nothing; remove it"
        case ",":
            if after is None or after.text in _ENDS or after.is_word(*_CLAUSES):
                return "has a comma with nothing after it; remove it"
        case other:
            return (
                f"has a {other} outside quotes, which is not SQL;"
                " templates and psql commands are not understood"
            )
    return None
