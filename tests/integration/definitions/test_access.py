from collections.abc import Callable, Iterator

import pytest

from refresher.definitions.compare import Aspect
from tests.integration.definitions.conftest import PLAIN, Workbench, acl


@pytest.fixture
def open_defaults(workbench: Workbench, make_role: Callable[..., str]) -> Iterator[str]:
    """A role that whatever is created is opened to, as Supabase's anon is."""
    anon = make_role("anon")
    workbench.execute(
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {anon};"
        " ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"
    )
    yield anon
    workbench.execute(
        f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM {anon};"
        " ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC"
    )


def altered(workbench: Workbench) -> list[str | None]:
    """Apply what only alters something; returns what was done."""
    assert {kind for kind, _ in workbench.kinds()} == {"alter"}
    return [result.detail for result in workbench.apply().steps]


def test_default_privileges_open_nothing(workbench: Workbench, open_defaults: str) -> None:
    workbench.execute("CREATE TABLE by_hand ()")
    workbench.define("m", "SELECT 1 AS id")
    workbench.define("p", "SELECT 1 AS id", PLAIN)

    workbench.apply_well()

    grants = "SELECT has_table_privilege(%s, %s, 'SELECT')"
    assert workbench.one(grants, open_defaults, "by_hand")
    assert not workbench.one(grants, open_defaults, "m")
    assert not workbench.one(grants, open_defaults, "p")


def test_grants_are_complete_when_given(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    old, new, passed_on = make_role("old"), make_role("new"), make_role("third")
    workbench.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id, 2 AS secret")
    workbench.define("m", "SELECT 1 AS id, 2 AS secret", grants={new: ("select", "insert")})
    workbench.execute(
        f"GRANT SELECT, UPDATE ON m TO {old} WITH GRANT OPTION; GRANT SELECT ON m TO PUBLIC"
    )
    with workbench.database.connect_as(old) as owner_of_grants:
        owner_of_grants.execute(f"GRANT SELECT ON m TO {passed_on}")

    assert altered(workbench) == ["grants"]

    assert acl(workbench, "m") == [f"{new}=ar/postgres", "postgres=all/postgres"]
    assert workbench.apply_well() == []


def test_privileges_on_columns_are_grants_too(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    anon = make_role("anon")
    workbench.define("m", "SELECT 1 AS id, 2 AS secret", grants={})
    workbench.apply_well()
    workbench.execute(f"GRANT SELECT (secret) ON m TO {anon}")

    assert altered(workbench) == ["grants"]

    assert not workbench.one("SELECT has_column_privilege(%s, 'm', 'secret', 'SELECT')", anon)
    assert workbench.apply_well() == []


def test_grants_that_are_not_given_are_nobodys_business(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    reader = make_role("reader")
    workbench.execute("CREATE VIEW adopted AS SELECT 1 AS id")
    workbench.execute(f"GRANT SELECT ON adopted TO {reader}")
    workbench.define("adopted", "SELECT 1 AS id", PLAIN)

    assert workbench.apply_well() == []
    assert acl(workbench, "adopted") == ["postgres=all/postgres", f"{reader}=r/postgres"]


def test_grants_to_everybody_and_to_the_owner(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    workbench.define(
        "p",
        "SELECT 1 AS id",
        PLAIN,
        owner=owner,
        grants={"public": ("select",), owner: ("select",)},
    )

    assert workbench.apply_well() == [("create", "p")]
    assert acl(workbench, "p") == [f"=r/{owner}", f"{owner}=all/{owner}"]
    assert workbench.apply_well() == []


def test_owner_grants_and_comment_follow_the_definition(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    first, second, reader = make_role("first"), make_role("second"), make_role("reader")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {first}, {second}")
    workbench.define("m", "SELECT 1 AS id", owner=first, grants={}, comment="One")
    workbench.apply_well()

    workbench.redefine("m", owner=second, grants={reader: ("select",)}, comment='It\'s "two"')

    assert altered(workbench) == [f"owner {second}, grants, comment"]
    assert acl(workbench, "m") == [f"{reader}=r/{second}", f"{second}=all/{second}"]
    assert workbench.one("SELECT obj_description('m'::regclass)") == 'It\'s "two"'
    assert workbench.apply_well() == []


def test_what_is_built_anew_is_dressed_by_its_definition(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    anon = make_role("anon")
    workbench.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id")
    workbench.execute(f"GRANT SELECT ON m TO {anon}")
    workbench.define("m", "SELECT 2 AS id", grants={}, key=("id",))

    aspects = [found.aspect for found in workbench.plan().drift]
    assert aspects == [Aspect.DEFINITION, Aspect.INDEXES, Aspect.GRANTS]
    assert workbench.apply_well() == [("swap", "m")]
    assert not workbench.one("SELECT has_table_privilege(%s, 'm', 'SELECT')", anon)
    assert workbench.execute("SELECT id FROM m") == [(2,)]


def test_a_reader_who_stays_is_waited_for_in_turns(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner")
    workbench.execute(f"GRANT CREATE ON SCHEMA public TO {owner}")
    workbench.define("m", "SELECT 1 AS id")
    workbench.apply_well()
    workbench.redefine("m", owner=owner)

    told: list[str] = []

    with workbench.database.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT FROM m")

        def tell(activity: str) -> None:
            told.append(activity)
            if told.count("m: waiting for those who use it") == 2:
                reader.execute("SELECT FROM m")
                reader.execute("COMMIT")

        assert workbench.apply(tell=tell).succeeded

    assert told.count("m: waiting for those who use it") == 2
    assert acl(workbench, "m") == []
    assert workbench.plan().drift == ()
