import io
import os
import signal

import psycopg
import pytest
from rich.console import Console

from refresher.config.model import Secret
from refresher.demo.place import RefusedError
from refresher.demo.run import Options, run
from refresher.demo.stage import Stage

LEFT = """
    SELECT datname FROM pg_database WHERE datname = 'refresher_demo'
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname IN ('authenticator', 'service_role')
"""


class InterruptedStage(Stage):
    """Somebody sends a signal when the story gets to a word."""

    def __init__(self, word: str, number: signal.Signals) -> None:
        super().__init__(Console(file=io.StringIO()), quiet=True)
        self._word = word
        self._number = number

    def say(self, line: object = "") -> None:
        if self._word in str(line):
            os.kill(os.getpid(), self._number)


def left(server: Secret) -> list[tuple[str]]:
    with psycopg.connect(server.reveal()) as connection:
        return connection.execute(LEFT).fetchall()


def test_a_small_incident_does_not_die_and_says_so(demo_server: Secret) -> None:
    story = io.StringIO()
    options = Options(scale=0.01, database_url=demo_server)
    replayed = run(options, Stage(Console(file=story, width=100), quiet=False))
    assert (replayed.before.rows, replayed.before.sqlstate) == (50, None)
    assert replayed.count.rows == 155
    assert "does not die" in story.getvalue()
    assert "\x1b" not in story.getvalue()
    assert left(demo_server) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing_behind(
    demo_server: Secret, number: signal.Signals
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(KeyboardInterrupt):
        run(Options(scale=0.01, database_url=demo_server), InterruptedStage("Loaded", number))
    assert left(demo_server) == []
    assert before == [
        signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ]


def test_a_scale_that_can_not_be_is_refused() -> None:
    with pytest.raises(RefusedError, match="a scale is above 0"):
        run(Options(scale=0), Stage(Console(file=io.StringIO()), quiet=True))
