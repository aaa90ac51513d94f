"""Names for views that had none: short, distinct, and good for files and labels."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator

from refresher.config.parsing import check_handle
from refresher.names import NAME_BYTES, RelationName

_EDGE = re.compile(r"^[.\s-]+|\s+$")
_DIGEST = 8


def name_views(
    relations: Iterable[RelationName], taken: Collection[str]
) -> dict[RelationName, str]:
    """A name for each relation: its own where that works, else with its schema before it.

    No two differ in case only: their files would be one on some systems. `taken` are the names
    that are given already.
    """
    given = {name.casefold() for name in taken}
    names: dict[RelationName, str] = {}
    for relation in sorted(relations, key=lambda each: (each.schema != "public", each)):
        names[relation] = next(
            name for name in _candidates(relation) if name.casefold() not in given
        )
        given.add(names[relation].casefold())
    return names


def _candidates(relation: RelationName) -> Iterator[str]:
    for name in (relation.name, f"{relation.schema}_{relation.name}"):
        yield _usable(name)
    digest = hashlib.sha256(f"{relation.schema}\0{relation.name}".encode()).hexdigest()
    for length in range(_DIGEST, len(digest)):
        yield _usable(f"{_cut(relation.name, NAME_BYTES - length - 1)}_{digest[:length]}")


def _usable(name: str) -> str:
    """The name itself, or one like it that can be a key, a file and a label."""
    try:
        if "${" not in name:  # a key in YAML can't hold one
            return check_handle(name)
    except ValueError:
        pass
    readable = "".join(
        character if character.isprintable() and character not in "/$" else "_"
        for character in name
    )
    readable = _EDGE.sub("", readable) or "view"
    if len(readable.encode()) <= NAME_BYTES:
        return readable
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{_cut(readable, NAME_BYTES - _DIGEST - 1)}_{digest}"


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")
