"""Which materialized views a job of pg_cron refreshes."""

import pytest

from refresher.adoption.commands import does_more, refreshed_by
from refresher.adoption.model import Job, RefreshFunction
from refresher.names import RelationName

SALES = RelationName("crm", "sales")
ODD = RelationName("crm", 'Odd "one"')
PUBLIC = RelationName("public", "totals")
OWN = RelationName("nightly", "totals")
STANDING = [SALES, ODD, PUBLIC, OWN]


def job(command: str, username: str = "postgres") -> Job:
    return Job(
        number=1, name=None, schedule="* * * * *", command=command, username=username, active=True
    )


@pytest.mark.parametrize(
    ("command", "refreshed"),
    [
        ("REFRESH MATERIALIZED VIEW crm.sales", {SALES}),
        ("refresh materialized view concurrently CRM.Sales with data;", {SALES}),
        ("REFRESH -- all\n MATERIALIZED /* x */ VIEW crm . sales", {SALES}),
        ("REFRESH MATERIALIZED VIEW sales", {SALES}),
        ('REFRESH MATERIALIZED VIEW crm."Odd ""one"""', {ODD}),
        ("ANALYZE; REFRESH MATERIALIZED VIEW crm.sales; REFRESH MATERIALIZED VIEW totals;",
         {SALES, PUBLIC}),
        ("DO $x$BEGIN REFRESH MATERIALIZED VIEW crm.sales; END$x$", {SALES}),
        ("DO $$BEGIN EXECUTE 'REFRESH MATERIALIZED VIEW \"crm\".\"sales\"'; END$$", {SALES}),
        ("REFRESH MATERIALIZED VIEW crm.sales WITH NO DATA", set()),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY crm.sales WITH NO DATA", set()),
        ("REFRESH MATERIALIZED VIEW other.sales", set()),
        ("REFRESH MATERIALIZED VIEW", set()),
        ("REFRESH MATERIALIZED VIEW crm.", set()),
        ("-- REFRESH MATERIALIZED VIEW crm.sales", set()),
        ("SELECT 'REFRESH MATERIALIZED VIEW crm.sales'", set()),
        ("REFRESH MATERIALIZED VIEW crm.sales; SELECT 'open", set()),
        ("VACUUM crm.sales", set()),
        ("", set()),
    ],
)  # fmt: skip
def test_a_command(command: str, refreshed: set[RelationName]) -> None:
    assert refreshed_by(job(command), [], STANDING) == refreshed


def test_a_bare_name_is_first_looked_for_in_a_schema_of_the_user() -> None:
    command = "REFRESH MATERIALIZED VIEW totals"
    assert refreshed_by(job(command, "nightly"), [], STANDING) == {OWN}
    assert refreshed_by(job(command), [], [OWN, RelationName("crm", "totals")]) == set()


@pytest.mark.parametrize(
    ("command", "refreshed"),
    [
        ("SELECT refresh_all()", {SALES}),
        ("SELECT ops.refresh_all();", {SALES}),
        ('CALL "ops".REFRESH_ALL ()', {SALES}),
        ("SELECT other.refresh_all()", set()),
        ("SELECT refresh_all", set()),
    ],
)
def test_a_function_that_it_calls(command: str, refreshed: set[RelationName]) -> None:
    body = "BEGIN REFRESH MATERIALIZED VIEW crm.sales; END"
    functions = [
        RefreshFunction(schema="ops", name="refresh_all", body=body),
        RefreshFunction(schema="ops", name="unused", body="REFRESH MATERIALIZED VIEW totals"),
    ]
    assert refreshed_by(job(command), functions, STANDING) == refreshed


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("REFRESH MATERIALIZED VIEW a; ; refresh materialized view b", False),
        ("REFRESH MATERIALIZED VIEW a; DELETE FROM b", True),
        ("SELECT refresh_all()", True),
        ("'open", False),
    ],
)
def test_what_else_it_does(command: str, more: bool) -> None:  # noqa: FBT001 - an expectation
    assert does_more(job(command)) is more


def test_strings_in_strings_without_end() -> None:
    command = "REFRESH MATERIALIZED VIEW crm.sales"
    for depth in range(40):
        command = f"DO $a{depth}${command}$a{depth}$"
    assert refreshed_by(job(command), [], STANDING) == set()


def test_a_job_is_named_by_number_and_name() -> None:
    assert str(job("")) == "job 1"
    named = Job(number=7, name="a\nb", schedule="", command="", username="", active=True)
    assert str(named) == r"job 7 'a\nb'"
