"""What a valid configuration means."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from refresher.config.model import (
    AfterUpstream,
    Audit,
    Checks,
    Column,
    Cron,
    Default,
    Every,
    Index,
    Kind,
    Manual,
    Retry,
    Secret,
    Server,
    TargetLag,
    Throttle,
    Timeouts,
)
from refresher.hours import parse_hours
from refresher.names import RelationName
from refresher.runs import Strategy
from refresher.windows import Windows
from tests.unit.config.project import Project

EVERYTHING = """
    databases:
      crm:
        conninfo: "postgresql://crm:${PASSWORD}@localhost/crm"
        max_parallel: 2
        session: {work_mem: 256MB, jit: off, my.setting: "1"}
        throttle: {replication_lag: 30s, active_connections: 50, oldest_transaction: 10m}
      erp: {conninfo: service=erp}
    include: [more/*.yaml]
    defaults:
      owner: crm_owner
      grants: {reader: [select]}
      strategy: concurrent
      allow_blocking: true
      schedule: {every: 15m, jitter: 10s}
      max_staleness: 1h
      timeouts: {lock: 1s}
      retry: {attempts: 5}
      vacuum: never
    views:
      customer_orders_v:
        kind: view
        database: crm
      customer_sources:
        kind: materialized_view
        database: crm
        relation: reporting."Customer Sources"
        sql: ../shared/sources.sql
        key: [customer_id]
        indexes:
          - columns: [source]
          - expression: lower(email) -- for the search
            unique: true
            method: btree
            where: email IS NOT NULL
            include: [source]
            name: by_email
            statistics: {1: 500}
          - definition: USING gin (source gin_trgm_ops) WHERE (a > 1) -- the odd one
        grants: {authenticator: [select with grant option, maintain], public: [select]}
        owner: boss
        comment: "Sources: where customers came from"
        options: {fillfactor: 70, autovacuum_enabled: false, toast.x: "off", scale: 0.00001}
        renamed_from: sources
        tags: [crm, nightly]
        strategy: full
        allow_blocking: false
        schedule: {cron: "0 3 * * *", timezone: Europe/Amsterdam, jitter: 5m}
        max_staleness: none
        timeouts: {statement: 1h30m}
        retry: {backoff: 500ms, max_backoff: 10s}
        vacuum: auto
        checks: {min_rows: 15000, max_shrink: 20%, assert: "SELECT true;"}
        audit: {every: 12h}
    server:
      listen: "[::1]:0"
      token_file: token
      tls_cert: tls/cert.pem
      tls_key: tls/key.pem
    prune: true
"""


@pytest.fixture
def everything(project: Project) -> Project:
    project.folder = project.folder / "conf"
    project.config(EVERYTHING)
    project.environment = {"PASSWORD": "hunter2"}
    project.write("sql/customer_orders_v.sql", "-- All orders\nSELECT 1 AS id; -- done\n")
    project.write("../shared/sources.sql", "\ufeffWITH x AS (SELECT 1)\nTABLE x\n;\n")
    project.write("more/a.yaml", "views: {extra: {kind: materialized_view, database: erp}}")
    project.write("sql/extra.sql", "VALUES (1)")
    for name in ("token", "tls/cert.pem", "tls/key.pem"):
        project.write(name, "x")
    return project


def test_databases(everything: Project) -> None:
    databases = everything.load().databases
    assert list(databases) == ["crm", "erp"]
    assert databases["crm"].conninfo == Secret("postgresql://crm:hunter2@localhost/crm")
    assert databases["crm"].max_parallel == 2
    assert databases["crm"].session == {"work_mem": "256MB", "jit": "off", "my.setting": "1"}
    assert databases["crm"].throttle == Throttle(
        replication_lag=timedelta(seconds=30),
        active_connections=50,
        oldest_transaction=timedelta(minutes=10),
    )
    assert (databases["erp"].max_parallel, databases["erp"].session) == (4, {})
    assert databases["erp"].throttle.keys == ()


def test_every_key_of_a_view(everything: Project) -> None:
    view = everything.load().views["customer_sources"]
    assert view.relation == RelationName("reporting", "Customer Sources")
    assert view.kind is Kind.MATERIALIZED_VIEW
    assert view.query == "WITH x AS (SELECT 1)\nTABLE x"
    assert view.query_path == everything.folder / "../shared/sources.sql"
    assert view.key == ("customer_id",)
    assert view.indexes == (
        Index(columns=("source",)),
        Index(
            expression="lower(email)",
            unique=True,
            where="email IS NOT NULL",
            include=("source",),
            name="by_email",
            statistics={1: 500},
        ),
        Index(definition="USING gin (source gin_trgm_ops) WHERE (a > 1)"),
    )
    assert view.grants == {
        "authenticator": ("select with grant option", "maintain"),
        "public": ("select",),
    }
    assert view.owner == "boss"
    assert view.comment == "Sources: where customers came from"
    assert view.options == {
        "fillfactor": "70",
        "autovacuum_enabled": "false",
        "toast.x": "off",
        "scale": "0.00001",
    }
    assert view.renamed_from == "sources"
    assert view.tags == ("crm", "nightly")
    assert view.strategy is Strategy.FULL
    assert view.allow_blocking is False
    assert view.schedule == Cron(
        cron="0 3 * * *", timezone=ZoneInfo("Europe/Amsterdam"), jitter=timedelta(minutes=5)
    )
    assert view.max_staleness is None
    assert view.timeouts == Timeouts(statement=timedelta(minutes=90))
    assert view.vacuum
    assert view.retry == Retry(
        backoff=timedelta(milliseconds=500), max_backoff=timedelta(seconds=10)
    )
    assert view.checks == Checks(min_rows=15_000, max_shrink=0.2, assertion="SELECT true")
    assert view.audit == Audit(every=timedelta(hours=12), sample=1000)


def test_a_view_takes_what_it_does_not_say_from_defaults(everything: Project) -> None:
    view = everything.load().views["extra"]
    assert view.owner == "crm_owner"
    assert view.grants == {"reader": ("select",)}
    assert view.strategy is Strategy.CONCURRENT
    assert view.allow_blocking is True
    assert view.schedule == Every(every=timedelta(minutes=15), jitter=timedelta(seconds=10))
    assert view.max_staleness == timedelta(hours=1)
    assert view.timeouts == Timeouts(lock=timedelta(seconds=1))
    assert view.retry == Retry(attempts=5)
    assert not view.vacuum


def test_a_plain_view_takes_nothing_about_refreshing_from_defaults(everything: Project) -> None:
    view = everything.load().views["customer_orders_v"]
    assert (view.owner, view.grants) == ("crm_owner", {"reader": ("select",)})
    assert view.schedule == Manual()
    assert view.max_staleness is Default.DERIVED
    assert (view.strategy, view.allow_blocking) == ("auto", False)
    assert (view.timeouts.lock, view.retry) == (timedelta(seconds=1), Retry())
    assert view.query == "-- All orders\nSELECT 1 AS id"


def test_prune(everything: Project) -> None:
    assert everything.load().prune


def test_the_server(everything: Project) -> None:
    assert everything.load().server == Server(
        host="::1",
        port=0,
        token_file=everything.folder / "token",
        tls_cert=everything.folder / "tls/cert.pem",
        tls_key=everything.folder / "tls/key.pem",
    )


def test_every_file_that_was_read_is_listed_once(everything: Project) -> None:
    config = everything.load()
    assert config.path == everything.folder / "config.yaml"
    names = ["config.yaml", "more/a.yaml", "sql/customer_orders_v.sql"]
    names += ["../shared/sources.sql", "sql/extra.sql"]
    assert config.files == tuple(everything.folder / name for name in names)


def test_a_query_file_of_two_views_is_listed_once(project: Project) -> None:
    project.views("views: {a: {kind: view, sql: q.sql}, b: {kind: view, sql: q.sql}}")
    project.write("q.sql", "SELECT 1")
    config = project.load()
    assert config.files == (project.folder / "config.yaml", project.folder / "q.sql")


def test_a_view_in_a_few_words(project: Project) -> None:
    view = project.view("key: [id]")
    assert view.database == "crm"
    assert view.relation == RelationName("public", "v")
    assert view.schedule == Manual()
    assert view.strategy == "auto"
    assert view.max_staleness is Default.DERIVED
    assert view.grants is None
    assert view.options is None
    assert view.renamed_from is None
    assert view.owner is None


def test_no_views_is_a_configuration(project: Project) -> None:
    project.config("databases: {crm: {conninfo: embedded}}")
    config = project.load()
    assert config.views == {}
    assert not config.prune
    assert config.server == Server()


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("manual", Manual()),
        ("{every: 1s}", Every(every=timedelta(seconds=1))),
        ("{every: 7d, jitter: 1h}", Every(every=timedelta(days=7), jitter=timedelta(hours=1))),
        ("{after: upstream}", AfterUpstream()),
        ("{after: upstream, jitter: 5s}", AfterUpstream(jitter=timedelta(seconds=5))),
        ("{cron: '*/5 * * * *'}", Cron(cron="*/5 * * * *", timezone=ZoneInfo("UTC"))),
        (
            "{every: 5m, only: 'mon-fri 06:00-20:00, sat 08:00-12:00', timezone: Asia/Tokyo}",
            Every(
                every=timedelta(minutes=5),
                only=Windows(
                    parse_hours("mon-fri 06:00-20:00, sat 08:00-12:00"), ZoneInfo("Asia/Tokyo")
                ),
            ),
        ),
        (
            "{after: upstream, only: 22:00-06:00}",
            AfterUpstream(only=Windows(parse_hours("22:00-06:00"), ZoneInfo("UTC"))),
        ),
        (
            "{target_lag: 5m, only: sun 22:00-06:00}",
            TargetLag(
                target=timedelta(minutes=5),
                only=Windows(parse_hours("sun 22:00-06:00"), ZoneInfo("UTC")),
            ),
        ),
        (
            "{cron: 0 7 * * *, only: 06:00-08:00, timezone: Asia/Tokyo}",
            Cron(
                cron="0 7 * * *",
                timezone=ZoneInfo("Asia/Tokyo"),
                only=Windows(parse_hours("06:00-08:00"), ZoneInfo("Asia/Tokyo")),
            ),
        ),
        ("{cron: '0 0 29 2 *'}", Cron(cron="0 0 29 2 *", timezone=ZoneInfo("UTC"))),
    ],
)
def test_schedules(project: Project, written: str, schedule: object) -> None:
    assert project.view(f"schedule: {written}").schedule == schedule


