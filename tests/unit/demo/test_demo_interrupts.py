import signal
from collections.abc import Iterator

import pytest

from refresher.demo.interrupts import awaited, postponed, unwinding

POLITE = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in POLITE]
    yield
    assert [signal.getsignal(number) for number in POLITE] == before


@pytest.mark.parametrize("number", POLITE)
def test_the_first_signal_unwinds_and_the_next_does_not_cut_that_off(
    number: signal.Signals,
) -> None:
    undone = []

    def interrupted() -> None:
        with unwinding():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(signal.SIGINT)
                undone.append(number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert undone == [number]


def test_what_must_not_be_cut_off_is_done_first() -> None:
    done = []

    def interrupted() -> None:
        with unwinding():
            with postponed():
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
                done.append("all of it")
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["all of it"]


def test_an_error_in_what_must_not_be_cut_off_comes_first() -> None:
    def failing() -> None:
        with unwinding(), postponed():
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()


def test_a_signal_that_is_awaited_unwinds_nothing_any_more() -> None:
    received: list[signal.Signals] = []
    with unwinding():
        with awaited(received.append):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with postponed():
            signal.raise_signal(signal.SIGINT)
    assert received == [signal.SIGTERM]


def test_waiting_in_vain_changes_nothing() -> None:
    received: list[signal.Signals] = []

    def interrupted() -> None:
        with unwinding():
            with awaited(received.append):
                pass
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert received == []


def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unwinding(), postponed():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
