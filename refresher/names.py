"""PostgreSQL names: what refresher accepts, and how it makes its own.

PostgreSQL silently cuts names at 63 bytes and psycopg silently cuts them at a NUL byte, so that two
different names could mean one relation; both are refused here, once, for every name refresher uses.
"""

import hashlib
import re
import string
from dataclasses import dataclass

NAME_BYTES = 63
"""NAMEDATALEN less one of every stock build (postgresql.org/docs: Identifiers and Key Words)."""


_UNQUOTED = re.compile(r"[^\W\d][\w$]*")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""PostgreSQL folds ASCII letters only, in a database whose encoding is UTF-8 (`scansup.c`)."""

_KEYWORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant
    greatest group grouping having ilike in initially inner inout int integer intersect
    interval into is isnull join json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading
    least left like limit localtime localtimestamp merge_action national natural nchar none
    normalize not notnull null nullif numeric offset on only or order out outer overlaps
    overlay placing position precision primary real references returning right row select
    session_user setof similar smallint some substring symmetric system_user table tablesample
    then time timestamp to trailing treat trim true union unique user using values varchar
    variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists
    xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    """.split()  # noqa: SIM905 - a list literal of these would fill two screens
)
"""Words that can't stand everywhere as a bare name: `quote_ident()` quotes them.

All but the unreserved ones of `pg_get_keywords()`, PostgreSQL 14 to 18.
"""


def check_name(name: str) -> str:
    """Return `name` if PostgreSQL can hold it whole.

    Raises:
        ValueError: if it is empty, has a NUL byte, or is longer than 63 bytes.
    """
    if not name:
        message = "a name can't be empty"
        raise ValueError(message)
    if "\0" in name:
        message = f"{name!r} has a NUL byte, which PostgreSQL names can't hold"
        raise ValueError(message)
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        message = f"{name!r} is not valid Unicode"
        raise ValueError(message) from error
    if size > NAME_BYTES:
        message = f"{name!r} is {size} bytes long; PostgreSQL cuts names at {NAME_BYTES}"
        raise ValueError(message)
    return name


def stable_number(*parts: str) -> int:
    """A number that every process makes of the same texts, unlike `hash()`.

    Phases and jitter are derived from it, so that replicas agree on them without talk.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8])


def fitted_name(*parts: str, suffix: str) -> str:
    """Join parts to a name of at most 63 bytes; a digest replaces what doesn't fit."""
    whole = "_".join((*parts, suffix))
    if len(whole.encode()) <= NAME_BYTES:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    room = NAME_BYTES - len(suffix.encode()) - len(digest) - 2
    stem = "_".join(parts).encode()[:room].decode(errors="ignore")
    return f"{stem}_{digest}_{suffix}"


@dataclass(frozen=True, slots=True, order=True)
class RelationName:
    """A schema-qualified relation name, as data; only `postgres.identifiers` makes SQL of it."""

    schema: str
    name: str

    def __post_init__(self) -> None:
        check_name(self.schema)
        check_name(self.name)

    @classmethod
    def parse(cls, text: str) -> "RelationName":
        """Read `schema.name` or `name` (in `public`), parts quoted where they must be.

        Unquoted parts are folded to lower case, as PostgreSQL does.

        Raises:
            ValueError: if the text is not one or two names.
        """
        parts = _split_qualified(text)
        match parts:
            case [name]:
                return cls("public", name)
            case [schema, name]:
                return cls(schema, name)
        message = f"{text!r} is not a relation; write schema.name"
        raise ValueError(message)

    def __str__(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


STORE = "refresher"
"""The schema that all of refresher's own relations are in."""


def query_name(table: RelationName) -> RelationName:
    """Where the query of a maintained table is kept, for PostgreSQL keeps none with a table.

    It is a plain view in the store's schema, called like the table with its schema, so that the
    catalog knows what the table is made from, and follows renames of that.
    """
    whole = f"{table.schema}.{table.name}"
    if len(whole.encode()) > NAME_BYTES:
        whole = f"query_{hashlib.sha256(whole.encode()).hexdigest()[:32]}"
    return RelationName(STORE, whole)


def columns_query_name(view: str) -> RelationName:
    """Where the query is kept that a view fills columns from, called like the view."""
    return RelationName(STORE, fitted_name(view, suffix="columns"))


def quoted(name: str) -> str:
    """A name as people write it in SQL, in quotes only where PostgreSQL needs them.

    For messages; statements that are run are made by `postgres.identifiers`.
    """
    plain = _PLAIN.fullmatch(name) and name not in _KEYWORDS
    return name if plain else '"{}"'.format(name.replace('"', '""'))


def is_keyword(word: str) -> bool:
    """Whether a word, in lower case, is one that PostgreSQL does not take for a name everywhere."""
    return word in _KEYWORDS


def folded(word: str) -> str:
    """An unquoted name as PostgreSQL reads it: ASCII letters in lower case."""
    return word.translate(_FOLDED)


def _split_qualified(text: str) -> list[str]:
    parts: list[str] = []
    rest = text
    while True:
        part, rest = _take_part(rest, text)
        parts.append(part)
        if not rest:
            return parts
        if not rest.startswith("."):
            message = f"{text!r} is not a relation; write schema.name"
            raise ValueError(message)
        rest = rest[1:]


def _take_part(rest: str, text: str) -> tuple[str, str]:
    if not rest.startswith('"'):
        part, dot, tail = rest.partition(".")
        if not _UNQUOTED.fullmatch(part):
            message = f"{text!r} is not a relation; write schema.name, quoted where needed"
            raise ValueError(message)
        return folded(part), dot + tail
    characters: list[str] = []
    position = 1
    while position < len(rest):
        if rest[position] != '"':
            characters.append(rest[position])
            position += 1
        elif rest[position + 1 : position + 2] == '"':
            characters.append('"')
            position += 2
        else:
            return "".join(characters), rest[position + 1 :]
    message = f"{text!r} has an unclosed quote"
    raise ValueError(message)
