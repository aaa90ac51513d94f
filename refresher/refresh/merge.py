"""The strategy `merge`, of maintained tables: compute anew, write only the rows that differ.

    1  compute    the query's rows, into a temporary table
    2  compare    a full join by key tells which rows differ, by where they are
    3  judge      a key that is null or repeats is refused; nothing has been written yet
    4  apply      delete, update, insert

Grouping a million rows to see whether a key repeats takes half as long as joining them. The join
tells it, too: the table's key is unique, so as many rows of the query have met one of the table as
rows of the table have been met, unless two have met the same one. Only new keys are grouped.

Readers never wait: all it takes of the table is ROW EXCLUSIVE. The temporary tables end with the
transaction, so that this works through a pooler in transaction mode.
"""

from collections.abc import Mapping

from psycopg import sql

from refresher.catalog.model import Target
from refresher.errors import FailureReason, RefreshError
from refresher.names import quoted
from refresher.postgres import identifiers
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.refresh", "merge.sql")

_COMMA = sql.SQL(", ")
_ASSIGNMENT = sql.SQL("{name} = n.{name}")
_EQUAL = sql.SQL("t.{name} = n.{name}")
_IS_NULL = sql.SQL("{name} IS NULL")
_NEW = sql.SQL("n.{name}")
_TEXT = sql.SQL("left(n.{name}::text, 60)")
_TRUE = sql.SQL("true")
_IS_VANISHED = sql.SQL("d.new IS NULL")
_IS_NEW = sql.SQL("d.old IS NULL")


def merge(connection: Connection, target: Target, key: tuple[str, ...]) -> None:
    """Bring a table up to what its query returns in this transaction's snapshot.

    The table has a unique index on its key.

    Raises:
        RefreshError: (not_unique) a key is null, or more than one row has it.
        psycopg.Error: whatever PostgreSQL says.
    """
    compare(connection, target, key)
    apply(connection, target, key)
    forget(connection)


def compare(connection: Connection, target: Target, key: tuple[str, ...]) -> None:
    """Steps 1 to 3: find the rows that differ, for `pg_temp.refresher_difference` to hold.

    Raises:
        RefreshError: (not_unique) a key is null, or more than one row has it.
        psycopg.Error: whatever PostgreSQL says.
    """
    pieces = parts(target, key)
    rows = _compute(connection, key, pieces)
    _execute(connection, "compare", pieces)
    connection.execute(_QUERIES["analyze_difference"])
    if not _are_told_apart(connection, pieces, rows):
        refuse_repeated(connection, key, pieces)


