import queue
from dataclasses import replace
from datetime import UTC, datetime

from refresher.daemon.workers import Workers
from refresher.refresh.task import Ended, Result, Task
from refresher.runs import Trigger
from tests.conftest import Database
from tests.shop import open_shop


def test_a_worker_survives_what_a_report_raises(database: Database) -> None:
    ends: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
    bugs = [KeyError("a bug")]

    def report(_task: Task, result: Result | BaseException) -> None:
        ends.put(result)
        if bugs:
            raise bugs.pop()

    with open_shop(database) as shop:
        now = datetime.now(UTC)
        task = Task(
            view=shop.views["per_customer"],
            upstreams=(),
            trigger=Trigger.MANUAL,
            due_at=now,
            attempt=1,
            ready_at=now,
            strategy="auto",
            max_parallel=1,
            misfires=lambda _previous, _now: 0,
        )
        workers = Workers(
            database.endpoint, worker="host/1/abc", size=1, emit=lambda _: None, report=report
        )
        workers.start()
        try:
            workers.submit(task)
            assert isinstance(ends.get(timeout=30), Ended)
            workers.submit(replace(task, due_at=datetime.now(UTC)))
            ends.get(timeout=30)
            assert workers.alive
        finally:
            workers.stop()
        assert not workers.alive
