"""What is wrong with a configuration, and how it is said."""

import traceback

import pytest

from refresher.config.faults import LIMIT
from refresher.errors import ConfigError
from tests.unit.config.project import ONE_DATABASE, Project, messages

MANY_FAULTS = """\
databases:
  crm:
    conninf: postgresql://crm:hunter2@localhost/crm
    max_parallel: 0
    session: {work_mem: 64, statement_timeout: 5s}
defaults:
  schedule: {every: 12:30}
include: [views/*.yaml]
views:
  customer_sources:
    kind: materialised_view
    schedul: {every: 5m}
    strategy: mege
  customer_orders_v:
    kind: view
    key: [id]
    owner: 7
  customer_orders_v: {kind: view}
probes: {}
server: {listen: ":9187", token_file: secrets/token}
"""

THEIR_MESSAGE = """\
config.yaml:2: databases.crm: conninfo is missing; add it
config.yaml:3: databases.crm.conninf: unknown key; did you mean conninfo?
config.yaml:4: databases.crm.max_parallel: must be 1 or more
config.yaml:5: databases.crm.session.work_mem: must be text; put it in quotes
config.yaml:5: databases.crm.session.statement_timeout: statement_timeout is set by refresher \
itself; remove it (timeouts belong to `timeouts`)
config.yaml:7: defaults.schedule.every: '12:30' is not a duration; write it like 500ms, 30s, 5m, \
1h30m or 7d
config.yaml:11: views.customer_sources.kind: 'materialised_view' is not known here; did you mean \
materialized_view?
config.yaml:12: views.customer_sources.schedul: unknown key; did you mean schedule?
config.yaml:13: views.customer_sources.strategy: 'mege' is not known here; did you mean \
merge?
config.yaml:16: views.customer_orders_v.key: a plain view has nothing to refresh; remove it, or \
use a materialized_view
config.yaml:17: views.customer_orders_v.owner: must be text; put it in quotes
config.yaml:18: views.customer_orders_v: is given twice, first in line 14; keep one of them
config.yaml:19: probes: unknown key; use one of databases, include, defaults, views, server, prune
config.yaml:20: server.listen: ':9187' has no host; write it like 127.0.0.1:9187, [::1]:9187 or \
0.0.0.0:9187
views/more.yaml:1: server: belongs in the main file; an included file holds views only
views/more.yaml:2: views.customer_sources: is given twice, first in config.yaml:10; keep one
views/more.yaml:3: views.late.checks.min_rows: must be a whole number, without quotes
sql/customer_sources.sql:2: views.customer_sources: has a second statement; write one SELECT only
"""


def test_everything_wrong_is_said_at_once_with_file_line_and_path(project: Project) -> None:
    project.config(MANY_FAULTS)
    project.write(
        "views/more.yaml",
        "server: {}\n"
        "views: {customer_sources: {kind: view},\n"
        "  late: {kind: materialized_view, checks: {min_rows: many}}}\n",
    )
    project.write("sql/customer_sources.sql", "SELECT 1;\nDROP TABLE customers")
    project.write("sql/customer_orders_v.sql", "SELECT 1")
    project.write("sql/late.sql", "SELECT 1")
    assert project.faults() == THEIR_MESSAGE.splitlines()


def test_faults_are_in_the_order_of_lines_the_main_file_first(project: Project) -> None:
    project.views(
        """
        views:
          v: {kind: view}
          w: {kind: nothing}
        """,
        {"v": "DROP TABLE x", "w": "SELECT 1"},
    )
    assert [fault.split(": ")[0] for fault in project.faults()] == ["config.yaml:5", "sql/v.sql:1"]


def test_the_error_tells_the_exit_code_and_has_no_history(project: Project) -> None:
    project.config("databases: {crm: {conninfo: 'host=x pasword=hunter2'}}")
    with pytest.raises(ConfigError) as caught:
        project.load()
    assert caught.value.exit_code == 2
    whole = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in whole
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_so_many_faults_that_the_rest_is_only_mentioned(project: Project) -> None:
    project.config(ONE_DATABASE + "\n".join(f"key{number}: 1" for number in range(LIMIT * 10)))
    faults = project.faults()
    assert len(faults) == LIMIT + 1
    assert faults[-1] == f"more than {LIMIT} faults; the others are not shown"


@pytest.mark.parametrize(("keys", "problem"), messages("view"))
def test_one_fault_in_a_view(project: Project, keys: str, problem: str) -> None:
    assert project.fault_in_view(keys) == problem


@pytest.mark.parametrize(("schedule", "problem"), messages("schedule"))
def test_one_fault_in_a_schedule(project: Project, schedule: str, problem: str) -> None:
    assert project.fault_in_view(f"schedule: {schedule}") == f".schedule{problem}"


@pytest.mark.parametrize(
    "key",
    [
        "key: [a]",
        "indexes: []",
        "strategy: full",
        "allow_blocking: false",
        "schedule: manual",
        "retry: {attempts: 1}",
    ],
)
def test_a_plain_view_refuses_what_is_about_refreshing(project: Project, key: str) -> None:
    name = key.partition(":")[0]
    advice = "a plain view has nothing to refresh; remove it, or use a materialized_view"
    assert project.fault_in_view(key, kind="view") == f".{name}: {advice}"


def test_a_plain_view_has_nothing_that_could_shrink(project: Project) -> None:
    assert project.fault_in_view("checks: {max_shrink: 20%}", kind="view") == (
        ".checks.max_shrink: a plain view has no earlier contents to compare with; remove it"
    )


