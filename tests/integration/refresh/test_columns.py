"""Columns of somebody else's table: what differs is staged, and written between other writers."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from refresher.config.model import Timeouts
from refresher.errors import FailureReason, RefreshError
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from refresher.refresh.columns.pace import Standbys
from refresher.refresh.columns.staging import Filled, compute, read_filled, stage
from refresher.refresh.columns.writing import LostRunError, Writing, Written
from refresher.refresh.transaction import CancelledError
from tests.integration.refresh.conftest import Workshop
from tests.waiting import wait_until

TABLE = RelationName("public", "filled")
QUERY = RelationName("public", "wanted")


@dataclass
class Filling:
    """A table `filled` whose column v is filled from `t`; w belongs to applications."""

    workshop: Workshop
    run: int
    columns: tuple[str, ...] = ("v",)
    told: list[int] = field(default_factory=list)

    def stage(self) -> tuple[Filled, int]:
        connection = self.workshop.session.connection()
        filled = read_filled(
            connection, view="f", table=TABLE, key=("id",), columns=self.columns, query=QUERY
        )
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            compute(connection, filled)
            return filled, stage(connection, filled)

    def writing(self, filled: Filled, total: int, **fields: Any) -> Writing:
        return Writing(
            **{
                "total": total,
                "standbys": Standbys(None),
                "session": self.workshop.session,
                "view": "f",
                "run": self.run,
                "filled": filled,
                "timeouts": Timeouts(),
                "max_rows_per_second": None,
                "cancelled": threading.Event(),
                "tell": lambda written: self.told.append(written.done),
                **fields,
            }
        )

    def fill(self, **fields: Any) -> Written:
        return self.writing(*self.stage(), **fields).carry_out()

    def values(self) -> dict[int, int | None]:
        rows = self.workshop.execute("SELECT id, v FROM filled WHERE id IS NOT NULL")
        return {row["id"]: row["v"] for row in rows}


@pytest.fixture
def filling(workshop: Workshop) -> Filling:
    workshop.execute(
        "CREATE TABLE filled (id int UNIQUE, v int, w int NOT NULL DEFAULT 0);"
        "INSERT INTO filled (id) SELECT g FROM generate_series(1, 10) AS g;"
        "CREATE VIEW wanted AS SELECT id, v FROM t"
    )
    (run,) = workshop.execute(
        "INSERT INTO refresher.run (view, due_at, trigger, attempt, worker)"
        " VALUES ('f', now(), 'manual', 1, 'test/worker') RETURNING id"
    )
    workshop.execute(f"INSERT INTO refresher.fence (view, run) VALUES ('f', {run['id']})")
    return Filling(workshop, run["id"])


class Behind:
    """Something done in another thread, whose end is waited for."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do
        self._end: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._end.append(self._do())
        except Exception as error:  # noqa: BLE001 - whoever waits for the end gets to see it
            self._end.append(error)

    def end(self) -> Any:
        self._thread.join(30)
        assert self._end, "it did not end within 30 s"
        return self._end[0]


def test_only_rows_that_differ_are_written(filling: Filling) -> None:
    assert filling.fill().rows == 10
    assert filling.values() == {g: g for g in range(1, 11)}
    filling.workshop.execute("UPDATE t SET v = 0 WHERE id = 3")
    assert filling.fill() == Written(rows=1, done=1)
    assert filling.values()[3] == 0
    assert filling.stage()[1] == 0


def test_rows_are_neither_inserted_nor_deleted(filling: Filling) -> None:
    filling.fill()
    filling.workshop.execute(
        "INSERT INTO t VALUES (11, 11); DELETE FROM t WHERE id = 4;"
        "INSERT INTO filled (id, v) VALUES (NULL, 77)"
    )
    assert filling.fill() == Written(rows=1, done=1)
    assert filling.values() == {g: None if g == 4 else g for g in range(1, 11)}
    (row,) = filling.workshop.execute("SELECT v FROM filled WHERE id IS NULL")
    assert row["v"] == 77, "a row without a key is nobody's"


