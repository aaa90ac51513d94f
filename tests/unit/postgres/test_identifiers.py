import pytest
from psycopg import sql

from refresher.names import RelationName
from refresher.postgres import identifiers


def text_of(part: sql.Composable) -> str:
    return part.as_string()


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        ("public", "customers", '"public"."customers"'),
        ("crm.eu", 'a"b', '"crm.eu"."a""b"'),
        ("public", "x; DROP TABLE y", '"public"."x; DROP TABLE y"'),
        ("select", "Größe", '"select"."Größe"'),
    ],
)
def test_a_relation_is_quoted_part_by_part(schema: str, name: str, text: str) -> None:
    assert text_of(identifiers.relation(RelationName(schema, name))) == text


def test_columns_are_a_quoted_list() -> None:
    assert text_of(identifiers.columns(("id", 'a"b'))) == '"id", "a""b"'


@pytest.mark.parametrize(
    ("name", "text"),
    [("public", "PUBLIC"), ("PUBLIC", '"PUBLIC"'), ('anon"; --', '"anon""; --"')],
)
def test_everybody_is_no_role_of_that_name(name: str, text: str) -> None:
    assert text_of(identifiers.role(name)) == text


def test_a_setting_of_an_extension_has_two_parts() -> None:
    assert text_of(identifiers.setting("work_mem")) == '"work_mem"'
    assert text_of(identifiers.setting("my.setting")) == '"my"."setting"'
