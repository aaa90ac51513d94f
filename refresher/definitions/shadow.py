"""Making a query read temporary views in place of the relations it names. Pure.

PostgreSQL looks for an unqualified name in the temporary schema first, so that a temporary view of
the same name stands in by itself. Only qualified names must be rewritten, which is done on tokens:
`schema.name` where no function is called, and where it is not a column of something that goes by
the schema's name. What comes of it is judged by PostgreSQL, which tells exactly what the rewritten
query reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from refresher.config.lexer import SqlError, Token, scan
from refresher.definitions.clauses import identifier, in_from_lists, is_alias
from refresher.names import RelationName, quoted


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
    names = _Names(tokens, twins)
    for index, token in enumerate(tokens):
        replacement = names.replacement(index)
        if replacement is None:
            continue
        name = tokens[index + 2]
        pieces += [text[done : token.start], replacement]
        done = name.end
        growth += len(replacement) - (name.end - token.start)
        edits.append((name.end + growth, growth))
    return Shadowed("".join((*pieces, text[done:])), tuple(edits))


def mentions(text: str) -> frozenset[str]:
    """Every word of a query that may be a relation's name, as PostgreSQL folds it."""
    try:
        return frozenset(filter(None, map(identifier, scan(text))))
    except SqlError:
        return frozenset()


class _Mode(Enum):
    """What a twin goes by in a query."""

    OWN = 1
    """By its own name: so do columns that are qualified with schema and relation."""
    ALIAS = 2
    """By the relation's name, as do all columns."""
    NONE = 3
    """It can't be told which columns are whose: the query reads what stands."""


class _Names:
    """The qualified names of a query that mean a relation."""

    def __init__(self, tokens: list[Token], twins: Mapping[RelationName, Twin]) -> None:
        self._tokens = tokens
        self._twins = twins
        self._listed = in_from_lists(tokens)
        self._modes: dict[RelationName, _Mode] = {}

    def replacement(self, index: int) -> str | None:
        """What is to stand here in place of three tokens, if anything.

        Outside of FROM lists `a.b` is a column unless something else follows or comes before.
        """
        relation = self._relation(index)
        twin = self._twins.get(relation) if relation else None
        if relation is None or twin is None or self._text(index + 3) == "(":
            return None
        mode = _Mode.OWN if twin.visible else self._mode(relation)
        if mode is _Mode.NONE:
            return None
        written = self._tokens[index + 2].text
        known = f"pg_temp.{written if twin.visible else quoted(twin.name)}"
        if self._text(index + 3) == ".":
            return known if mode is _Mode.OWN else written
        if not self._listed[index]:
            return known if self._is_type(index) else None
        plain = mode is _Mode.OWN or self._has_alias(index + 3) or self._is_command(index)
        return known if plain else f"{known} AS {written}"

    def _relation(self, index: int) -> RelationName | None:
        if self._text(index + 1) != "." or self._text(index - 1) == ".":
            return None
        if index + 2 >= len(self._tokens):
            return None
        schema, name = identifier(self._tokens[index]), identifier(self._tokens[index + 2])
        return RelationName(schema, name) if schema and name else None

    def _text(self, index: int) -> str | None:
        return self._tokens[index].text if 0 <= index < len(self._tokens) else None

    def _is_type(self, index: int) -> bool:
        if not index:
            return False
        before = self._tokens[index - 1]
        return self._text(index - 2) == before.text == ":" or before.is_word("as")

    def _is_command(self, index: int) -> bool:
        """Whether it is what TABLE reads, which can have no alias."""
        before = self._tokens[max(0, index - 2) : index]
        only = bool(before) and before[-1].is_word("only")
        return any(token.is_word("table") for token in (before if only else before[-1:]))

    def _has_alias(self, index: int) -> bool:
        if index >= len(self._tokens):
            return False
        following = self._tokens[index]
        return following.is_word("as") or (self._listed[index] and is_alias(following))

    def _mode(self, relation: RelationName) -> _Mode:
        """How a twin of another name can be read so that no name comes to mean something else."""
        if relation not in self._modes:
            self._modes[relation] = self._find_mode(relation)
        return self._modes[relation]

    def _find_mode(self, relation: RelationName) -> _Mode:
        named = [
            index for index, token in enumerate(self._tokens) if identifier(token) == relation.name
        ]
        own = [at for at in named if self._relation(at - 2) == relation]
        if all(self._listed[at] and self._has_alias(at + 1) for at in own):
            return _Mode.OWN
        others = [at for at in named if self._listed[at] and at not in own]
        if not others:
            return _Mode.ALIAS
        if not any(not self._listed[at] and self._text(at - 1) != "." for at in named):
            return _Mode.OWN
        whole = any(self._text(at + 1) == "." for at in own)
        clashes = any(self._is_unnamed(at) for at in others)
        return _Mode.NONE if whole or clashes else _Mode.ALIAS

    def _is_unnamed(self, index: int) -> bool:
        """Whether a name in a FROM list is a relation's, and it has no alias."""
        before = self._tokens[index - 1]
        first = before.text in {".", ",", "("} or before.is_word("from", "join", "lateral", "only")
        return first and not self._has_alias(index + 1)
