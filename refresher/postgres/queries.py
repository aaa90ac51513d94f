"""Named SQL queries, kept in `.sql` files beside the module that runs them.

A file is a sequence of queries, each headed by comments:

    -- name: close_run
    -- description: End a run that is still open.
    -- from: 17

`from` is optional: the first PostgreSQL major the text is for. Of several texts with one name, the
newest that the server can run is chosen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from psycopg import sql

_HEADER = re.compile(r"^-- (name|description|from): *(.+)$", re.MULTILINE)
_START = re.compile(r"^(?=-- name: )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Variant:
    major: int
    text: sql.SQL


class Queries:
    """The queries of one file."""

    def __init__(self, variants: Mapping[str, list[_Variant]]) -> None:
        self._variants = variants

    def __getitem__(self, name: str) -> sql.SQL:
        """The query that every supported major can run.

        Raises:
            KeyError: if there is no such query, or it differs between majors.
        """
        match self._variants[name]:
            case [_Variant(major=0, text=text)]:
                return text
        message = f"{name} differs between majors; ask for it with on()"
        raise KeyError(message)

    def on(self, name: str, major: int) -> sql.SQL:
        """The query as a server of this major can run it.

        Raises:
            KeyError: if there is no such query, or none for a server so old.
        """
        able = [variant for variant in self._variants[name] if variant.major <= major]
        if not able:
            message = f"{name} has no text for PostgreSQL {major}"
            raise KeyError(message)
        return max(able, key=lambda variant: variant.major).text

    def names(self) -> frozenset[str]:
        """The names of all queries."""
        return frozenset(self._variants)


def parse_queries(text: str) -> Queries:
    """Read the queries of a file's text.

    Raises:
        ValueError: if a query has no description, or one name twice for the same major.
    """
    variants: dict[str, list[_Variant]] = {}
    for block in _START.split(text)[1:]:
        headers = dict(_HEADER.findall(block))
        body = _HEADER.sub("", block).strip()
        if "description" not in headers or not body:
            message = f"query {headers['name']!r} needs a description and a text"
            raise ValueError(message)
        major = int(headers.get("from", 0))
        known = variants.setdefault(headers["name"], [])
        if any(variant.major == major for variant in known):
            message = f"query {headers['name']!r} stands twice for one major"
            raise ValueError(message)
        known.append(_Variant(major, sql.SQL(body)))
    return Queries(variants)


@cache
def load_queries(package: str, file: str) -> Queries:
    """Load `file` from a package's folder; the text ships with refresher, so it is trusted."""
    return parse_queries(files(package).joinpath(file).read_text(encoding="utf-8"))
