import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.definitions.shadow import Twin, mentions, shadowed
from refresher.names import RelationName

SEEN = {
    RelationName("crm", "paid"): Twin("paid", visible=True),
    RelationName("crm", 'Odd "1"'): Twin('Odd "1"', visible=True),
}
HIDDEN = {relation: Twin("twin_0", visible=False) for relation in SEEN}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM crm.paid", "SELECT * FROM pg_temp.paid"),
        ("SELECT * FROM Crm . PAID;", "SELECT * FROM pg_temp.PAID;"),
        ('SELECT * FROM "crm"."paid" p', 'SELECT * FROM pg_temp."paid" p'),
        ('SELECT * FROM crm."Odd ""1"""', 'SELECT * FROM pg_temp."Odd ""1"""'),
        (
            "SELECT crm.paid.id, crm.paid.* FROM paid",
            "SELECT pg_temp.paid.id, pg_temp.paid.* FROM paid",
        ),
        (
            "SELECT * FROM a, crm.paid JOIN b USING (id)",
            "SELECT * FROM a, pg_temp.paid JOIN b USING (id)",
        ),
        ("SELECT NULL::crm.paid", "SELECT NULL::pg_temp.paid"),
        ("SELECT CAST(NULL AS crm.paid)", "SELECT CAST(NULL AS pg_temp.paid)"),
        ("TABLE crm.paid", "TABLE pg_temp.paid"),
        ("SELECT 1 FROM/*,*/crm--\n.paid", "SELECT 1 FROM/*,*/pg_temp.paid"),
    ],
)
def test_a_qualified_relation_becomes_its_twin(text: str, expected: str) -> None:
    assert shadowed(text, SEEN).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM crm.paid", "SELECT * FROM pg_temp.twin_0 AS paid"),
        ("SELECT * FROM crm.Paid;", "SELECT * FROM pg_temp.twin_0 AS Paid;"),
        ("SELECT * FROM crm.paid WHERE true", "SELECT * FROM pg_temp.twin_0 AS paid WHERE true"),
        ("SELECT * FROM (crm.paid)", "SELECT * FROM (pg_temp.twin_0 AS paid)"),
        ("SELECT * FROM crm.paid p, a", "SELECT * FROM pg_temp.twin_0 p, a"),
        ("SELECT * FROM crm.paid position", "SELECT * FROM pg_temp.twin_0 position"),
        ('SELECT * FROM crm.paid "left"', 'SELECT * FROM pg_temp.twin_0 "left"'),
        ("SELECT * FROM crm.paid AS p(a)", "SELECT * FROM pg_temp.twin_0 AS p(a)"),
        (
            "SELECT * FROM crm.paid LEFT JOIN a USING (id)",
            "SELECT * FROM pg_temp.twin_0 AS paid LEFT JOIN a USING (id)",
        ),
        ("SELECT crm.paid.id FROM crm.paid", "SELECT paid.id FROM pg_temp.twin_0 AS paid"),
        ("SELECT (x::crm.paid).id FROM a", "SELECT (x::pg_temp.twin_0).id FROM a"),
        (
            "SELECT crm.paid.id FROM crm.paid, b.paid",
            "SELECT pg_temp.twin_0.id FROM pg_temp.twin_0, b.paid",
        ),
    ],
)
def test_a_twin_of_another_name_goes_by_the_relations_name(text: str, expected: str) -> None:
    assert shadowed(text, HIDDEN).text == expected


@pytest.mark.parametrize("twins", [SEEN, HIDDEN])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT crm.paid(1)",
        "SELECT * FROM crm.paid ($1)",
        "SELECT 'FROM crm.paid', E'\\' FROM crm.paid', $a$ FROM crm.paid $a$",
        "SELECT 1 -- FROM crm.paid\n/* FROM crm.paid /* */ FROM crm.paid */",
        'SELECT * FROM "crm.paid"',
        'SELECT * FROM "Crm".paid, crm."Paid"',
        'SELECT * FROM U&"crm".paid',
        "SELECT * FROM paid, other.paid, crm.other",
        "SELECT crm.paid FROM other AS crm GROUP BY crm.paid ORDER BY crm.paid, crm.paid",
        "SELECT * FROM other crm JOIN b ON crm.paid = b.paid AND crm.paid > 1",
        "SELECT * FROM other.crm.paid",
        "SELECT extract(day FROM crm.paid) FROM other crm",
        "SELECT * FROM crm.paid 'unclosed",
        "",
    ],
)
def test_all_else_stays(text: str, twins: dict[RelationName, Twin]) -> None:
    assert shadowed(text, twins).text == text


@given(st.text())
def test_any_text_without_twins_stays(text: str) -> None:
    assert shadowed(text, {}).text == text
    assert shadowed(text, {}).original(len(text)) == len(text)


@given(st.text("crm.paid \"'$/*-(),:;UE&\n"))
def test_no_text_is_too_strange(text: str) -> None:
    found = shadowed(text, SEEN)

    assert shadowed(found.text, SEEN).text == found.text


@given(
    st.lists(st.sampled_from(["a", "crm.paid", "crm.paid p", "b.paid", "(SELECT 1) x"]), min_size=1)
)
def test_positions_lead_back_to_what_was_written(relations: list[str]) -> None:
    places = [f"{relation} /*{number}*/" for number, relation in enumerate(relations)]
    text = f"SELECT 1 FROM {', '.join(places)}"

    for twins in (SEEN, HIDDEN):
        found = shadowed(text, twins)
        for comment in re.finditer(r"/\*\d+\*/", found.text):
            assert text.startswith(comment.group(), found.original(comment.start()))
        assert found.original(0) == 0


def test_within_what_was_rewritten_a_position_leads_near_it() -> None:
    text = "SELECT 1 FROM crm.paid, b"
    found = shadowed(text, HIDDEN)

    inside = found.text.index("twin_0")
    assert text.index("crm") <= found.original(inside) <= text.index(", b")
    assert found.original(found.text.index("b", inside)) == text.rindex("b")


def test_every_word_that_may_be_a_name_is_mentioned() -> None:
    assert mentions('SELECT \'x\' FROM Paid, "Odd ""1""" -- y') == {
        "select",
        "from",
        "paid",
        'Odd "1"',
    }
    assert mentions("SELECT 'unclosed") == frozenset()
