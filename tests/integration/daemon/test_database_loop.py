from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Secret
from refresher.daemon.database import DatabaseLoop
from refresher.events import DatabaseDown, DatabaseUp, Event
from refresher.observe.vitals import Vitals
from tests.conftest import Database
from tests.waiting import wait_until


def test_a_bug_does_not_end_the_watch_over_a_database(database: Database) -> None:
    events: list[Event] = []
    bugs = [KeyError("a bug")]
    vitals = Vitals()
    vitals.keep_databases(["crm"])

    def prepare(*_: object) -> None:
        if bugs:
            raise bugs.pop()

    loop = DatabaseLoop(
        DatabaseConfig(alias="crm", conninfo=Secret(database.conninfo)),
        database.endpoint,
        {},
        worker="host/1/abc",
        emit=events.append,
        vitals=vitals,
        prepare=prepare,
    )
    loop.start()
    try:
        wait_until(lambda: DatabaseUp(database="crm") in events, what="a loop that goes on")
    finally:
        loop.stop()
    (down,) = [event for event in events if isinstance(event, DatabaseDown)]
    assert down.error == "refresher itself failed: KeyError('a bug')"
