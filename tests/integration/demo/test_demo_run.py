import io
import re
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from queue import SimpleQueue

import psycopg
import pytest
from rich.console import RenderableType

from refresher.config.model import Secret
from refresher.demo.cure import demo_config
from refresher.demo.live import refreshing
from refresher.demo.place import Place, RefusedError
from refresher.demo.run import Options, run
from refresher.demo.stage import Stage
from refresher.errors import RefresherError, UnreachableError
from refresher.runs import Outcome, Trigger

POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEFT = """
    SELECT datname FROM pg_database WHERE datname = 'refresher_demo'
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname IN ('authenticator', 'service_role')
"""
LISTED = """
    SELECT count(*), count(list.source) > 100, count(*) FILTER (
        WHERE (list.source, list.customer_since)
            IS DISTINCT FROM (sources.source, sources.customer_since)
    )
    FROM customers_crm_v AS list
    JOIN customer_sources AS sources ON sources.customer_id = list.id
"""


class EventfulStage(Stage):
    """Things happen when the story gets to certain words, each once."""

    def __init__(self, events: Mapping[str, Callable[[], object]]) -> None:
        self.story = io.StringIO()
        super().__init__(self.story)
        self._events = dict(events)

    def say(self, part: RenderableType = "") -> None:
        told = len(self.story.getvalue())
        super().say(part)
        text = self.story.getvalue()[told:]
        for words in [words for words in self._events if words in text]:
            self._events.pop(words)()


@pytest.fixture
def small(demo_server: Secret) -> Iterator[Options]:
    """A small demo on the module's server, of which nothing is left at the end."""
    handlers = [signal.getsignal(number) for number in POLITE]
    yield Options(scale=0.01, database_url=demo_server)
    with psycopg.connect(demo_server.reveal()) as connection:
        assert connection.execute(LEFT).fetchall() == []
    assert handlers == [signal.getsignal(number) for number in POLITE]


def interrupt(number: signal.Signals = signal.SIGINT) -> Callable[[], object]:
    return lambda: signal.raise_signal(number)


