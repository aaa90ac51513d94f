import pytest

from refresher.checks.columns import broken_columns, read_columns
from refresher.config.model import Checks, Column
from refresher.names import RelationName
from tests.conftest import Database

RELATION = RelationName("public", "v")


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("1", "int"),
        ("1", "int4"),
        ("1", "INTEGER"),
        ("1::bigint", "int8"),
        ("'a'::varchar", "character varying"),
        ("'a'::varchar(20)", "varchar(20)"),
        ("'a'::char", "char(1)"),
        ("'a'::char", "character"),
        ("'a'::\"char\"", '"char"'),
        ("1::numeric(12, 2)", "decimal(12,2)"),
        ("now()", "timestamptz"),
        ("now()::timestamp(3)", "timestamp(3) without time zone"),
        ("'1 day'::interval day to second(2)", "interval day to second(2)"),
        ("'{}'::int[]", "integer ARRAY"),
        ("'{}'::numeric(4, 1)[]", "numeric(4,1)[]"),
        ("1.5::real", "float4"),
        ("true", "bool"),
        ("'sad'::mood", "public.mood"),
        ("'sad'::mood", "Mood"),
        ("'sad'::crm.\"Mood\"", 'crm."Mood"'),
        ("'x@y'::email", "email"),
        ("'x@y'::email", "email -- an address"),
        ("ROW(1)::pair", "pair"),
        ("'{}'::jsonb", "jsonb"),
    ],
)
def test_a_type_may_have_any_of_its_names(
    bare_database: Database, expression: str, written: str
) -> None:
    assert _broken(bare_database, expression, written) == []


@pytest.mark.parametrize(
    ("expression", "written", "problem"),
    [
        ("'a'::text", "varchar", "a is text, not character varying"),
        ("1::numeric(12, 2)", "numeric", "a is numeric(12,2), not numeric"),
        ("1::numeric", "numeric(12,2)", "a is numeric, not numeric(12,2)"),
        ("now()::timestamp", "timestamptz", "a is timestamp without time zone, not"),
        ("'sad'::mood", 'crm."Mood"', 'a is public.mood, not crm."Mood"'),
        ("'x@y'::email", "text", "a is public.email, not text"),
        ("'x@y'::text", "email", "a is text, not public.email"),
        ("'{}'::int[]", "int", "a is integer[], not integer"),
    ],
)
def test_types_that_differ_are_told(
    bare_database: Database, expression: str, written: str, problem: str
) -> None:
    (broken,) = _broken(bare_database, expression, written)
    assert broken.startswith(problem)


@pytest.mark.parametrize(
    "written",
    [
        "serial",
        '"MOOD"',
        "nowhere.mood",
        "no type at all",
        "int; DROP TABLE t",
        "int) , (SELECT 1",
        "int) FROM gone --",
        "int /*",
        'text COLLATE "C"',
        "numeric(2000)",
        "text(5)",
        "%TYPE",
        "t.a%TYPE",
        "setof int",
        "(",
        "''",
    ],
)
def test_what_is_no_type_is_a_broken_check(bare_database: Database, written: str) -> None:
    assert _broken(bare_database, "1", written) == [f"a: PostgreSQL knows no type {written!r}"]
    with bare_database.connect() as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == []


def _broken(database: Database, expression: str, written: str) -> list[str]:
    """What is broken of a column of this expression."""
    with database.connect() as connection:
        connection.execute(
            "CREATE SCHEMA crm; CREATE TYPE mood AS ENUM ('sad');"
            " CREATE TYPE crm.\"Mood\" AS ENUM ('sad');"
            " CREATE DOMAIN email AS text NOT NULL CHECK (VALUE LIKE '%@%');"
            " CREATE TYPE pair AS (a int); CREATE TABLE t (a int)"
        )
        connection.execute(f"CREATE VIEW v AS SELECT {expression} AS a".encode())
        columns = read_columns(connection, RELATION, kind="v")
        assert columns is not None
        checks = Checks(columns=(Column("a", written),))
        return [broken.message for broken in broken_columns(connection, checks, columns)]


def test_columns_are_read_in_order_and_without_dropped_ones(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        connection.execute(
            'CREATE TABLE v (b int, gone int, "A" text); ALTER TABLE v DROP COLUMN gone'
        )

        assert read_columns(connection, RELATION, kind="r") == (("b", "integer"), ("A", "text"))


def test_another_kind_is_not_it(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        connection.execute("CREATE TABLE v (a int)")

        assert read_columns(connection, RELATION, kind="v") is None
        assert read_columns(connection, RelationName("public", "w"), kind="v") is None


def test_a_relation_without_columns_is_there(bare_database: Database) -> None:
    with bare_database.connect() as connection:
        connection.execute("CREATE VIEW v AS SELECT")

        assert read_columns(connection, RELATION, kind="v") == ()
