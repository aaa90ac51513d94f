"""Making a query read temporary views in place of the relations it names. Pure.

PostgreSQL looks for an unqualified name in the temporary schema first, so that a temporary view of
the same name stands in by itself. Only qualified names must be rewritten, which is done on tokens:
`schema.name` where no function is called. What comes of it is judged by PostgreSQL, which tells
exactly what the rewritten query reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from refresher.config.lexer import SqlError, Token, scan
from refresher.names import NAME_BYTES, RelationName, folded, is_keyword, quoted


@dataclass(frozen=True, slots=True)
class Twin:
    """The temporary view that stands in for a relation."""

    name: str
    visible: bool
    """Whether it has the relation's own name, since that name alone means the relation."""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A rewritten query, and where its pieces come from."""

    text: str
    edits: tuple[tuple[int, int], ...]
    """Position in the new text behind each edit, and how much longer the text had become."""

    def original(self, position: int) -> int:
        """Where in the original text something stood that stands here now."""
        growth = 0
        for behind, grown in self.edits:
            if position < behind:
                break
            growth = grown
        return max(0, position - growth)


def shadowed(text: str, twins: Mapping[RelationName, Twin]) -> Shadowed:
    """The query, reading twins; one that can't be scanned is PostgreSQL's to judge."""
    try:
        tokens = list(scan(text))
    except SqlError:
        return Shadowed(text, ())
    pieces: list[str] = []
    edits: list[tuple[int, int]] = []
    done = growth = 0
    for index, token in enumerate(tokens):
        twin = _twin_at(tokens, index, twins)
        if twin is None:
            continue
        name = tokens[index + 2]
        replacement = _replacement(twin, name.text, tokens[index + 3 : index + 5])
        pieces += [text[done : token.start], replacement]
        done = name.end
        growth += len(replacement) - (name.end - token.start)
        edits.append((name.end + growth, growth))
    return Shadowed("".join((*pieces, text[done:])), tuple(edits))


def mentions(text: str) -> frozenset[str]:
    """Every word of a query that may be a relation's name, as PostgreSQL folds it."""
    try:
        return frozenset(filter(None, map(_identifier, scan(text))))
    except SqlError:
        return frozenset()


def _twin_at(tokens: list[Token], index: int, twins: Mapping[RelationName, Twin]) -> Twin | None:
    if index + 2 >= len(tokens) or tokens[index + 1].text != ".":
        return None
    if index and tokens[index - 1].text == ".":
        return None
    if index + 3 < len(tokens) and tokens[index + 3].text == "(":
        return None
    schema, name = _identifier(tokens[index]), _identifier(tokens[index + 2])
    if not schema or not name:
        return None
    return twins.get(RelationName(schema, name))


def _replacement(twin: Twin, written: str, following: list[Token]) -> str:
    if twin.visible:
        return f"pg_temp.{written}"
    if following and following[0].text == ".":
        return written  # a column: the relation goes by its name, see below
    known = f"pg_temp.{quoted(twin.name)}"
    return known if _has_alias(following) else f"{known} AS {written}"


def _has_alias(following: list[Token]) -> bool:
    for token in following[:1]:
        if token.is_word("as"):
            return True
        name = _identifier(token)
        return bool(name) and (token.kind == "quoted" or not is_keyword(name or ""))
    return False


def _identifier(token: Token) -> str | None:
    """The name a token is, if it can be one that PostgreSQL holds whole."""
    if token.kind == "word":
        name = folded(token.text)
    elif token.text.startswith('"'):
        name = token.text[1:-1].replace('""', '"')
    else:
        return None
    return name if 0 < len(name.encode()) <= NAME_BYTES else None