def test_what_vanished_gets_the_default_and_a_null_of_the_query_does_not(
    filling: Filling,
) -> None:
    filling.workshop.execute(
        "ALTER TABLE filled ALTER v TYPE numeric(6, 2), ALTER v SET DEFAULT 7;"
        "DELETE FROM t WHERE id = 4; UPDATE t SET v = NULL WHERE id = 5"
    )
    filling.fill()
    assert filling.values()[4] == 7
    assert filling.values()[5] is None
    assert filling.stage()[1] == 0, "a default has the column's type, 7.00"


def test_a_column_of_a_domain_is_filled_and_has_the_default_of_it(filling: Filling) -> None:
    filling.workshop.execute(
        "CREATE DOMAIN few AS numeric(6, 2) NOT NULL DEFAULT 7 CHECK (VALUE > 0);"
        "ALTER TABLE filled ALTER v TYPE few USING 1; DELETE FROM t WHERE id = 4"
    )
    filling.fill()
    assert filling.values() == {g: 7 if g == 4 else g for g in range(1, 11)}
    assert filling.stage()[1] == 0


def test_what_is_too_long_is_refused_not_cut(filling: Filling) -> None:
    filling.workshop.execute(
        "DROP VIEW wanted; ALTER TABLE filled ALTER v TYPE varchar(2);"
        "CREATE VIEW wanted AS SELECT id, repeat('x', 3) AS v FROM t"
    )
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        filling.stage()


@pytest.mark.parametrize(
    "change", ["INSERT INTO t VALUES (3, 9)", "INSERT INTO t VALUES (NULL, 9)"]
)
def test_a_key_that_is_null_or_repeats_is_refused(filling: Filling, change: str) -> None:
    filling.workshop.execute(
        f"ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id DROP NOT NULL; {change}"
    )
    with pytest.raises(RefreshError) as refusal:
        filling.stage()
    assert refusal.value.reason is FailureReason.NOT_UNIQUE


def test_locked_rows_are_passed_over_and_written_later(
    filling: Filling, bystander: Connection
) -> None:
    with bystander.transaction():
        bystander.execute("UPDATE filled SET w = 1 WHERE id IN (3, 4)")
        behind = Behind(filling.fill)
        wait_until(lambda: 8 in filling.told, what="all others to be written")
        assert filling.values()[3] is None
        assert filling.values()[5] == 5
    assert behind.end() == Written(rows=10, done=10)
    assert filling.values() == {g: g for g in range(1, 11)}
    (row,) = filling.workshop.execute("SELECT count(*) FROM filled WHERE w = 1")
    assert row["count"] == 2, "what the application wrote stays"


def test_rows_that_stay_locked_are_told(filling: Filling, bystander: Connection) -> None:
    with bystander.transaction():
        bystander.execute("SELECT FROM filled WHERE id = 3 FOR UPDATE")
        with pytest.raises(RefreshError) as refusal:
            filling.fill(timeouts=Timeouts(statement=timedelta(milliseconds=300)))
    assert refusal.value.reason is FailureReason.LOCK_TIMEOUT
    assert str(refusal.value).startswith("1 row of public.filled could not be written")
    assert filling.values() == {g: None if g == 3 else g for g in range(1, 11)}


def test_a_reference_to_a_row_is_waited_for_only_where_it_must(
    filling: Filling, bystander: Connection
) -> None:
    with bystander.transaction():
        bystander.execute("SELECT FROM filled WHERE id = 3 FOR KEY SHARE")
        assert filling.fill(timeouts=Timeouts(statement=timedelta(seconds=2))).rows == 10
    filling.workshop.execute("CREATE UNIQUE INDEX ON filled (v); UPDATE t SET v = v + 100")
    filled, total = filling.stage()
    assert filled.identifying
    with bystander.transaction():
        bystander.execute("SELECT FROM filled WHERE id = 3 FOR KEY SHARE")
        behind = Behind(lambda: filling.writing(filled, total).carry_out())
        wait_until(lambda: 9 in filling.told, what="all others to be written")
    assert behind.end().rows == 10