@pytest.mark.parametrize(
    ("written", "share"),
    [("20%", 0.2), ("'12.5%'", 0.125), ("0.2", 0.2), ("0%", 0.0), ("100%", 1.0), ("1", 1.0)],
)
def test_max_shrink_is_a_share(project: Project, written: str, share: float) -> None:
    assert project.view(f"checks: {{max_shrink: {written}}}").checks.max_shrink == share


def test_columns_are_names_with_types_or_without(project: Project) -> None:
    columns = "[id, total: numeric, 'Id': '\"char\"', {since: 'timestamp(3) with time zone'}]"
    view = project.view(f"checks: {{columns: {columns}, exact_columns: true}}", kind="view")
    assert view.checks == Checks(
        columns=(
            Column("id"),
            Column("total", "numeric"),
            Column("Id", '"char"'),
            Column("since", "timestamp(3) with time zone"),
        ),
        exact_columns=True,
    )


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("[a]", (("a",),)),
        ("[[a]]", (("a",),)),
        ("[[a, b]]", (("a", "b"),)),
        ("[[a], [b], [a, b]]", (("a",), ("b",), ("a", "b"))),
    ],
)
def test_keys_of_one_column_may_do_without_brackets(
    project: Project, written: str, keys: tuple[tuple[str, ...], ...]
) -> None:
    assert project.view(f"checks: {{unique: {written}}}").checks.unique == keys