def test_an_audit_needs_a_key(project: Project) -> None:
    assert project.fault_in_view("audit: {every: 24h}") == (
        ".audit: needs a key to tell rows apart; add the key"
    )


def test_a_plain_view_has_nothing_to_audit(project: Project) -> None:
    assert project.fault_in_view("audit: {every: 24h}", kind="view") == (
        ".audit: a plain view has nothing to refresh; remove it, or use a materialized_view"
    )


@pytest.mark.parametrize(("text", "fault"), messages("databases"))
def test_one_fault_in_the_databases(project: Project, text: str, fault: str) -> None:
    project.config(text)
    assert project.faults() == [fault]


@pytest.mark.parametrize("setting", ["role", "lock_timeout", "default_transaction_isolation"])
def test_a_session_leaves_refreshers_own_settings_alone(project: Project, setting: str) -> None:
    project.config(f"databases: {{a: {{conninfo: embedded, session: {{{setting}: x}}}}}}")
    [fault] = project.faults()
    assert f"{setting} is set by refresher itself" in fault


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://u:hunter2@[h/d",
        "host=x pasword=hunter2",
        "hunter2",
        "postgresql://u:%zz@h/",
        "postgresql://u:p@hunter2@h/d",
        "{password: hunter2}",
        "[hunter2]",
        "'host=x password=''hunter2'",
    ],
)
def test_no_message_shows_a_conninfo(project: Project, conninfo: str) -> None:
    project.config(f"databases:\n  crm:\n    conninfo: {conninfo}\n")
    [fault] = project.faults()
    assert fault.startswith("config.yaml:3: databases.crm.conninfo: ")
    assert "hunter2" not in fault
    for misplaced in (f"databases: {{crm: {conninfo}}}", f"databases:\n  {conninfo}"):
        project.config(misplaced)
        assert "hunter2" not in "".join(project.faults())


@pytest.mark.parametrize(("server", "fault"), messages("server"))
def test_one_fault_in_the_server(project: Project, server: str, fault: str) -> None:
    project.config(f"{ONE_DATABASE}server: {{{server}}}")
    assert project.faults() == [f"config.yaml:2: server{fault}"]


@pytest.mark.parametrize(
    "name", ["''", "a/b", ".a", "-a", "' a'", '"a\\nb"', '"a\\x7f"', "é" * 32, "a" * 64]
)
def test_names_that_can_be_neither_file_nor_label(project: Project, name: str) -> None:
    project.config(f"{ONE_DATABASE}views:\n  {name}: {{kind: view}}\n")
    [fault] = project.faults()
    assert fault.startswith("config.yaml:3: views: ")
    assert fault.isprintable()


def test_two_views_can_not_be_one_relation(project: Project) -> None:
    project.views(
        """
        views:
          v: {kind: view, relation: public.W}
          w: {kind: view}
        """,
        {"v": "SELECT 1", "w": "SELECT 1"},
    )
    assert project.faults() == [
        "config.yaml:5: views.w: has the name in the database that config.yaml:4 has; rename one"
    ]


def test_a_view_takes_over_no_name_that_another_one_takes(project: Project) -> None:
    project.views(
        """
        views:
          v: {kind: view, renamed_from: u}
          w: {kind: view, renamed_from: u}
          x: {kind: view, renamed_from: v}
        """,
        dict.fromkeys("vwx", "SELECT 1"),
    )
    assert project.faults() == [
        "config.yaml:5: views.w.renamed_from: is what config.yaml:4 was renamed from; keep one",
        "config.yaml:6: views.x.renamed_from: is the name of the view in config.yaml:4; remove one",
    ]


def test_views_of_a_group_are_due_together(project: Project) -> None:
    project.views(
        """
        views:
          v: {kind: materialized_view, group: g, schedule: {every: 5m}}
          w: {kind: materialized_view, group: g, schedule: {every: 6m}}
          x: {kind: materialized_view, group: g, schedule: {every: 5m}}
          y: {kind: view, group: g}
        """,
        dict.fromkeys("vwxy", "SELECT 1"),
    )
    assert project.faults() == [
        (
            "config.yaml:5: views.w.group: is also the group of the view in config.yaml:4; give"
            " both the same schedule"
        ),
        (
            "config.yaml:7: views.y.group: a plain view has nothing to refresh; remove it, or use a"
            " materialized_view"
        ),
    ]


@pytest.mark.parametrize("written", ["yes", "'true'", "1", "[true]"])
def test_prune_is_yes_or_no(project: Project, written: str) -> None:
    project.config(f"{ONE_DATABASE}prune: {written}")
    assert project.faults() == ["config.yaml:2: prune: must be true or false, without quotes"]


def test_the_same_relation_in_two_databases_is_fine(project: Project) -> None:
    project.config(
        """
        databases: {a: {conninfo: embedded}, b: {conninfo: embedded}}
        views:
          v: {kind: view, database: a, relation: x, sql: q.sql}
          w: {kind: view, database: b, relation: x, sql: q.sql}
        """
    )
    project.write("q.sql", "SELECT 1")
    assert set(project.load().views) == {"v", "w"}


def test_a_view_must_name_its_database_when_there_are_several(project: Project) -> None:
    project.config(
        """
        databases: {crm: {conninfo: embedded}, erp: {conninfo: embedded}}
        views:
          v: {kind: view}
          w: {kind: view, database: crn}
        """
    )
    for name in ("v", "w"):
        project.write(f"sql/{name}.sql", "SELECT 1")
    assert project.faults() == [
        "config.yaml:4: views.v: database is missing; use one of crm, erp",
        "config.yaml:5: views.w.database: no such database is configured; did you mean crm?",
    ]
