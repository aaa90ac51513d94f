"""The whole demo, from an empty server to a cured list that is kept fresh."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from refresher.config.model import Config, Secret
from refresher.demo.crm import customers_at
from refresher.demo.cure import cure, demo_config, demo_endpoint
from refresher.demo.interrupts import postponed, unwinding
from refresher.demo.live import AN_ORDER_EVERY, live
from refresher.demo.place import Place, RefusedError, ignored_environment, own_place
from refresher.demo.replay import load_crm, read_again, replay
from refresher.demo.report import Report, length
from refresher.demo.stage import Stage
from refresher.demo.writer import Writer
from refresher.errors import RefresherError, UnreachableError
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import connect
from refresher.runs import Run
from refresher.store.state import read_history

_EVERY_RUN = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may ask of the demo."""

    once: bool = False
    """Stop after the first refresh cycle, not when somebody asks to."""
    scale: float = 1.0
    database_url: Secret | None = None
    """A server to work on; without it, a private one is started."""
    data_dir: Path | None = None
    """Where the private server keeps its data; without it they are thrown away."""


def run(options: Options, stage: Stage) -> Report:
    """Run the demo; returns what was measured.

    Raises:
        RefresherError: it can't be run, or not here; the message says what to do.
        KeyboardInterrupt: it was interrupted before it had shown everything.
        BrokenPipeError: nobody follows the story any more.

    However it ends, what it made is removed.
    """
    try:
        customers = customers_at(options.scale)
    except ValueError as error:
        raise RefusedError(str(error)) from error
    with unwinding(), ignored_environment(), _explained(), _place(options, stage) as place:
        config = demo_config(place, customers)
        load_crm(place, customers, stage)
        before = replay(place, stage)
        writer = Writer(place.owner, customers=customers, pause=AN_ORDER_EVERY)
        with writer.running():
            cure(config, writer, stage)
            after = read_again(place, before, stage)
            live(config, writer, stage, once=options.once)
        report = Report(before=before, after=after, runs=_read_runs(config))
    _take_leave(options, stage)
    return report


def _take_leave(options: Options, stage: Stage) -> None:
    stage.say()
    if options.data_dir is None:
        stage.say("The demo has ended, and all that it made is removed.")
    else:
        stage.say(f"The demo has ended; its data stay in {options.data_dir}.")
    stage.say("Next: `refresher init` writes a configuration for a database of yours.")


@contextmanager
def _explained() -> Iterator[None]:
    """Say in a sentence what PostgreSQL says against the demo."""
    try:
        yield
    except psycopg.Error as error:
        if breaks_connection(error):
            message = f"the demo's server went away: {describe(error)}; run the demo again"
            raise UnreachableError(message) from error
        message = (
            f"the demo can't go on: {describe(error)}; leave --database-url out for a private"
            " PostgreSQL"
        )
        raise RefresherError(message) from error


@contextmanager
def _place(options: Options, stage: Stage) -> Iterator[Place]:
    if options.database_url is not None:
        with own_place(options.database_url, keep=False) as place:
            yield place
        return
    from refresher import embedded  # noqa: PLC0415 - only who uses it needs the extra

    began = time.perf_counter()
    with stage.working("Starting a private PostgreSQL"):
        server = embedded.start(options.data_dir)
    try:
        took = length(time.perf_counter() - began)
        stage.say(f"Started a private PostgreSQL {server.major} in {took}.")
        # Thrown away with the server, or kept with its data directory.
        with own_place(Secret(server.conninfo), keep=True) as place:
            yield place
    finally:
        with postponed():
            server.stop()


def _read_runs(config: Config) -> tuple[Run, ...]:
    """Every run of every view, newest first."""
    with connect(demo_endpoint(config)) as connection:
        histories = [
            read_history(connection, name, limit=_EVERY_RUN)
            for name, view in config.views.items()
            if view.refreshed
        ]
    runs = [run for history in histories for run in history]
    return tuple(sorted(runs, key=lambda run: run.id, reverse=True))
