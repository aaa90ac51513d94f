from collections.abc import Callable

import pytest

from refresher.errors import CatalogError, PlanError
from refresher.names import RelationName
from tests.integration.definitions.conftest import PLAIN, Workbench


def gaps(workbench: Workbench) -> list[str]:
    """The statements somebody must run, having changed nothing."""
    before = workbench.catalog()
    with pytest.raises(CatalogError) as caught:
        workbench.simulate()
    assert workbench.catalog() == before
    first, *statements_to_run = str(caught.value).splitlines()
    name = workbench.database.name
    assert first.startswith(f"database '{name}' lacks what the views name; ")
    return statements_to_run


def test_what_is_missing_is_told_as_statements_that_cure_it(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, owner = make_role("refresher"), make_role("Owner")
    workbench.execute("CREATE SCHEMA closed")
    for name, schema in (("a", "closed"), ("b", "closed"), ("c", "New one")):
        workbench.define(
            name,
            "SELECT 1 AS id",
            PLAIN,
            relation=RelationName(schema, name),
            owner=owner,
            grants={"public": ("select",)},
        )
    workbench.work_as(role)

    told = gaps(workbench)

    assert told == [
        f"GRANT USAGE, CREATE ON SCHEMA closed TO {role}",
        f'CREATE SCHEMA "New one" AUTHORIZATION {role}',
        f'GRANT "{owner}" TO {role}',
        f'GRANT USAGE, CREATE ON SCHEMA closed TO "{owner}"',
    ]
    for statement in told:
        workbench.execute(statement)
    assert gaps(workbench) == [f'GRANT USAGE, CREATE ON SCHEMA "New one" TO "{owner}"']
    workbench.execute(f'GRANT USAGE, CREATE ON SCHEMA "New one" TO "{owner}"')
    assert workbench.simulate().order == ("a", "b", "c")


def test_roles_that_are_missing_are_told_once(workbench: Workbench) -> None:
    grants = {"nobody_a": ("select",), "public": ("select",)}
    workbench.define("a", "SELECT 1 AS id", grants=grants)
    workbench.define("b", "SELECT 1 AS id", grants=grants, owner="nobody_b")

    assert gaps(workbench) == ["CREATE ROLE nobody_a", "CREATE ROLE nobody_b"]


def test_a_view_that_has_its_owner_needs_no_membership(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, owner = make_role("refresher"), make_role("owner")
    workbench.execute(
        f"GRANT CREATE ON SCHEMA public TO {role}; CREATE VIEW v AS SELECT 1 AS id;"
        f" ALTER VIEW v OWNER TO {owner}"
    )
    workbench.define("v", "SELECT 1 AS id", PLAIN, owner=owner)
    workbench.work_as(role)

    assert workbench.simulate().order == ("v",)


def test_what_an_owner_may_not_read_stops_the_plan(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    role, owner = make_role("refresher"), make_role("owner")
    workbench.execute(
        "CREATE TABLE t (id int, x text); CREATE SCHEMA closed; CREATE TABLE closed.u (id int);"
        f" GRANT {owner} TO {role};"
        f" GRANT CREATE ON SCHEMA public TO {role}, {owner};"
        f" ALTER SCHEMA refresher OWNER TO {role}"
    )
    workbench.define("v", "SELECT t.id FROM t JOIN closed.u ON u.id = t.id", owner=owner)

    told = "v can't be read or filled: its owner {} may not read {}; {}".format
    assert workbench.plan().problems == (
        told(owner, "closed.u", f"GRANT SELECT ON closed.u TO {owner}"),
        told(owner, "public.t", f"GRANT SELECT ON public.t TO {owner}"),
    )
    with pytest.raises(PlanError, match=r"may not read public\.t"):
        workbench.apply()
    assert list(workbench.relations()) == ["t", "closed.u"]

    workbench.execute(f"GRANT SELECT (id) ON t TO {owner}; GRANT SELECT ON closed.u TO {owner}")
    workbench.apply_well()


def test_a_view_that_reads_as_its_reader_needs_nothing(
    workbench: Workbench, make_role: Callable[..., str]
) -> None:
    owner = make_role("owner")
    workbench.execute(f"CREATE TABLE t (id int); GRANT CREATE ON SCHEMA public TO {owner}")
    workbench.define("v", "SELECT id FROM t", PLAIN, owner=owner)
    assert len(workbench.plan().problems) == 1

    workbench.redefine("v", options={"security_invoker": "true"})

    assert workbench.plan().problems == ()