def test_a_row_that_went_away_is_struck_off(filling: Filling) -> None:
    filled, total = filling.stage()
    filling.workshop.execute(
        "DELETE FROM filled WHERE id = 3; UPDATE filled SET id = 40 WHERE id = 4"
    )
    assert filling.writing(filled, total).carry_out() == Written(rows=8, done=10)


@pytest.mark.parametrize(
    ("body", "altered", "refused"),
    [("NEW.v := -1; RETURN NEW", 10, 0), ("RETURN NULL", 0, 10)],
)
def test_what_a_trigger_does_to_it_is_told(
    filling: Filling, body: str, altered: int, refused: int
) -> None:
    filling.workshop.execute(
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body}; END';"
        "CREATE TRIGGER meddle BEFORE UPDATE ON filled FOR EACH ROW EXECUTE FUNCTION meddle()"
    )
    written = filling.fill()
    assert (written.altered, written.refused, written.done) == (altered, refused, 10)
    assert written.resisting == 10


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE refresher.fence SET run = run + 1",
        "UPDATE refresher.run SET outcome = 'failed'",
    ],
)
def test_a_run_that_was_taken_over_writes_nothing_more(filling: Filling, change: str) -> None:
    filled, total = filling.stage()
    filling.workshop.execute(change)
    with pytest.raises(LostRunError):
        filling.writing(filled, total).carry_out()
    assert set(filling.values().values()) == {None}


def test_a_fence_that_another_holds_ends_it(filling: Filling, bystander: Connection) -> None:
    filled, total = filling.stage()
    with bystander.transaction():
        bystander.execute("SELECT FROM refresher.fence FOR UPDATE")
        with pytest.raises(LostRunError):
            filling.writing(filled, total).carry_out()


def grow(filling: Filling, rows: int) -> None:
    filling.workshop.execute(
        f"INSERT INTO t SELECT g, g FROM generate_series(11, {rows}) AS g;"
        f"INSERT INTO filled (id) SELECT g FROM generate_series(11, {rows}) AS g"
    )


def test_a_killed_run_leaves_what_it_wrote_and_the_next_writes_the_rest(filling: Filling) -> None:
    grow(filling, 2_000)
    filled, total = filling.stage()
    pid = filling.workshop.session.connection().info.backend_pid

    def kill(_written: Written) -> None:
        filling.workshop.execute(f"SELECT pg_terminate_backend({pid}, 10000)")

    with pytest.raises(psycopg.OperationalError):
        filling.writing(filled, total, tell=kill).carry_out()
    assert filling.stage()[1] == 1_950
    assert filling.fill().rows == 1_950
    assert filling.values() == {g: g for g in range(1, 2_001)}


def test_a_stage_that_a_crash_emptied_ends_it_at_once(filling: Filling) -> None:
    grow(filling, 2_000)
    filled, total = filling.stage()

    def crash(_written: Written) -> None:
        filling.workshop.execute(f"TRUNCATE {filled.stage}")

    with pytest.raises(RefreshError) as refusal:
        filling.writing(filled, total, tell=crash).carry_out()
    assert refusal.value.reason is FailureReason.CONNECTION
    assert filling.fill().rows == 1_950


def test_a_crash_after_the_last_batch_is_noticed_before_the_end_is_recorded(
    filling: Filling,
) -> None:
    """Batches commit without waiting for the disk: the crash may have taken some back."""
    filled, total = filling.stage()
    writing = filling.writing(filled, total)
    assert writing.carry_out().done == 10
    filling.workshop.execute(f"TRUNCATE {filled.stage}")
    with pytest.raises(RefreshError) as refusal:
        writing.begin_last(filling.workshop.session.connection())
    assert refusal.value.reason is FailureReason.CONNECTION