def apply(connection: Connection, target: Target, key: tuple[str, ...]) -> None:
    """Step 4: write the rows that were found to differ.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    # Another unique index may not allow a row what another one is about to give up.
    at_once = all(unique == set(key) for unique in target.unique_keys)
    pieces = {
        **parts(target, key),
        "gone": _IS_VANISHED if at_once else _TRUE,
        "missing": _IS_NEW if at_once else _TRUE,
    }
    _execute(connection, "delete", pieces)
    if at_once:
        _execute(connection, "update", pieces)
    _execute(connection, "insert", pieces)


def forget(connection: Connection) -> None:
    """Drop what a comparison made, so that another can follow in the same transaction."""
    connection.execute(_QUERIES["forget"])


def fill(connection: Connection, target: Target) -> None:
    """Fill a table that is empty.

    Raises:
        psycopg.Error: whatever PostgreSQL says.
    """
    _execute(connection, "fill", parts(target, ()))


def _compute(
    connection: Connection, key: tuple[str, ...], pieces: Mapping[str, sql.Composable]
) -> int:
    """Step 1; returns how many rows there are, all of which have a key."""
    _execute(connection, "compute", pieces)
    connection.execute(_QUERIES["analyze_new"])
    return count_with_key(connection, key, pieces)


def count_with_key(
    connection: Connection, key: tuple[str, ...], pieces: Mapping[str, sql.Composable]
) -> int:
    """How many new rows there are, all of which have a key.

    Raises:
        RefreshError: (not_unique) one has none.
        psycopg.Error: whatever PostgreSQL says.
    """
    found = connection.execute(_QUERIES["count"].format(null=pieces["null"])).fetchone()
    assert found is not None  # noqa: S101 - the query always returns one row
    if found["without_key"]:
        examples = connection.execute(_QUERIES["with_null"].format(**pieces)).fetchall()
        raise _refused(key, f"is null in {found['without_key']:,} of {found['rows']:,}", examples)
    rows: int = found["rows"]
    return rows


def refuse_repeated(
    connection: Connection, key: tuple[str, ...], pieces: Mapping[str, sql.Composable]
) -> None:
    """Step 3: make sure that no key repeats among the new rows.

    Raises:
        RefreshError: (not_unique) one does.
        psycopg.Error: whatever PostgreSQL says.
    """
    repeated = connection.execute(_QUERIES["repeated"].format(**pieces)).fetchall()
    if repeated:
        keys, rows = repeated[0]["keys"], repeated[0]["all_rows"]
        values = "1 value" if keys == 1 else f"{keys:,} values"
        raise _refused(key, f"has {values} in more than one of {rows:,}", repeated)


def _are_told_apart(
    connection: Connection, pieces: Mapping[str, sql.Composable], rows: int
) -> bool:
    """Whether no key repeats, as far as the comparison tells."""
    balance = connection.execute(_QUERIES["balance"].format(**pieces)).fetchone()
    assert balance is not None  # noqa: S101 - the query always returns one row
    added = balance["added"]
    if rows - added != balance["rows"] - balance["vanished"]:
        return False
    if added > rows / 2:
        return False  # all of them are grouped as quickly
    added_twice = _QUERIES["repeated_added"].format(**pieces)
    return not added or connection.execute(added_twice).fetchone() is None


def _refused(
    key: tuple[str, ...], problem: str, examples: list[dict[str, list[str | None]]]
) -> RefreshError:
    names = ", ".join(map(quoted, key))
    shown = ", ".join(
        "({})".format(", ".join("null" if value is None else value for value in example["key"]))
        for example in examples
    )
    message = (
        f"the key ({names}) {problem} rows of the query, such as {shown}; correct the query, or the"
        " key. The old contents stand"
    )
    return RefreshError(message, reason=FailureReason.NOT_UNIQUE)


def _execute(connection: Connection, name: str, pieces: Mapping[str, sql.Composable]) -> None:
    # No parameters: a % in a column's name would be taken for one.
    connection.execute(_QUERIES[name].format(**pieces))


def parts(target: Target, key: tuple[str, ...]) -> dict[str, sql.Composable]:
    """What the queries of a comparison are made of: `t` is the target, `n` what is new."""
    assert target.query is not None  # noqa: S101 - the caller made sure that it is maintained
    names = tuple(target.columns)
    return {
        **key_parts(key),
        "table": identifiers.relation(target.relation),
        "query": identifiers.relation(target.query),
        "columns": identifiers.columns(names),
        # As they are: a cast would cut what is too long for a column that somebody made narrower.
        "outputs": identifiers.columns(names),
        "values": each(_NEW, names),
        "assignments": each(_ASSIGNMENT, names),
    }


def key_parts(key: tuple[str, ...]) -> dict[str, sql.Composable]:
    """What of these concerns the key alone."""
    return {
        "key": each(_NEW, key),
        "key_texts": sql.SQL("ARRAY[{}]").format(each(_TEXT, key)),
        "null": each(_IS_NULL, key, sql.SQL(" OR ")),
        "match": each(_EQUAL, key, sql.SQL(" AND ")),
    }


def each(piece: sql.SQL, of: tuple[str, ...], joiner: sql.SQL = _COMMA) -> sql.Composed:
    """A piece for each of some columns."""
    return joiner.join(piece.format(name=sql.Identifier(name)) for name in of)
