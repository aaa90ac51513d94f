"""The live phase: while a shop adds orders, a daemon keeps the views fresh."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from queue import SimpleQueue

from refresher.config.model import Config
from refresher.daemon.daemon import Daemon
from refresher.demo.cure import REFRESH_EVERY
from refresher.demo.interrupts import awaited
from refresher.demo.show import Happenings, one_cycle, until_stopped
from refresher.demo.stage import Stage
from refresher.demo.watch import Watch
from refresher.demo.writer import Writer
from refresher.errors import RefresherError

AN_ORDER_EVERY = timedelta(milliseconds=200)
"""How long the shop waits between two orders."""
_DRAIN = timedelta(seconds=2)
"""How long a refresh at work may go on when the end has come."""


def live(config: Config, writer: Writer, stage: Stage, *, once: bool) -> None:
    """Keep the views fresh until somebody asks to stop, or, with `once`, for one cycle.

    Raises:
        KeyboardInterrupt: somebody asked to stop before that one cycle was done.
        RefresherError: that one cycle can't be done.
    """
    happenings: Happenings = SimpleQueue()
    with awaited(happenings.put), closing(Watch(config)) as watch:
        watch.look()
        with refreshing(config, happenings) as address:
            _introduce(stage, address, once=once)
            if once:
                one_cycle(happenings, stage, watch, config.views)
            else:
                until_stopped(happenings, stage, watch, writer)


def _introduce(stage: Stage, address: str, *, once: bool) -> None:
    stage.begin(
        "Kept fresh",
        f"An order comes in every {AN_ORDER_EVERY.total_seconds():g} s, a refresh is due every"
        f" {REFRESH_EVERY.total_seconds():g} s, and readers wait for neither.",
    )
    stage.say(f"  metrics  {address}/metrics")
    if not once:
        stage.say("  Ctrl-C   ends it")
    stage.say()


@contextmanager
def refreshing(config: Config, happenings: Happenings) -> Iterator[str]:
    """Run a daemon; yields where it serves its metrics: elsewhere if the port is taken."""
    daemon = _start(config, happenings)
    never = threading.Event()
    try:
        yield daemon.address
    finally:
        daemon.stop("the demo's end", drain=_DRAIN, hurry=never.wait)


def _start(config: Config, happenings: Happenings) -> Daemon:
    daemon = Daemon(config, listener=happenings.put)
    try:
        daemon.start()
    except RefresherError:
        # The configuration's port is taken, by another demo for one; any other will do.
        anywhere = replace(config, server=replace(config.server, port=0))
        daemon = Daemon(anywhere, listener=happenings.put)
        daemon.start()
    return daemon