def test_cancelled_it_stops_between_batches(filling: Filling) -> None:
    grow(filling, 2_000)
    cancelled = threading.Event()
    with pytest.raises(CancelledError):
        filling.fill(cancelled=cancelled, tell=lambda _written: cancelled.set())
    assert filling.stage()[1] == 1_950


def test_a_pace_is_kept_in_small_batches(filling: Filling) -> None:
    filling.fill(max_rows_per_second=5)
    assert filling.told == [5, 10]


def test_names_are_taken_as_they_are(filling: Filling) -> None:
    filling.workshop.execute(
        'DROP VIEW wanted; ALTER TABLE filled RENAME v TO "100%s ""{number}""";'
        'CREATE VIEW wanted AS SELECT id, v AS "100%s ""{number}""" FROM t'
    )
    filling.columns = ('100%s "{number}"',)
    assert filling.fill().rows == 10


def test_slow_triggers_hold_an_application_up_for_moments(
    filling: Filling, bystander: Connection
) -> None:
    """With all rows in one batch it would wait for more than a second."""
    grow(filling, 250)
    filling.workshop.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END';"
        "CREATE TRIGGER dawdle BEFORE UPDATE OF v ON filled"
        " FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    behind = Behind(filling.fill)
    while not filling.told or filling.told[-1] < 250:
        with bystander.transaction():
            bystander.execute("SET LOCAL statement_timeout = '1s'")
            bystander.execute("UPDATE filled SET w = w + 1 WHERE id = 250")
    assert behind.end().rows == 250


def test_a_trigger_that_waits_in_vain_holds_up_its_own_row_only(
    filling: Filling, bystander: Connection
) -> None:
    grow(filling, 300)
    filling.workshop.execute("ALTER TABLE filled ADD FOREIGN KEY (v) REFERENCES t (id)")
    with bystander.transaction():
        bystander.execute("SELECT FROM t WHERE id = 77 FOR UPDATE")
        behind = Behind(filling.fill)
        wait_until(lambda: 299 in filling.told, what="all others to be written")
    assert behind.end().rows == 300


class Writers:
    """Applications, each of which writes to random groups of its own rows, in random order."""

    def __init__(self, connections: list[Connection], rows: int) -> None:
        self.stopped = threading.Event()
        self.rounds = [0] * len(connections)
        self._rows = rows
        self._behind = [
            Behind(lambda at=at, one=one: self._write(at, one))  # type: ignore[misc]  # bound now
            for at, one in enumerate(connections)
        ]

    def _write(self, at: int, connection: Connection) -> None:
        dice = random.Random(at)  # noqa: S311 - a test's dice
        mine = range(at + 1, self._rows + 1, len(self.rounds))
        while not self.stopped.is_set():
            with connection.transaction():
                for row in dice.sample(mine, 20):
                    connection.execute("UPDATE filled SET w = w + 1 WHERE id = %s", [row])
            self.rounds[at] += 1

    def ends(self) -> list[Any]:
        self.stopped.set()
        return [behind.end() for behind in self._behind]


@pytest.fixture
def applications(database: Any) -> Iterator[list[Connection]]:
    with closing(database.connect()) as first, closing(database.connect()) as second:
        yield [first, second]


def test_applications_meet_no_error_and_lose_nothing(
    filling: Filling, applications: list[Connection]
) -> None:
    grow(filling, 3_000)
    writers = Writers(applications, 3_000)
    try:
        for turn in range(5):
            filling.workshop.execute(f"UPDATE t SET v = id + {turn}")
            assert filling.fill().rows == 3_000
            assert filling.values() == {g: g + turn for g in range(1, 3_001)}
        wait_until(lambda: all(writers.rounds), what="every application to have written")
    finally:
        ends = writers.ends()
    assert ends == [None, None]
    (row,) = filling.workshop.execute("SELECT sum(w) FROM filled")
    assert row["sum"] == 20 * sum(writers.rounds)