def execute(server: Secret, *statements: str, database: str | None = None) -> Callable[[], object]:
    def do() -> None:
        with psycopg.connect(server.reveal(), dbname=database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    return do


def send_away(server: Secret) -> Callable[[], object]:
    def do() -> None:
        with psycopg.connect(server.reveal(), autocommit=True) as connection:
            connection.execute("ALTER DATABASE refresher_demo ALLOW_CONNECTIONS false")
            while not nobody_is_connected(connection):
                pass

    return do


def nobody_is_connected(connection: psycopg.Connection) -> bool:
    """Whether terminating has caught all.

    A backend that begins is let in before it is seen in pg_stat_activity, and would stay. To
    rename a database PostgreSQL counts those too.
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'refresher_demo'"
    )
    try:
        connection.execute("ALTER DATABASE refresher_demo RENAME TO refresher_demo_away")
    except psycopg.errors.ObjectInUse:
        return False
    connection.execute("ALTER DATABASE refresher_demo_away RENAME TO refresher_demo")
    return True


def test_one_cycle_cures_the_list_and_keeps_it_fresh(small: Options) -> None:
    stage = EventfulStage({})
    report = run(Options(once=True, scale=small.scale, database_url=small.database_url), stage)
    story = stage.story.getvalue()
    assert (report.before.page.rows, report.before.page.sqlstate) == (50, None)
    assert (report.before.count.rows, report.after.count.rows) == (155, 155)
    assert (report.after.page.role, report.after.page.rows) == ("authenticator", 50)
    assert {run.outcome for run in report.runs} == {Outcome.SUCCEEDED}
    assert {(run.view, run.trigger) for run in report.runs} == {
        ("source_performance", Trigger.UPSTREAM),
        ("customer_metrics", Trigger.UPSTREAM),
        ("customer_sources", Trigger.SCHEDULE),
        ("source_performance", Trigger.POPULATE),
        ("customer_metrics", Trigger.POPULATE),
        ("customer_sources", Trigger.POPULATE),
    }
    assert "does not die" in story
    assert re.search(r"http://127\.0\.0\.1:\d+/metrics", story)
    assert re.search(r"customer_sources +staleness .+ -> .+ms \(concurrent", story)
    assert "\x1b" not in story
    assert max(map(len, story.splitlines())) <= 100


def test_the_list_reads_what_was_filled_while_orders_came_in(
    small: Options, demo_server: Secret
) -> None:
    listed = []

    def look() -> None:
        with psycopg.connect(demo_server.reveal(), dbname="refresher_demo") as connection:
            listed.extend(connection.execute(LISTED).fetchall())

    stage = EventfulStage({"orders meanwhile": look, "Ctrl-C": interrupt()})
    run(small, stage)
    assert listed == [(155, True, 0)]
    assert re.search(r"customer_metrics +created, populated: 155 rows", stage.story.getvalue())
    assert re.search(r"orders meanwhile +[1-9]\d* placed, none failed", stage.story.getvalue())


def test_a_port_that_is_taken_is_given_up_for_another() -> None:
    nowhere = Place(owner=Secret("host=/nowhere dbname=refresher_demo"), readers={})
    config = demo_config(nowhere, customers=155)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = replace(config.server, port=port)
        with refreshing(replace(config, server=server), SimpleQueue()) as address:
            assert address.startswith("http://127.0.0.1:")
            assert address != f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("Loaded", signal.SIGINT),
        ("The incident", signal.SIGTERM),
        ("The cure", signal.SIGHUP),
        ("customers_crm_v", signal.SIGINT),
        ("before ", signal.SIGTERM),
    ],
)
def test_before_the_live_phase_a_signal_interrupts(
    small: Options, words: str, number: signal.Signals
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(small, EventfulStage({words: interrupt(number)}))


@pytest.mark.parametrize("number", POLITE)
def test_the_live_phase_ends_by_a_signal(small: Options, number: signal.Signals) -> None:
    stage = EventfulStage({"Ctrl-C": interrupt(number)})
    report = run(small, stage)
    assert {run.trigger for run in report.runs} >= {Trigger.POPULATE}
    assert "The demo has ended" in stage.story.getvalue()


def test_one_cycle_that_is_interrupted_was_not_done(small: Options) -> None:
    options = Options(once=True, scale=small.scale, database_url=small.database_url)
    with pytest.raises(KeyboardInterrupt):
        run(options, EventfulStage({"/metrics": interrupt()}))


def test_the_live_phase_waits_for_a_database_that_is_away(
    small: Options, demo_server: Secret
) -> None:
    stage = EventfulStage(
        {
            "Ctrl-C": send_away(demo_server),
            "is away": execute(demo_server, "ALTER DATABASE refresher_demo ALLOW_CONNECTIONS true"),
            "is back": interrupt(),
        }
    )
    run(small, stage)
    assert "is back" in stage.story.getvalue()


def test_one_cycle_does_not_wait_for_a_database_that_is_away(
    small: Options, demo_server: Secret
) -> None:
    options = Options(once=True, scale=small.scale, database_url=small.database_url)
    with pytest.raises(UnreachableError, match="went away"):
        run(options, EventfulStage({"/metrics": send_away(demo_server)}))


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("TRUNCATE customer_profiles CASCADE", "customer_sources could not be refreshed: .*row"),
        ("DROP MATERIALIZED VIEW customer_sources CASCADE", "does not exist"),
    ],
)
def test_one_cycle_that_fails_says_why(
    small: Options, demo_server: Secret, statement: str, problem: str
) -> None:
    options = Options(once=True, scale=small.scale, database_url=small.database_url)
    spoil = execute(demo_server, statement, database="refresher_demo")
    with pytest.raises(RefresherError, match=problem) as failed:
        run(options, EventfulStage({"/metrics": spoil}))
    assert failed.value.exit_code == 1


def test_what_postgresql_says_against_it_is_an_error_of_ours(
    small: Options, demo_server: Secret
) -> None:
    spoil = execute(demo_server, "DROP TABLE segments CASCADE", database="refresher_demo")
    with pytest.raises(RefresherError, match=r"can't go on: relation .segments. does not exist"):
        run(small, EventfulStage({"Loaded": spoil}))


def test_a_server_that_goes_away_is_unreachable(small: Options, demo_server: Secret) -> None:
    with pytest.raises(UnreachableError):
        run(small, EventfulStage({"Loaded": send_away(demo_server)}))


@pytest.mark.parametrize("scale", [0, -1, 1000])
def test_a_scale_that_can_not_be_is_refused(scale: float) -> None:
    with pytest.raises(RefusedError, match="a scale is above 0"):
        run(Options(scale=scale), EventfulStage({}))
