"""Applications that write to one table at a steady pace, and for how long each had to wait.

A transaction updates a group of rows, one after the other and in random order: whoever waits for
such rows while it has others locked ends in deadlocks. One row of each group is of a few that all
of them want; with two such rows they would end in deadlocks with one another.
"""

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

import psycopg
from psycopg.conninfo import make_conninfo

from refresher.postgres.sessions import Connection, Endpoint, connect
from tests.bench.ground import DATABASE, Ground
from tests.bench.waits import Waits

_WANTED = 100
"""Rows that all of them want; of such a group, each transaction takes one."""
_SETTINGS = "-c lock_timeout=2s"
_PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What they do."""

    writers: int
    transactions_a_second: float
    """Of each writer."""
    rows: int
    """Of each transaction."""
    keys: int
    """The table's, from 1 on."""
    update: str
    """Writes one row, whose key is its only parameter."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One that was committed, or not."""

    due: float
    """By the monotonic clock, which all processes share."""
    seconds: float
    """From then to its end."""
    error: str | None
    """SQLSTATE; None if it was committed."""


@dataclass(slots=True)
class Written:
    """What all of them did; complete when the writers have ended."""

    transactions: list[Transaction] = field(default_factory=list)

    def waits(self, spans: Sequence[tuple[float, float]]) -> Waits:
        """How long those took that were due in these spans of time."""
        return Waits(
            [
                each.seconds
                for each in self.transactions
                if any(began <= each.due < ended for began, ended in spans)
            ]
        )

    def errors(self) -> Counter[str]:
        """How often each error was met, ever."""
        return Counter(each.error for each in self.transactions if each.error is not None)

    def committed(self) -> int:
        """How many transactions were."""
        return sum(each.error is None for each in self.transactions)


@contextmanager
def writing(ground: Ground, pace: Pace) -> Iterator[Written]:
    """Have each writer write in a process of its own, until the block ends."""
    written = Written()
    conninfo = make_conninfo(ground.conninfo, options=_SETTINGS)
    with ExitStack() as stack:
        pipes = []
        for number in range(pace.writers):
            ours, theirs = _PROCESSES.Pipe()
            process = _PROCESSES.Process(
                target=_write, args=(conninfo, pace, number, theirs), name=f"writer {number}"
            )
            process.start()
            theirs.close()
            stack.callback(process.join)
            # Also what ends it if the block fails: it sees that nobody is left to be told.
            pipes.append(stack.enter_context(ours))
        yield written
        for pipe in pipes:
            pipe.send("stop")
        for pipe in pipes:
            written.transactions += pipe.recv()


def _write(conninfo: str, pace: Pace, number: int, pipe: Pipe) -> None:
    chance = random.Random(number)  # noqa: S311 - keys of rows, no secret
    done: list[Transaction] = []
    with connect(Endpoint(alias=DATABASE, conninfo=conninfo, session={})) as connection:
        began = time.monotonic()
        # By turns: no two writers begin at one moment.
        due = began + number / pace.writers / pace.transactions_a_second
        while not pipe.poll(max(0.0, due - time.monotonic())):
            error = _update(connection, pace, chance)
            done.append(Transaction(due, time.monotonic() - due, error))
            due += 1 / pace.transactions_a_second
    pipe.send(done)


def _update(connection: Connection, pace: Pace, chance: random.Random) -> str | None:
    """Write one group; what PostgreSQL says against it, if it does."""
    others = range(_WANTED + 1, pace.keys + 1)
    keys = [chance.randint(1, _WANTED), *chance.sample(others, pace.rows - 1)]
    chance.shuffle(keys)
    try:
        with connection.transaction():
            for key in keys:
                connection.execute(pace.update.encode(), [key], prepare=True)
    except psycopg.Error as error:
        return error.sqlstate or type(error).__name__
    return None
