"""The whole demo, from an empty server to a cured list that is kept fresh."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn

from refresher.config.model import Secret
from refresher.demo.crm import customers_at
from refresher.demo.place import Place, RefusedError, ignored_environment, own_place
from refresher.demo.replay import Replayed, load_crm, replay
from refresher.demo.stage import Stage
from refresher.durations import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may ask of the demo."""

    scale: float = 1.0
    database_url: Secret | None = None
    """A server to work on; without it, a private one is started."""
    data_dir: Path | None = None
    """Where the private server keeps its data; without it they are thrown away."""


def run(options: Options, stage: Stage) -> Replayed:
    """Run the demo.

    Raises:
        RefresherError: it can't be run, or not here; the message says what to do.
        KeyboardInterrupt: it was interrupted; everything it made is removed.
    """
    try:
        customers = customers_at(options.scale)
    except ValueError as error:
        raise RefusedError(str(error)) from error
    with _ending_cleanly(), ignored_environment(), _place(options, stage) as place:
        load_crm(place, customers, stage)
        return replay(place, stage)


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
    with server:
        took = format_duration(timedelta(seconds=time.perf_counter() - began))
        stage.say(f"Started a private PostgreSQL {server.major} in {took}.")
        # Thrown away with the server, or kept with its data directory.
        with own_place(Secret(server.conninfo), keep=True) as place:
            yield place


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """End on any polite signal as on Ctrl-C: by unwinding, which removes what was made.

    SIGINT too, since a shell without job control starts what it sends to the background with SIGINT
    ignored. SIGHUP stays ignored where it is: that is what nohup asks for.
    """
    ending = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
