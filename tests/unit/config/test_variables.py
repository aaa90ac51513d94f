"""`${NAME}` in values."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.variables import VariableError, Variables
from tests.unit.config.project import ONE_DATABASE, Project

SECRET = "hunter2"  # noqa: S105 - the word these tests look for


@pytest.mark.parametrize(
    ("text", "environment", "expanded"),
    [
        ("plain", {}, "plain"),
        ("${A}", {"A": "x"}, "x"),
        ("a${A}b${B_2}c", {"A": "1", "B_2": "2"}, "a1b2c"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-d}", {"A": "x"}, "x"),
        ("${A:-}", {}, ""),
        ("${A:-a b:c-d'\"}", {}, "a b:c-d'\""),
        ("${A}", {"A": ""}, ""),
        ("$$", {}, "$"),
        ("$$$$", {}, "$$"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$$${A}", {"A": "x"}, "$x"),
        ("${A}", {"A": "${B}", "B": "x"}, "${B}"),
        ("${A}", {"A": "$$"}, "$$"),
    ],
)
def test_expansion(text: str, environment: Mapping[str, str], expanded: str) -> None:
    assert Variables(environment).expand(text) == expanded


@pytest.mark.parametrize(
    "text",
    ["$", "$A", "a$", "${}", "${", "${A", "${1}", "${A-b}", "${A:b}", "${ A }", "${A:-${B}}"],
)
def test_a_dollar_that_begins_nothing_is_refused(text: str) -> None:
    with pytest.raises(VariableError, match="write '\\$\\{NAME\\}'"):
        Variables({"A": SECRET, "B": SECRET}).expand(text)


def test_all_unset_variables_are_named_together() -> None:
    with pytest.raises(VariableError) as caught:
        Variables({"B": SECRET}).expand("${A}:${B}@${C}${C}")
    assert str(caught.value) == (
        "${A}, ${C} not set; set it in the environment, or write ${NAME:-default}"
    )


def test_variables_can_not_fill_the_memory() -> None:
    variables = Variables({"A": "x" * 100_000})
    for _ in range(10):
        variables.expand("${A}")
    with pytest.raises(VariableError, match="use fewer"):
        variables.expand("${A}")


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_a_dollar_stays_as_it_is(text: str) -> None:
    assert Variables({}).expand(text) == text


@given(st.text())
def test_doubled_dollars_bring_any_text_back(text: str) -> None:
    assert Variables({}).expand(text.replace("$", "$$")) == text


@pytest.mark.parametrize(
    "value", ["x\nviews: {}", "{a: b}", "[a]", "&a", "*a", "!x y", "# c", "'", '"', "a: b", "- a"]
)
def test_a_value_can_not_change_the_structure(project: Project, value: str) -> None:
    project.environment["COMMENT"] = value
    assert project.view("comment: '${COMMENT}'").comment == value


@pytest.mark.parametrize("value", ["a\0b", "a\udcffb"])
def test_a_value_that_postgresql_can_not_hold(project: Project, value: str) -> None:
    project.environment["COMMENT"] = value
    problem = project.fault_in_view("comment: '${COMMENT}'")
    assert problem.startswith(".comment: ")
    assert problem.isprintable()


@pytest.mark.parametrize(
    "keys",
    [
        "relation: 'a.${S}.c'", "database: '${S}'", "sql: '${S}'", "sql: '${S}/x.sql'",
        "strategy: '${S}'", "schedule: '${S}'", "schedule: {every: '${S}'}",
        "schedule: {cron: '${S}'}", "schedule: {cron: 0 3 * * *, timezone: '${S}'}",
        "schedule: {after: '${S}'}", "max_staleness: '${S}'", "timeouts: {lock: '${S}'}",
        "retry: {attempts: '${S}'}", "checks: {min_rows: '${S}'}", "checks: {max_shrink: '${S}'}",
        "checks: {assert: '${S}'}", "indexes: [{expression: '${S};'}]", "grants: {r: ['${S}']}",
        "key: ['${S}', '${S}']", "owner: '${S}${S}${S}${S}${S}${S}${S}${S}${S}${S}'",
        "schedule: {every: '${D}', jitter: '${D}'}", "retry: {backoff: '${D}'}",
        "allow_blocking: '${S}'", "checks: {columns: [{a: '${S}('}]}", "checks: {columns: '${S}'}",
        "checks: {columns: ['${S}', '${S}']}", "checks: {unique: ['${S}', a]}",
        "checks: {columns: ['${S}${S}${S}${S}${S}${S}${S}${S}${S}${S}']}",
        "checks: {exact_columns: '${S}'}",
    ],
)  # fmt: skip
def test_no_message_shows_what_a_variable_holds(project: Project, keys: str) -> None:
    project.environment |= {"S": SECRET, "D": "61.61m"}
    problem = project.fault_in_view(keys)
    assert SECRET not in problem
    assert "61.61" not in problem


def test_no_message_shows_a_variable_in_database_or_server(project: Project) -> None:
    project.environment["S"] = SECRET
    project.config(
        """
        databases:
          crm: {conninfo: "host=h password='${S}", max_parallel: "${S}"}
        include: ["${S}/*.yaml"]
        server: {listen: "${S}", token_file: "${S}"}
        """
    )
    assert SECRET not in "".join(project.faults())


def test_a_fault_in_a_query_file_names_it_as_it_is_written(project: Project) -> None:
    project.environment["S"] = SECRET
    project.views("views: {v: {kind: view, sql: '${S}/q.sql'}}")
    project.write(f"{SECRET}/q.sql", "SELECT 1;\nSELECT 2")
    assert project.faults() == [
        "${S}/q.sql:2: views.v: has a second statement; write one SELECT only"
    ]


def test_an_unset_variable_is_one_fault_not_two(project: Project) -> None:
    project.config("databases: {crm: {conninfo: '${DATABASE_URL}', max_parallel: '${N}'}}")
    advice = "set it in the environment, or write ${NAME:-default}"
    assert project.faults() == [
        f"config.yaml:1: databases.crm.conninfo: ${{DATABASE_URL}} not set; {advice}",
        f"config.yaml:1: databases.crm.max_parallel: ${{N}} not set; {advice}",
    ]


def test_numbers_may_come_from_variables(project: Project) -> None:
    project.environment["ROWS"] = "15000"
    project.views(
        """
        views:
          v:
            kind: materialized_view
            checks:
              min_rows: ${ROWS}
              max_shrink: ${SHRINK:-20%}
        """
    )
    checks = project.load().views["v"].checks
    assert (checks.min_rows, checks.max_shrink) == (15_000, 0.2)


def test_a_secret_is_found_nowhere_in_a_configuration_shown(project: Project) -> None:
    project.environment["URL"] = f"postgresql://crm:{SECRET}@localhost/crm"
    project.config(ONE_DATABASE.replace("embedded", "'${URL}'"))
    config = project.load()
    assert config.databases["crm"].conninfo.reveal() == project.environment["URL"]
    assert SECRET not in repr(config)
