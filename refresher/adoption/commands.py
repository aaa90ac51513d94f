"""Which materialized views a job's command refreshes. Pure."""

from collections.abc import Iterable, Iterator
from itertools import pairwise, takewhile
from typing import NamedTuple

from refresher.adoption.model import Job, RefreshFunction
from refresher.config.lexer import SqlError, Token, scan
from refresher.names import RelationName, folded

_DEEPEST = 4
"""A string within a string within a body within a DO is as far as anybody goes."""
_LONGEST = 10
"""Words of REFRESH MATERIALIZED VIEW CONCURRENTLY a.b WITH NO DATA."""


class Mention(NamedTuple):
    """A name as a command writes it."""

    schema: str | None
    name: str


def refreshed_by(
    job: Job, functions: Iterable[RefreshFunction], standing: Iterable[RelationName]
) -> set[RelationName]:
    """The materialized views a job refreshes: by itself, or by a function that it calls."""
    tokens = _tokens(job.command)
    mentions = [*_refreshes(tokens, _DEEPEST)]
    called = set(_calls(tokens))
    for function in functions:
        if called & {Mention(function.schema, function.name), Mention(None, function.name)}:
            mentions += _refreshes(_tokens(function.body), _DEEPEST)
    found = (_resolve(mention, job.username, [*standing]) for mention in mentions)
    return {relation for relation in found if relation is not None}


def does_more(job: Job) -> bool:
    """Whether a job does, or may do, other work than refreshing."""
    at_start = True
    for token in _tokens(job.command):
        if at_start and token.text != ";" and not token.is_word("refresh"):
            return True
        at_start = token.text == ";"
    return False


def _resolve(
    mention: Mention, username: str, standing: Iterable[RelationName]
) -> RelationName | None:
    """What a name means; one without a schema is looked for as by the default search_path."""
    named = {each.schema: each for each in standing if each.name == mention.name}
    if mention.schema is not None:
        return named.get(mention.schema)
    for schema in (username, "public"):
        if schema in named:
            return named[schema]
    return next(iter(named.values())) if len(named) == 1 else None


def _tokens(text: str) -> list[Token]:
    try:
        return list(scan(text))
    except SqlError:
        return []


def _refreshes(tokens: list[Token], depth: int) -> Iterator[Mention]:
    """REFRESH MATERIALIZED VIEW [CONCURRENTLY] name, also in a DO and in what it executes."""
    for position, token in enumerate(tokens):
        if token.is_word("refresh"):
            mention = _refreshed(tokens[position + 1 : position + _LONGEST])
            if mention is not None:
                yield mention
        elif depth and token.kind == "quoted" and (inner := _inner(tokens, position)):
            yield from _refreshes(_tokens(inner), depth - 1)


def _refreshed(tokens: list[Token]) -> Mention | None:
    """The name after REFRESH, unless WITH NO DATA follows: that empties the view."""
    statement = list(takewhile(lambda token: token.text != ";", tokens))
    if not _words(statement[:2], "materialized", "view"):
        return None
    name = statement[2:]
    if _words(name[:1], "concurrently"):
        name = name[1:]
    empties = any(_words([*pair], "with", "no") for pair in pairwise(name))
    return None if empties else _mention(name)


def _calls(tokens: list[Token]) -> Iterator[Mention]:
    for position, (token, after) in enumerate(pairwise(tokens)):
        name = _identifier(token)
        if name is None or after.text != "(":
            continue
        qualified = position > 1 and tokens[position - 1].text == "."
        yield Mention(_identifier(tokens[position - 2]) if qualified else None, name)


def _words(tokens: list[Token], *words: str) -> bool:
    return len(tokens) == len(words) and all(
        token.is_word(word) for token, word in zip(tokens, words, strict=True)
    )


def _mention(tokens: list[Token]) -> Mention | None:
    names = [_identifier(token) for token in tokens]
    match [token.text for token in tokens[:3]], names[:3]:
        case [_, ".", _], [schema, _, str(name)]:
            return Mention(schema, name)
        case _, [str(name), *_]:
            return Mention(None, name)
    return None


def _identifier(token: Token) -> str | None:
    if token.kind == "word":
        return folded(token.text)
    if token.kind == "quoted" and token.text.startswith('"'):
        return token.text[1:-1].replace('""', '"')
    return None


def _inner(tokens: list[Token], position: int) -> str | None:
    """The code in a string: in a body, or after EXECUTE."""
    text = tokens[position].text
    if text.startswith("$"):
        tag = text.index("$", 1) + 1
        return text[tag:-tag]
    if text.startswith("'") and position and tokens[position - 1].is_word("execute"):
        return text[1:-1].replace("''", "'")
    return None
