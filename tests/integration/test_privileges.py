"""docs/privileges.md, carried out: every grant it names is needed, and no other.

What the page shows is what `refresher doctor --sql` prints (a unit test compares them), and what is
left out is what `refresher doctor` finds.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from refresher.catalog.introspection import read_graph
from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Kind, Secret, View
from refresher.definitions.apply import apply
from refresher.definitions.populate import Populator
from refresher.doctor.examine import examine
from refresher.doctor.judge import judge
from refresher.doctor.model import Finding, Severity
from refresher.doctor.recipe import recipe
from refresher.errors import RefresherError, UnreachableError
from refresher.names import RelationName
from refresher.postgres import sessions
from refresher.postgres.sessions import Connection
from refresher.refresh.attempt import Attempt
from refresher.refresh.session import Session
from refresher.refresh.task import Ended, Task
from refresher.refresh.verify import Verification
from refresher.runs import Strategy, Trigger
from refresher.store.migrate import migrate
from refresher.store.registry import register
from refresher.store.state import read_clock
from tests import recipes
from tests.conftest import Database
from tests.pages import DOCS, blocks
from tests.servers import endpoint_of

_GRANT = re.compile(r"GRANT (?P<privileges>[A-Z, ]+?)(?P<rest> ON .+)")

_SITES = {"own": recipes.OWN, "member": recipes.MEMBER, "borrowed": recipes.BORROWED}


def _recipe(kind: str) -> list[str]:
    """The grants for a site, one thing each; its roles are created elsewhere."""
    statements = [
        statement
        for part in recipe(_SITES[kind])
        for statement in part.statements
        if not statement.startswith(("CREATE ROLE", "ALTER ROLE"))
    ]
    return [single for statement in statements for single in _singly(statement)]


def _singly(statement: str) -> Iterator[str]:
    grant = _GRANT.fullmatch(statement)
    if grant is None:
        yield statement
        return
    for privilege in grant["privileges"].split(", "):
        yield f"GRANT {privilege}{grant['rest']}"


class Site:
    """A database in which nobody may do anything yet, and some roles."""

    def __init__(self, database: Database, make_role: Callable[..., str]) -> None:
        daemon, dashboard = make_role("daemon"), make_role("dashboard")
        self.owner = make_role("owner", "NOLOGIN")
        self.as_daemon = database.conninfo_as(daemon)
        self.as_dashboard = database.conninfo_as(dashboard)
        self._names = {
            "DATABASE crm": f"DATABASE {database.name}",
            "refresher_daemon": daemon,
            "crm_owner": self.owner,
            "dashboard": dashboard,
        }
        self._admin = database.connect()

    def execute(self, *statements: str) -> None:
        """Carry out statements of the page, with this test's names for its."""
        for statement in statements:
            named = statement
            for name, real in self._names.items():
                named = re.sub(rf"\b{name}\b", real, named)
            self._admin.execute(named.encode())

    def close(self) -> None:
        self._admin.close()


@pytest.fixture
def site(bare_database: Database, make_role: Callable[..., str]) -> Iterator[Site]:
    with closing(Site(bare_database, make_role)) as made:
        made.execute(
            "REVOKE ALL ON DATABASE crm FROM PUBLIC",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "CREATE SCHEMA sales",
            "CREATE TABLE sales.orders AS SELECT generate_series(1, 10) AS id",
        )
        yield made


def _view(owner: str | None = None) -> View:
    return View(
        name="customer_sources",
        database="crm",
        relation=RelationName("public", "customer_sources"),
        kind=Kind.MATERIALIZED_VIEW,
        query="SELECT id FROM sales.orders",
        query_path=Path("customer_sources.sql"),
        key=("id",),
        owner=owner,
    )


def _works(site: Site, view: View, *, creates: bool) -> bool:
    """Whether refresher can create the view, if it is to, and refresh it in both ways."""
    session = Session(endpoint_of(site.as_daemon), worker="test/1/a")
    try:
        connection = session.connection()
        migrate(connection)
        if creates and not _applies(session, view):
            return False
        return _refreshes(session, connection, view)
    except (RefresherError, psycopg.Error):
        return False
    finally:
        session.discard()


def _applies(session: Session, view: View) -> bool:
    applied = apply(
        Populator(
            session=session,
            database=DatabaseConfig(alias="crm", conninfo=Secret("")),
            views={view.name: view},
            emit=lambda _event: None,
            began=lambda _discharge: None,
        )
    )
    return applied.succeeded


def _refreshes(session: Session, connection: Connection, view: View) -> bool:
    views = {view.name: view}
    register(connection, views, read_graph(connection, views), max_parallel=1)
    return all(
        _refresh(session, connection, view, strategy)
        for strategy in (Strategy.FULL, Strategy.CONCURRENT)
    )


def _refresh(session: Session, connection: Connection, view: View, strategy: Strategy) -> bool:
    now = read_clock(connection)
    task = Task(
        view=view,
        upstreams=(),
        trigger=Trigger.MANUAL,
        due_at=now,
        attempt=1,
        ready_at=now,
        strategy=strategy,
        max_parallel=1,
        misfires=lambda _previous, _as_of: 0,
    )
    result = Attempt(session, task, lambda _event: None).run()
    return isinstance(result, Ended) and result.run.succeeded