def test_a_plain_view_is_checked_as_often_as_it_says(project: Project) -> None:
    default = project.view("checks: {not_null: [a]}", kind="view").checks
    assert (default.not_null, default.every) == (("a",), timedelta(minutes=15))
    assert project.view("checks: {every: 1m}", kind="view").checks.every == timedelta(minutes=1)


def test_a_schedule_of_a_view_replaces_the_default_whole(project: Project) -> None:
    project.views(
        """
        defaults: {schedule: {cron: 0 3 * * *, timezone: Europe/Amsterdam, jitter: 1m}}
        views: {v: {kind: materialized_view, schedule: {cron: 0 4 * * *}}}
        """
    )
    schedule = project.load().views["v"].schedule
    assert schedule == Cron(cron="0 4 * * *", timezone=ZoneInfo("UTC"))


def test_a_plain_view_may_have_a_limit_of_its_own(project: Project) -> None:
    assert project.view("max_staleness: 1h", kind="view").max_staleness == timedelta(hours=1)


def test_an_empty_list_of_grants_leaves_the_owner_alone(project: Project) -> None:
    assert project.view("grants: {}").grants == {}


def test_an_empty_set_of_options_wants_none(project: Project) -> None:
    assert project.view("options: {}", kind="view").options == {}


def test_a_name_keeps_its_case_as_a_relation(project: Project) -> None:
    project.views("views: {Orders: {kind: view}}", {"Orders": "SELECT 1"})
    assert project.load().views["Orders"].relation == RelationName("public", "Orders")


def test_indexes_may_share_columns_when_they_are_named(project: Project) -> None:
    view = project.view("indexes: [{columns: [a]}, {columns: [a], method: hash, name: other}]")
    assert [index.method for index in view.indexes] == ["btree", "hash"]
