"""PostgreSQL names: what refresher accepts, and how it makes its own.

PostgreSQL silently cuts names at 63 bytes and psycopg silently cuts them at a NUL byte, so that two
different names could mean one relation; both are refused here, once, for every name refresher uses.
"""

import hashlib
from dataclasses import dataclass

NAME_BYTES = 63
"""NAMEDATALEN less one of every stock build (postgresql.org/docs: Identifiers and Key Words)."""


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
        return f"{_quoted(self.schema)}.{_quoted(self.name)}"


def _quoted(name: str) -> str:
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if plain else '"{}"'.format(name.replace('"', '""'))


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
        if '"' in part or part != part.strip():
            message = f"{text!r} is not a relation; write schema.name, quoted where needed"
            raise ValueError(message)
        return part.lower(), dot + tail
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