# What stands before somebody comes who may refresh it, and no more.
_OTHERS_VIEW = (
    "GRANT TEMPORARY ON DATABASE crm TO crm_owner",
    "GRANT USAGE, CREATE ON SCHEMA public TO crm_owner",
    "GRANT USAGE ON SCHEMA sales TO crm_owner",
    "GRANT SELECT ON sales.orders TO crm_owner",
    "SET ROLE crm_owner",
    "CREATE MATERIALIZED VIEW customer_sources AS SELECT id FROM sales.orders",
    "CREATE UNIQUE INDEX ON customer_sources (id)",
    "RESET ROLE",
)


def _cases() -> Iterator[Any]:
    for kind in _SITES:
        marks = [pytest.mark.pg(">= 17")] if kind == "borrowed" else []
        for left_out in ("nothing", *_recipe(kind)):
            yield pytest.param(kind, left_out, marks=marks, id=f"{kind}-{left_out}")


@pytest.mark.parametrize(("kind", "left_out"), list(_cases()))
def test_a_recipe_is_enough_and_every_grant_of_it_is_needed(
    site: Site, kind: str, left_out: str
) -> None:
    if kind == "borrowed":
        site.execute(*_OTHERS_VIEW)
    site.execute(*(grant for grant in _recipe(kind) if grant != left_out))
    view = _view(owner=site.owner if kind == "member" else None)
    assert _works(site, view, creates=kind != "borrowed") is (left_out == "nothing")


def _faults(site: Site, view: View) -> list[Finding]:
    """What the doctor finds wrong."""
    database = DatabaseConfig(alias="crm", conninfo=Secret(""))
    views = {view.name: view}
    found = judge(database, views, examine(endpoint_of(site.as_daemon), views))
    return [finding for finding in found if finding.severity is not Severity.NOTE]


@pytest.mark.parametrize(("kind", "left_out"), list(_cases()))
def test_the_doctor_finds_what_is_left_out_and_its_cure_is_one(
    site: Site, kind: str, left_out: str
) -> None:
    if kind == "borrowed":
        site.execute(*_OTHERS_VIEW)
    site.execute(*(grant for grant in _recipe(kind) if grant != left_out))
    view = _view(owner=site.owner if kind == "member" else None)
    if left_out.startswith("GRANT CONNECT"):
        with pytest.raises(UnreachableError):
            _faults(site, view)
        return
    found = _faults(site, view)
    assert bool(found) is (left_out != "nothing")
    for finding in found:
        assert finding.sql
        site.execute(*finding.sql)
    assert _faults(site, view) == []
    assert _works(site, view, creates=kind != "borrowed")


def test_create_on_the_database_stands_for_a_schema_that_is_made_before(site: Site) -> None:
    made, *rest = _recipe("own")
    assert made == "CREATE SCHEMA refresher AUTHORIZATION refresher_daemon"
    site.execute("GRANT CREATE ON DATABASE crm TO refresher_daemon", *rest)
    assert _works(site, _view(), creates=True)


@pytest.mark.pg(">= 16")
def test_who_creates_nothing_need_not_be_able_to_become_the_owner(site: Site) -> None:
    site.execute(*_OTHERS_VIEW)
    membership = "GRANT crm_owner TO refresher_daemon"
    narrowed = "GRANT crm_owner TO refresher_daemon WITH INHERIT TRUE, SET FALSE"
    grants = [narrowed if grant == membership else grant for grant in _recipe("member")]
    assert narrowed in grants
    site.execute(*grants)
    assert _works(site, _view(site.owner), creates=False)


def _differing(site: Site, view: View) -> int:
    session = Session(endpoint_of(site.as_daemon), worker="test/1/a")
    try:
        verified = Verification(session=session, view=view, sample=None, limit=3).run()
    finally:
        session.discard()
    return verified.comparison.differing


@pytest.mark.parametrize("kind", ["own", "member"])
def test_whoever_may_refresh_a_view_may_verify_it(site: Site, kind: str) -> None:
    site.execute(*_recipe(kind))
    view = _view(owner=site.owner if kind == "member" else None)
    assert _works(site, view, creates=True)
    assert _differing(site, view) == 0
    site.execute("INSERT INTO sales.orders VALUES (11)")
    assert _differing(site, view) == 1


@pytest.mark.pg(">= 17")
def test_whoever_borrows_a_view_must_read_its_sources_to_verify_it(site: Site) -> None:
    site.execute(*_OTHERS_VIEW, *_recipe("borrowed"))
    view = _view()
    assert _works(site, view, creates=False)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _differing(site, view)
    site.execute(
        "GRANT TEMPORARY ON DATABASE crm TO refresher_daemon",
        "GRANT USAGE ON SCHEMA sales TO refresher_daemon",
        "GRANT SELECT ON sales.orders, public.customer_sources TO refresher_daemon",
    )
    assert _differing(site, view) == 0


def test_an_application_may_ask_how_fresh_views_are_and_nothing_else(site: Site) -> None:
    site.execute(*_recipe("own"))
    assert _works(site, _view(), creates=True)
    *_, look = blocks(DOCS / "privileges.md", "sql")
    looks = look.text.splitlines()
    assert len(looks) == 2
    site.execute("GRANT CONNECT ON DATABASE crm TO dashboard", *looks)
    with sessions.connect(endpoint_of(site.as_dashboard)) as connection:
        (row,) = connection.execute("SELECT view, state FROM refresher.freshness").fetchall()
        assert row == {"view": "customer_sources", "state": "fresh"}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM refresher.run")
