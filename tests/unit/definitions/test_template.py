import pytest

from refresher.definitions.template import Template, mark
from refresher.names import RelationName

PAID, OTHER = RelationName("crm", "paid"), RelationName("other", "paid")


def turned(text: str, *relations: RelationName) -> str:
    """A query whose marks 0, 1 and so on stand for these relations."""
    labels = tuple(map(str, relations))
    return Template(text, labels).query(lambda label: relations[labels.index(label)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT id FROM A", "SELECT id FROM crm.paid"),
        ("SELECT id FROM A;", "SELECT id FROM crm.paid;"),
        ("SELECT id FROM pg_temp_12.A", "SELECT id FROM crm.paid"),
        ("SELECT A.id FROM A", "SELECT paid.id FROM crm.paid"),
        ("SELECT p.id FROM A p", "SELECT p.id FROM crm.paid p"),
        ("SELECT p.id FROM A p(id, name)", "SELECT p.id FROM crm.paid p(id, name)"),
        ('SELECT "P p".id FROM A "P p"', 'SELECT "P p".id FROM crm.paid "P p"'),
        ("SELECT paid.id FROM A paid", "SELECT paid.id FROM crm.paid"),
        (
            "SELECT x.id FROM (A JOIN orders USING (id)) x",
            "SELECT x.id FROM (crm.paid JOIN orders USING (id)) x",
        ),
        (
            "SELECT A.id FROM (A LEFT JOIN t ON ((A.id = t.id)))",
            "SELECT paid.id FROM (crm.paid LEFT JOIN t ON ((paid.id = t.id)))",
        ),
        ("SELECT NULL::A AS a", "SELECT NULL::crm.paid AS a"),
        ("SELECT (x.y)::pg_temp.A AS a FROM x", "SELECT (x.y)::crm.paid AS a FROM x"),
        ("SELECT count(A.*) FROM A WHERE true", "SELECT count(paid.*) FROM crm.paid WHERE true"),
        ("SELECT 'A'::regclass", "SELECT 'crm.paid'::regclass"),
        ("SELECT 'pg_temp.A'::regtype", "SELECT 'crm.paid'::regtype"),
        ("SELECT 'A'::text AS \"A\"", "SELECT 'A'::text AS \"A\""),
        ("SELECT refresher_twin_7_x.id FROM refresher_twin_7_x", None),
        ("SELECT xA FROM Ay", None),
    ],
)
def test_marks_are_turned_wherever_postgresql_prints_a_relation(
    text: str, expected: str | None
) -> None:
    text = text.replace("A", mark(0)).replace(mark(0) + "S", "AS").replace(f"L{mark(0)}", "LA")

    wanted = text if expected is None else expected.replace("'A'", f"'{mark(0)}'")
    assert turned(text, PAID) == wanted.replace('"A"', f'"{mark(0)}"')


def test_numbers_that_begin_alike_are_different_marks() -> None:
    relations = [RelationName("crm", f"v{number}") for number in range(12)]
    text = f"SELECT 1 FROM {mark(1)}, {mark(11)}, {mark(10)} a"

    assert turned(text, *relations) == "SELECT 1 FROM crm.v1, crm.v11, crm.v10 a"


def test_names_are_quoted_where_they_must_be() -> None:
    odd = RelationName("My.Schema", 'a "b".c')

    assert turned(f"SELECT {mark(0)}.id FROM {mark(0)}", odd) == (
        'SELECT "a ""b"".c".id FROM "My.Schema"."a ""b"".c"'
    )
    quote = RelationName("crm", "it's")
    assert turned(f"SELECT '{mark(0)}'::regclass", quote) == "SELECT 'crm.\"it''s\"'::regclass"


def test_what_has_the_name_already_keeps_it() -> None:
    text = (
        f"SELECT id FROM {mark(0)} WHERE EXISTS (SELECT FROM b.paid WHERE paid.id = {mark(0)}.id)"
    )

    assert turned(text, PAID) == (
        "SELECT id FROM crm.paid paid_1 WHERE EXISTS (SELECT FROM b.paid WHERE paid.id = paid_1.id)"
    )


def test_relations_of_one_name_are_told_apart() -> None:
    text = f"SELECT {mark(0)}.a, {mark(1)}.b FROM {mark(0)} JOIN {mark(1)} USING (id)"

    assert turned(text, PAID, OTHER) == (
        "SELECT paid.a, paid_1.b FROM crm.paid JOIN other.paid paid_1 USING (id)"
    )


def test_what_postgresql_numbered_is_numbered() -> None:
    again = f"{mark(0)}_1"
    text = f"SELECT id FROM {mark(0)} WHERE id IN (SELECT {again}.id FROM {mark(0)} {again})"

    assert turned(text, PAID) == (
        "SELECT id FROM crm.paid WHERE id IN (SELECT paid_1.id FROM crm.paid paid_1)"
    )


def test_the_name_of_what_is_built_beside_is_no_alias_that_stays() -> None:
    again = f"{mark(0)}_1"
    text = f"SELECT {mark(0)}.id FROM {mark(0)}, LATERAL (SELECT {again}.id FROM {mark(0)} {again})"

    found = Template(text, ("paid",)).query(lambda _label: RelationName("crm", "tmp"))

    assert found == "SELECT tmp.id FROM crm.tmp, LATERAL (SELECT paid_1.id FROM crm.tmp paid_1)"


def test_a_long_name_is_numbered_within_the_length_postgresql_holds() -> None:
    long = RelationName("crm", "é" * 31)
    text = f"SELECT {mark(0)}.id FROM {mark(0)}, x.{'é' * 31}"

    assert f'crm."{"é" * 31}" "{"é" * 30}_1"' in turned(text, long)
