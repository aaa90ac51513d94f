"""The recipes, and the page that shows them."""

from dataclasses import replace

import pytest

from refresher.config.model import Fills
from refresher.doctor.recipe import Managed, Site, recipe, script
from refresher.names import RelationName
from tests.pages import DOCS, blocks
from tests.recipes import BORROWED, MEMBER, OWN


def statements(site: Site) -> list[str]:
    return [statement for part in recipe(site) for statement in part.statements]


@pytest.mark.parametrize(("number", "site"), [*enumerate([OWN, MEMBER, BORROWED])])
def test_the_page_shows_what_the_doctor_prints(number: int, site: Site) -> None:
    shown = blocks(DOCS / "privileges.md", "sql")[number].text
    head, _, rest = script(site).partition("\n\n")
    assert head.startswith("-- The least that a role needs to run refresher in database crm,")
    assert shown == rest


def test_names_are_quoted_where_they_must_be() -> None:
    views = (
        Managed(
            relation=RelationName("Sales", "order"),
            owner='o"wner',
            reads=(RelationName("x y", "Table"),),
        ),
    )
    site = Site(major=14, database="my-db", role="User", views=views, schema_owners={"Sales": None})
    assert statements(site) == [
        'CREATE ROLE "User" LOGIN',
        'CREATE SCHEMA refresher AUTHORIZATION "User"',
        'GRANT CONNECT ON DATABASE "my-db" TO "User"',
        'GRANT TEMPORARY ON DATABASE "my-db" TO "o""wner"',
        'GRANT "o""wner" TO "User"',
        'CREATE SCHEMA "Sales" AUTHORIZATION "User"',
        'GRANT USAGE, CREATE ON SCHEMA "Sales" TO "o""wner"',
        'GRANT USAGE ON SCHEMA "x y" TO "o""wner"',
        'GRANT SELECT ON "x y"."Table" TO "o""wner"',
        'ALTER ROLE "User" SET idle_session_timeout = 0',
    ]


def test_columns_are_written_and_their_key_is_read() -> None:
    filled = Managed(
        relation=RelationName("refresher", "m_columns"),
        fills=Fills(table=RelationName("Sales", "customer"), columns=("source", "S")),
        key=("id",),
    )
    printed = statements(replace(OWN, views=(filled,)))
    assert 'GRANT USAGE ON SCHEMA "Sales" TO refresher_daemon' in printed
    grant = 'GRANT SELECT (id, source, "S"), UPDATE (source, "S") ON "Sales".customer'
    assert f"{grant} TO refresher_daemon" in printed
    assert not any("ON SCHEMA refresher" in each for each in printed)


def test_a_throttle_is_to_see_what_others_do() -> None:
    grant = "GRANT pg_read_all_stats TO refresher_daemon"
    assert grant not in statements(BORROWED)
    assert grant in statements(replace(BORROWED, throttled=True))


def test_before_17_nobody_refreshes_for_an_owner_without_being_a_member() -> None:
    assert "GRANT crm_owner TO refresher_daemon" in statements(replace(BORROWED, major=16))
    assert "GRANT crm_owner TO refresher_daemon" not in statements(BORROWED)
    assert not any("MAINTAIN" in each for each in statements(replace(BORROWED, major=16)))


def test_membership_of_a_superuser_is_warned_of() -> None:
    warned = replace(BORROWED, major=16, superusers=frozenset({"crm_owner"}))
    assert "crm_owner is a superuser: better give its views another `owner`." in script(warned)
    assert "is a superuser" not in script(replace(BORROWED, major=16))


def test_what_stands_is_not_made_again() -> None:
    site = replace(
        OWN,
        role_stands=True,
        store_owner="refresher_daemon",
        store_relations=("run",),
        schema_owners={"public": "refresher_daemon"},
    )
    assert statements(site) == [
        "GRANT CONNECT, TEMPORARY ON DATABASE crm TO refresher_daemon",
        "GRANT USAGE ON SCHEMA sales TO refresher_daemon",
        "GRANT SELECT ON sales.orders TO refresher_daemon",
        "ALTER ROLE refresher_daemon SET idle_session_timeout = 0",
        "ALTER ROLE refresher_daemon SET transaction_timeout = 0",
    ]


def test_a_store_of_another_role_is_handed_over() -> None:
    site = replace(OWN, store_owner="postgres", store_relations=("freshness", "run"))
    assert statements(site)[1:4] == [
        "ALTER SCHEMA refresher OWNER TO refresher_daemon",
        "ALTER TABLE refresher.freshness OWNER TO refresher_daemon",
        "ALTER TABLE refresher.run OWNER TO refresher_daemon",
    ]


def test_owners_that_are_no_roles_yet_are_made() -> None:
    assert "CREATE ROLE crm_owner NOLOGIN" in statements(
        replace(MEMBER, missing_owners=frozenset({"crm_owner"}))
    )


def test_unknown_sources_are_left_to_the_reader() -> None:
    (view,) = OWN.views
    text = script(replace(OWN, views=(replace(view, reads=None),)))
    assert "What these views read is not known here: public.customer_sources" in text
    assert "--   GRANT SELECT ON ALL TABLES IN SCHEMA … TO refresher_daemon;" in text


def test_everything_but_statements_is_a_comment() -> None:
    for site in (OWN, MEMBER, BORROWED, replace(OWN, views=())):
        lines = [line for line in script(site).splitlines() if line]
        written = {line.removesuffix(";") for line in lines if not line.startswith("-- ")}
        assert written == set(statements(site))
