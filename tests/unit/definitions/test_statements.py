from dataclasses import replace
from typing import Any

import pytest

from refresher.config.model import Index, View
from refresher.definitions import index_statements, statements
from refresher.names import NAME_BYTES, RelationName
from tests.unit.definitions.test_compare import VIEW


def view(**fields: Any) -> View:
    return replace(VIEW, **fields)


def test_a_view_is_created_empty_and_its_query_stands_on_lines_of_its_own() -> None:
    relation = RelationName("crm", 'it\'s "v"')

    assert statements.create("m", relation, "SELECT 1 AS id;", {}).as_string() == (
        'CREATE MATERIALIZED VIEW "crm"."it\'s ""v""" AS\nSELECT 1 AS id\nWITH NO DATA'
    )
    options = {"security_barrier": "true", "toast.x": "it's"}
    assert statements.create("v", relation, "SELECT 1", options, replace=True).as_string() == (
        'CREATE OR REPLACE VIEW "crm"."it\'s ""v"""'
        """ WITH ("security_barrier" = 'true', "toast"."x" = 'it''s') AS\nSELECT 1\n"""
    )


def test_braces_and_percent_signs_in_a_query_mean_nothing() -> None:
    query = "SELECT '{}' AS a, '{0} %s %(x)s 100%' AS b"

    assert query in statements.create("v", VIEW.relation, query, {}).as_string()


def test_indexes_are_the_keys_and_then_the_others_by_name() -> None:
    wanted = index_statements.wanted_indexes(
        view(
            key=("id", "day"),
            indexes=(
                Index(columns=("name", "id")),
                Index(expression="lower(name)"),
                Index(columns=("name",), name="Mine"),
            ),
        )
    )

    assert list(wanted) == ["v_id_day_key", "v_name_id_idx", "v_expression_idx", "Mine"]
    assert wanted["v_id_day_key"] == Index(columns=("id", "day"), unique=True)


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (Index(columns=("id",), unique=True, name="mine"), ["mine"]),
        (Index(columns=("id",), unique=True, include=("name",), name="mine"), ["mine"]),
        (Index(columns=("id",), name="mine"), ["v_id_key", "mine"]),
        (Index(columns=("id",), unique=True, where="true", name="mine"), ["v_id_key", "mine"]),
        (Index(columns=("id", "day"), unique=True, name="mine"), ["v_id_key", "mine"]),
        (Index(definition="USING btree (id)", unique=True), ["v_id_key", "v_expression_idx"]),
    ],
)
def test_a_key_needs_no_second_index(other: Index, names: list[str]) -> None:
    assert list(index_statements.wanted_indexes(view(key=("id",), indexes=(other,)))) == names


def test_a_name_made_of_long_ones_fits_and_is_still_one_of_its_own() -> None:
    long = "x" * NAME_BYTES
    indexes = tuple(Index(columns=(f"{long[:-1]}{number}",)) for number in range(3))

    names = list(index_statements.wanted_indexes(view(indexes=indexes)))

    assert len(set(names)) == 3
    assert all(len(name.encode()) <= NAME_BYTES for name in names)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (Index(columns=("a", "b")), 'CREATE INDEX "i" ON "public"."v" USING "btree" ("a", "b")'),
        (
            Index(expression="lower(a)", unique=True),
            'CREATE UNIQUE INDEX "i" ON "public"."v" USING "btree" ((lower(a)))',
        ),
        (
            Index(columns=("a",), where="a <> ''", include=("b",)),
            """CREATE INDEX "i" ON "public"."v" USING "btree" ("a") INCLUDE ("b") WHERE a <> ''""",
        ),
        (
            Index(columns=("a",), method="gin"),
            'CREATE INDEX "i" ON "public"."v" USING "gin" ("a")',
        ),
    ],
)
def test_an_index_is_written_whole(index: Index, text: str) -> None:
    assert index_statements.create_index(index, "i", VIEW.relation).as_string() == text


def test_grants_name_everybody_and_roles_apart() -> None:
    granted = statements.grant(VIEW.relation, "public", ("select", "insert with grant option"))
    assert [statement.as_string() for statement in granted] == [
        'GRANT select ON "public"."v" TO PUBLIC',
        'GRANT insert ON "public"."v" TO PUBLIC with grant option',
    ]
    assert statements.revoke_all(VIEW.relation, 'a"b').as_string() == (
        'REVOKE ALL ON "public"."v" FROM "a""b" CASCADE'
    )


@pytest.mark.parametrize(
    ("to", "texts"),
    [
        (VIEW.relation, []),
        (RelationName("public", "w"), ['ALTER VIEW "public"."v" RENAME TO "w"']),
        (RelationName("crm", "v"), ['ALTER VIEW "public"."v" SET SCHEMA "crm"']),
        (
            RelationName("crm", "w"),
            ['ALTER VIEW "public"."v" RENAME TO "w"', 'ALTER VIEW "public"."w" SET SCHEMA "crm"'],
        ),
    ],
)
def test_a_view_moves_by_name_and_schema(to: RelationName, texts: list[str]) -> None:
    moved = statements.move("v", VIEW.relation, to)

    assert [statement.as_string() for statement in moved] == texts
