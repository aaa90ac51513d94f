"""Polite signals: they end the demo by unwinding it, which removes what it made.

SIGINT too, since a shell without job control starts what it sends to the background with SIGINT
ignored. SIGHUP stays ignored where it is: that is what nohup asks for.
"""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeAlias

Receive: TypeAlias = Callable[[signal.Signals], object]


@contextmanager
def unwinding() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first signal; later ones don't cut the ending off."""
    before = _install(_unwind)
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def awaited(receive: Receive) -> Iterator[None]:
    """Give signals to `receive` instead; once one came, the ending has begun here too."""
    came: list[signal.Signals] = []

    def take(number: signal.Signals) -> None:
        came.append(number)
        receive(number)

    before = _install(take)
    try:
        yield
    finally:
        if came:
            _install(_ignore)
        else:
            _restore(before)


@contextmanager
def postponed() -> Iterator[None]:
    """Let a signal wait for the end of what must not be cut off."""
    came: list[signal.Signals] = []
    before = _install(came.append)
    try:
        yield
    finally:
        _restore(before)
    if came:
        signal.raise_signal(came[0])


def _unwind(_number: signal.Signals) -> NoReturn:
    _install(_ignore)
    raise KeyboardInterrupt


def _ignore(_number: signal.Signals) -> None:
    """The ending has begun already."""


def _install(receive: Receive) -> Mapping[signal.Signals, Any]:
    """Give signals to `receive`; returns who had them before."""

    def handle(number: int, _frame: FrameType | None) -> None:
        receive(signal.Signals(number))

    polite = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        polite.append(signal.SIGHUP)
    return {number: signal.signal(number, handle) for number in polite}


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
