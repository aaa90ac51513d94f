"""A query in PostgreSQL's own words that may be read under other names. Pure.

PostgreSQL prints a query with the names that its relations have at that moment. Printed while every
view that matters has a name that occurs nowhere else, it can be turned to any names: those that
stand, or those of what is built beside.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from refresher.config.lexer import Token, scan
from refresher.definitions.clauses import identifier, in_from_lists, is_alias
from refresher.names import NAME_BYTES, RelationName, quoted

_MARK = re.compile(r"refresher_twin_(?P<number>\d+)_x(?:_\d+)?")
_TEMPORARY = re.compile(r"pg_temp(?:_\d+)?")
_CONSTANT = re.compile(r"'(?:pg_temp(?:_\d+)?\.)?(?P<mark>refresher_twin_\d+_x)'")


def mark(number: int) -> str:
    """The name that stands for a view while queries are printed."""
    return f"refresher_twin_{number}_x"


@dataclass(frozen=True, slots=True)
class Template:
    """A query whose views are known by number."""

    text: str
    labels: tuple[str, ...]
    """The views, by number."""

    def query(self, name: Callable[[str], RelationName]) -> str:
        """The query, reading each view under the name it is given.

        Names that marks have told apart stay apart: a view gets an alias where its own name means
        something else in the query. An alias that says nothing is left out, as PostgreSQL leaves it
        out.
        """
        return _Turning(self, name).text()


class _Turning:
    def __init__(self, template: Template, name: Callable[[str], RelationName]) -> None:
        self._template = template
        self._name = name
        self._tokens = list(scan(template.text))
        self._listed = in_from_lists(self._tokens)
        self._aliases: dict[str, str] = {}
        """What each mark is called in the query."""
        self._taken = {
            known
            for token, listed in zip(self._tokens, self._listed, strict=True)
            if listed and not self._is_mark(token) and (known := identifier(token))
        }

    def text(self) -> str:
        text = self._template.text
        pieces: list[str] = []
        done = 0
        for start, end, piece in self._replacements():
            pieces += [text[done:start], piece]
            done = end
        return "".join((*pieces, text[done:]))

    def _replacements(self) -> Iterator[tuple[int, int, str]]:
        tokens = self._tokens
        positions = iter(range(len(tokens)))
        for index in positions:
            token = tokens[index]
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            if self._is_mark(token):
                start = tokens[index - 2].start if self._is_temporary(index) else token.start
                if following and following.text == ".":
                    yield start, token.end, quoted(self._alias(token.text))
                elif not self._listed[index]:
                    yield start, token.end, str(self._relation(token.text))
                elif following and self._listed[index + 1] and is_alias(following):
                    yield start, following.end, self._read(token, following)
                    next(positions)
                else:
                    yield start, token.end, self._read(token, token)
            elif found := self._constant(index):
                yield token.start, token.end, found

    def _read(self, token: Token, alias: Token) -> str:
        """A relation in a FROM list."""
        relation = self._relation(token.text)
        said = quoted(self._alias(alias.text)) if self._is_mark(alias) else alias.text
        return str(relation) if said == quoted(relation.name) else f"{relation} {said}"

    def _constant(self, index: int) -> str | None:
        """A relation or its type as a constant, such as 'v'::regclass."""
        found = _CONSTANT.fullmatch(self._tokens[index].text)
        following = [token.text for token in self._tokens[index + 1 : index + 4]]
        if found is None or following not in ([":", ":", "regclass"], [":", ":", "regtype"]):
            return None
        return "'{}'".format(str(self._relation(found["mark"])).replace("'", "''"))

    def _is_mark(self, token: Token) -> bool:
        found = _MARK.fullmatch(token.text) if token.kind == "word" else None
        return found is not None and int(found["number"]) < len(self._template.labels)

    def _is_temporary(self, index: int) -> bool:
        before = [token.text for token in self._tokens[max(0, index - 2) : index]]
        return len(before) > 1 and before[1] == "." and bool(_TEMPORARY.fullmatch(before[0]))

    def _label(self, marked: str) -> str:
        found = _MARK.match(marked)
        assert found is not None  # noqa: S101 - it was found to be a mark
        return self._template.labels[int(found["number"])]

    def _relation(self, marked: str) -> RelationName:
        return self._name(self._label(marked))

    def _alias(self, marked: str) -> str:
        """What a mark is called in the query: by the relation's name, if that is free.

        PostgreSQL itself numbers what the same relation is called a second time. Names of what is
        built beside are no part of a definition, so that it is the label that is numbered.
        """
        if marked not in self._aliases:
            stem = self._label(marked).rpartition(".")[2].strip('"')
            tries: Iterable[str] = (_numbered(stem, number) for number in itertools.count(1))
            if marked.endswith("_x"):
                tries = itertools.chain([self._relation(marked).name], tries)
            self._aliases[marked] = next(each for each in tries if each not in self._taken)
            self._taken.add(self._aliases[marked])
        return self._aliases[marked]


def _numbered(stem: str, number: int) -> str:
    end = f"_{number}"
    return stem.encode()[: NAME_BYTES - len(end)].decode(errors="ignore") + end
