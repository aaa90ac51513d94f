"""Work that Ctrl-C ends politely: it is cancelled on the server, recorded, and only then left.

The work goes on in a thread; the main thread, where signals arrive, watches over it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, TypeVar

from refresher.cli import render

T = TypeVar("T")

INTERRUPTED = 130
"""The exit code of whoever was interrupted, by SIGINT or SIGTERM."""

_TICK_SECONDS = 0.1


class Interruption:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    @property
    def asked(self) -> bool:
        """Whether to begin nothing more."""
        return self._asked.is_set()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as a request; the second one ends the process as ever."""
        before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Attended(threading.Thread, Generic[T]):
    """A piece of work in a thread that does not keep the process from ending."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="work", daemon=True)
        self._work = work
        self._outcome: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it; an error is kept for whoever waits."""
        try:
            self._outcome.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def result(self) -> T:
        """What came of it, once it has ended."""
        if self._error is not None:
            raise self._error
        return self._outcome[0]


def attend(
    work: Callable[[], T],
    interruption: Interruption,
    *,
    cancel: Callable[[], None],
    watch: Callable[[], None],
) -> T:
    """Do some work, and cancel it when somebody asks to stop; returns what came of it.

    Args:
        work: done in a thread.
        interruption: who asks.
        cancel: called again and again from then on until the work ends.
        watch: called ten times a second, to show how it goes.
    """
    thread = Attended(work)
    thread.start()
    told = False
    while thread.is_alive():
        thread.join(_TICK_SECONDS)
        watch()  # once after the end, too
        if interruption.asked:
            if not told:
                render.tell("cancelling on the server; once more to leave at once")
                told = True
            cancel()
    return thread.result()
