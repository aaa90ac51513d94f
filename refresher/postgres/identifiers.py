"""Names as SQL: the only road from a configured name to a statement."""

from psycopg import sql

from refresher.names import RelationName


def relation(name: RelationName) -> sql.Identifier:
    """A schema-qualified relation, quoted."""
    return sql.Identifier(name.schema, name.name)


def columns(names: tuple[str, ...]) -> sql.Composed:
    """A comma-separated list of quoted names."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def role(name: str) -> sql.Composable:
    """A role, quoted; `public` is a keyword, not a role."""
    return sql.SQL("PUBLIC") if name == "public" else sql.Identifier(name)


def setting(name: str) -> sql.Identifier | sql.Composed:
    """A configuration parameter, such as `work_mem` or `my.setting`."""
    return sql.SQL(".").join(map(sql.Identifier, name.split(".")))
