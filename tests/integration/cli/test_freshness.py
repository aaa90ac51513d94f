"""`refresher freshness` tells what makes a view so old, and what to do about it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.integration.cli.conftest import Commands
from tests.project import materialized

VIEWS = {
    "numbers": materialized("SELECT id FROM numbered", schedule="manual"),
    "evens": materialized("SELECT id FROM numbers WHERE id % 2 = 0", schedule={"every": "1h"}),
    "odds_v": {"kind": "view", "query": "SELECT id FROM numbers WHERE id % 2 = 1"},
    "odds": materialized("SELECT id FROM odds_v", schedule={"after": "upstream"}),
    "summary": materialized(
        "SELECT id FROM odds UNION SELECT id FROM evens",
        schedule={"cron": "0 3 * * *"},
        max_staleness="30m",
    ),
    "page": {"kind": "view", "query": "SELECT id FROM summary JOIN numbered USING (id)"},
    "live": {"kind": "view", "query": "SELECT id FROM numbered"},
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as opened:
        yield opened


@pytest.fixture
def applied(commands: Commands) -> Commands:
    commands.configure(VIEWS)
    commands.apply()
    return commands


def explained(commands: Commands, view: str) -> dict[str, Any]:
    done = commands.run("freshness", view, "--json")
    assert (done.code, done.stderr) == (0, "")
    document: dict[str, Any] = done.json()
    return document


def age(connection: Connection, **hours: int) -> None:
    """Make what was recorded of views older; of what read them, too."""
    for view, by in hours.items():
        connection.execute(
            "UPDATE refresher.state SET as_of = as_of - %(by)s, data_as_of = data_as_of - %(by)s"
            " WHERE view = %(view)s",
            {"view": view, "by": timedelta(hours=by)},
        )


def refresh(commands: Commands, *views: str) -> None:
    assert commands.run("run-now", *views).code == 0


def test_what_a_view_comes_from_is_shown_down_to_the_tables(
    applied: Commands, connection: Connection
) -> None:
    age(connection, numbers=3)
    refresh(applied, "evens", "odds", "summary")

    done = applied.run("freshness", "page")

    assert (done.code, done.stderr) == (0, "")
    headline, _, titles, *rows, _, why, cure = done.stdout.splitlines()
    assert headline == "page: stale, 3h behind; max staleness 30m"
    assert titles.split("  ")[0] == "reads"
    names = [row[: len(row) - len(row.lstrip())] + row.split()[0] for row in rows]
    assert names == [
        "page",
        "  summary",
        "    evens",
        "      numbers",
        "        public.numbered",
        "    odds",
        "      odds_v",
        "        numbers",
        "  public.numbered",
    ]
    assert [name for name, row in zip(names, rows, strict=True) if "the oldest" in row] == [
        "      numbers",
        "        numbers",
    ]
    assert rows[7].endswith("see above")
    assert why.startswith("numbers was refreshed 3h ago, as of 20")
    assert why.endswith(
        "; page shows nothing newer (page → summary → evens → numbers)."
        " numbers is refreshed by hand only."
    )
    assert cure == "To have it sooner: refresher run-now page --upstream"


def test_the_document_has_every_link_once(applied: Commands, connection: Connection) -> None:
    age(connection, numbers=3)
    refresh(applied, "odds", "evens", "summary")

    document = explained(applied, "page")

    assert (document["view"], document["state"], document["cause"]) == ("page", "stale", "upstream")
    assert document["path"] == ["page", "summary", "evens", "numbers"]
    assert document["command"] == "refresher run-now page --upstream"
    assert document["max_staleness_seconds"] == 1800
    links = {link["view"]: link for link in document["links"]}
    assert list(links) == ["page", "evens", "numbers", "odds", "odds_v", "summary"]
    assert links["page"]["reads"] == [
        {"name": "summary", "kind": "managed"},
        {"name": "public.numbered", "kind": "table"},
    ]
    assert links["summary"]["read_at"] == {name: links[name]["as_of"] for name in ("evens", "odds")}
    assert links["odds"]["read_at"] == {"numbers": links["numbers"]["as_of"]}
    assert links["summary"]["data_as_of"] == links["numbers"]["as_of"] == document["data_as_of"]
    assert [link["schedule"] for link in links.values()] == [
        None,
        "every 1h",
        "manual",
        "after upstream",
        None,
        "cron 0 3 * * * UTC",
    ]


def test_the_moment_at_which_an_upstream_was_read_is_shown_beside_its_own(
    applied: Commands, connection: Connection
) -> None:
    before = explained(applied, "evens")
    age(connection, numbers=2, evens=2)
    connection.execute(
        "UPDATE refresher.state SET upstreams_seen = jsonb_build_object('numbers', data_as_of)"
        " WHERE view = 'evens'"
    )
    connection.execute(
        "UPDATE refresher.state SET data_as_of = (upstreams_seen ->> 'numbers')::timestamptz,"
        " oldest = '{evens,numbers}' WHERE view = 'evens'"
    )
    refresh(applied, "numbers")

    document = explained(applied, "evens")

    assert before["cause"] == "upstream"
    assert document["cause"] == "not_read_yet"
    assert "It has been refreshed since, but evens has not read that yet." in document["reason"]
    evens, numbers = document["links"]
    read_at = datetime.fromisoformat(evens["read_at"]["numbers"])
    assert read_at == datetime.fromisoformat(document["data_as_of"])
    assert datetime.fromisoformat(numbers["as_of"]) > read_at + timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "cause", "words"),
    [
        (None, "own", "numbers was refreshed "),
        ("UPDATE refresher.state SET lineage = '1/00000001'", "lineage", "another server"),
        (
            "UPDATE refresher.state SET as_of = as_of + interval '1 day'",
            "clock",
            "at a time that is still to come",
        ),
        ("REFRESH MATERIALIZED VIEW numbers WITH NO DATA", "empty", "never populated"),
        ("DELETE FROM refresher.state", "foreign", "is not refresher's"),
        ("DROP MATERIALIZED VIEW numbers CASCADE", "missing", "stands under the name of numbers"),
    ],
    ids=lambda value: value if value and " " not in value else "",
)
def test_why_nobody_can_tell(
    applied: Commands, connection: Connection, change: str | None, cause: str, words: str
) -> None:
    if change is not None:
        connection.execute(change.encode())

    document = explained(applied, "numbers")

    assert document["cause"] == cause
    assert words in document["reason"]
    assert (document["data_as_of"] is None) == (cause != "own")
    healing = "apply" if cause == "missing" else "run-now"
    assert document["command"].startswith(f"refresher {healing} numbers")


def test_what_nobody_manages_is_named(applied: Commands, connection: Connection) -> None:
    connection.execute("CREATE MATERIALIZED VIEW others AS SELECT 1 AS id")
    applied.configure({"reader": materialized("SELECT id FROM others")})
    applied.apply()

    done = applied.run("freshness", "reader")

    assert done.code == 0
    assert "\n  public.others " in done.stdout
    assert "reader reads public.others, which the configuration does not name" in done.stdout
    assert done.stdout.endswith("\nAdd public.others to `views`.\n")


def test_a_plain_view_of_tables_is_always_up_to_date(applied: Commands) -> None:
    document = explained(applied, "live")

    assert (document["cause"], document["staleness_seconds"]) == ("live", 0)
    assert document["command"] is None


def test_unknown_when_it_was_read_and_known_now(applied: Commands, connection: Connection) -> None:
    connection.execute("UPDATE refresher.state SET lineage = '1/00000001' WHERE view = 'numbers'")
    refresh(applied, "evens")
    while_unknown = explained(applied, "evens")
    refresh(applied, "numbers")

    document = explained(applied, "evens")

    assert (while_unknown["cause"], while_unknown["path"]) == ("lineage", ["evens", "numbers"])
    assert (document["state"], document["cause"]) == ("unknown", "was_unknown")
    refresh(applied, "evens")
    assert explained(applied, "evens")["state"] == "fresh"


def test_a_view_that_is_not_configured(applied: Commands) -> None:
    done = applied.run("freshness", "pages")
    assert (done.code, done.stdout) == (2, "")
    assert "has no view 'pages'" in done.stderr
