"""Which views are to be imported: by name, by pattern, or all materialized ones. Pure."""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from refresher.config.faults import printable, suggest
from refresher.config.model import Kind
from refresher.errors import CatalogError
from refresher.names import RelationName

_WILD = frozenset("*?[")


def choose(
    candidates: Mapping[RelationName, Kind], wanted: Sequence[str], *, plain_views: bool
) -> list[RelationName]:
    """The relations to import.

    Args:
        candidates: what stands.
        wanted: names or patterns (`*`, `?`, `[a-z]`), each with or without a schema; none stands
            for all.
        plain_views: whether patterns, and none, mean plain views too; a name always does.

    Raises:
        CatalogError: a name or a pattern means nothing that stands.
    """
    if not wanted:
        return [name for name, kind in candidates.items() if plain_views or _is_refreshed(kind)]
    chosen: dict[RelationName, None] = {}
    for text in wanted:
        exact = not _WILD & set(text) or any(text in _spellings(name) for name in candidates)
        found = [
            name
            for name, kind in candidates.items()
            if (exact and text in _spellings(name))
            or (not exact and (plain_views or _is_refreshed(kind)) and _matches(name, text))
        ]
        if not found:
            raise _nothing(candidates, text)
        chosen |= dict.fromkeys(found)
    return sorted(chosen)


def _is_refreshed(kind: Kind) -> bool:
    return kind is not Kind.VIEW


def _spellings(name: RelationName) -> Collection[str]:
    return {name.name, f"{name.schema}.{name.name}", str(name)}


def _matches(name: RelationName, pattern: str) -> bool:
    return any(fnmatchcase(spelling, pattern) for spelling in _spellings(name))


def _nothing(candidates: Mapping[RelationName, Kind], text: str) -> CatalogError:
    known = [printable(str(name)) for name in candidates]
    advice = suggest(text, known) if known else "the database has no views"
    return CatalogError(f"no view is called {text!r}; {advice}")
