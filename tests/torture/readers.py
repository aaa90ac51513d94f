"""Those who read all the while, in transactions of several statements, and never try again."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo

from refresher.errors import UnreachableError
from refresher.postgres.sessions import Connection, connect
from tests.servers import endpoint_of
from tests.torture.history import Phase, Read
from tests.torture.rendering import quoted

Readable = Mapping[str, tuple[str, ...]]
"""Relations, and the columns of each that can be read."""

_PAUSE = 0.01
"""The longest pause after a statement, in seconds."""
_LONG_PAUSE = 0.4
"""The longest there is: longer than a swap may wait for its locks."""
_LONG_SHARE = 0.02
_BREATH = 0.04
"""The longest pause between transactions."""
_ROWS = 100
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class _Situation:
    """What a transaction begins with, and goes on with to its end."""

    number: int
    step: int
    readable: Readable


class Readers:
    """Several of them, each with a connection and a thread of its own."""

    def __init__(self, conninfo: str, chance: random.Random, *, count: int = 4) -> None:
        self.reads: list[Read] = []
        self.phase = Phase.BASELINE
        """What is going on."""
        self._conninfo = make_conninfo(conninfo, options="-c statement_timeout=10s")
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._situation = _Situation(0, 0, {})
        self._begun = [0] * count
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(number, random.Random(chance.random())),  # noqa: S311 - to be repeated
                name=f"reader {number}",
            )
            for number in range(count)
        ]

    @contextlib.contextmanager
    def reading(self, readable: Readable) -> Iterator[None]:
        """Read until the block ends."""
        self._situation = _Situation(0, 0, readable)
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()

    def go_on_with(self, readable: Readable, *, step: int) -> None:
        """Have them read only these from now on; returns when no transaction reads anything else.

        Raises:
            AssertionError: if one of them hangs, or has died.
        """
        with self._changed:
            number = self._situation.number + 1
            self._situation = _Situation(number, step, readable)
            begun = self._changed.wait_for(lambda: min(self._begun) >= number, _PATIENCE)
        assert begun, "a reader hangs"

    def _run(self, number: int, chance: random.Random) -> None:
        while not self._stopping.is_set():
            # A connection that breaks is an error of the read that it broke in, told by that.
            with contextlib.suppress(psycopg.Error, UnreachableError):
                connection = connect(endpoint_of(self._conninfo), application="reader")
                with connection:
                    while not self._stopping.is_set():
                        self._read_some(connection, chance, self._begin(number))

    def _begin(self, number: int) -> _Situation:
        with self._changed:
            self._begun[number] = self._situation.number
            self._changed.notify_all()
            return self._situation

    def _read_some(
        self, connection: Connection, chance: random.Random, situation: _Situation
    ) -> None:
        with connection.transaction():
            if chance.random() < 0.3:
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            for _ in range(chance.randint(2, 5)):
                if not self._read(connection, chance, situation):
                    raise psycopg.Rollback
                long = chance.random() < _LONG_SHARE
                self._stopping.wait(chance.random() * (_LONG_PAUSE if long else _PAUSE))
        self._stopping.wait(chance.random() * _BREATH)

    def _read(self, connection: Connection, chance: random.Random, situation: _Situation) -> bool:
        relations, statement = _draw(situation.readable, chance)
        phase, began = self.phase, time.monotonic()
        rows, error = 0, None
        try:
            rows = len(connection.execute(statement).fetchall())
        except psycopg.Error as failure:
            error = f"{type(failure).__name__}: {failure}".strip()
        seconds = time.monotonic() - began
        self.reads.append(
            Read(
                step=situation.step,
                phase=Phase.APPLY if Phase.APPLY in {phase, self.phase} else phase,
                relations=relations,
                statement=statement,
                seconds=seconds,
                rows=rows,
                error=error,
            )
        )
        return error is None


def _draw(readable: Readable, chance: random.Random) -> tuple[tuple[str, ...], str]:
    """One statement over one or two relations."""
    names = sorted(readable)
    relation = chance.choice(names)
    kind = chance.random()
    if kind < 0.15:
        other = chance.choice(names)
        one, two = _draw_columns(readable[relation], chance), _draw_columns(readable[other], chance)
        columns = ", ".join([*(f"a.{name}" for name in one), *(f"b.{name}" for name in two)])
        both = f"{quoted(relation)} AS a CROSS JOIN {quoted(other)} AS b"
        return (relation, other), f"SELECT {columns} FROM {both} LIMIT {_ROWS}"
    columns = ", ".join(_draw_columns(readable[relation], chance))
    statement = f"SELECT {columns} FROM {quoted(relation)}"
    if kind < 0.35:
        statement += " ORDER BY 1"
    elif kind < 0.5:
        statement = f"SELECT FROM {quoted(relation)} GROUP BY {columns}"
    return (relation,), f"{statement} LIMIT {_ROWS}"


def _draw_columns(columns: tuple[str, ...], chance: random.Random) -> list[str]:
    count = chance.randint(1, min(4, len(columns)))
    return [quoted(name) for name in chance.sample(columns, count)]
