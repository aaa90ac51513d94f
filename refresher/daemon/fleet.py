"""The databases a daemon works in: a loop and those who look on each, as the config says."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from refresher.config.model import Config, Database, View
from refresher.daemon.checking import Checker
from refresher.daemon.database import DatabaseLoop, Prepare
from refresher.daemon.endpoints import endpoint
from refresher.daemon.observer import Observer
from refresher.daemon.vacuuming import Vacuumer
from refresher.daemon.watch import Watch
from refresher.events import Listener
from refresher.observe.latest import Latest
from refresher.observe.vitals import Vitals


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    server: contextlib.ExitStack
    loop: DatabaseLoop
    observer: Observer
    watch: Watch
    checker: Checker
    vacuumer: Vacuumer

    def start(self) -> None:
        self.loop.start()
        self.observer.start()
        self.watch.start()
        self.checker.start()
        self.vacuumer.start()

    def replace_views(self, views: Mapping[str, View]) -> None:
        self.loop.replace_views(views)
        self.observer.replace_views(views)
        self.share()

    def share(self) -> None:
        """Judge no views that are left to daemons with a newer configuration."""
        own = self.loop.own_views()
        self.watch.replace_views(own)
        self.checker.replace_views(own)
        self.vacuumer.replace_views(own)

    def drain(self) -> None:
        self.loop.drain()
        self.checker.drain()
        self.vacuumer.drain()

    def stop(self) -> None:
        parts = (self.loop, self.observer, self.watch, self.checker, self.vacuumer)
        _at_once(part.stop for part in parts)
        self.server.close()


class Fleet:
    """Every database's loop, observer, watch, checker and vacuumer."""

    def __init__(
        self, *, worker: str, emit: Listener, vitals: Vitals, latest: Latest, prepare: Prepare
    ) -> None:
        self._worker = worker
        self._emit = emit
        self._vitals = vitals
        self._latest = latest
        self._prepare = prepare
        self._members: dict[str, _Member] = {}
        self._retiring: list[_Member] = []
        self._loops: Counter[str] = Counter()
        """By database, how many there have been."""

    def follow(self, config: Config) -> None:
        """Put a configuration in force: what did not change goes on undisturbed.

        A database whose settings changed, or that is gone, finishes what is at work; `tidy` ends
        it then.

        Raises:
            RefresherError: a private server can't be started.
        """
        for alias, member in list(self._members.items()):
            if config.databases.get(alias) != member.loop.database:
                member.drain()
                self._retiring.append(self._members.pop(alias))
        self._vitals.keep_databases(config.databases)
        self._latest.keep_databases(config.databases)
        for alias, database in config.databases.items():
            views = config.views_of(alias)
            if alias in self._members:
                self._members[alias].replace_views(views)
            else:
                self._members[alias] = self._make(config, database, views)
                # Not before it is known here: its loop may ask for a look at once.
                self._members[alias].start()

    def tidy(self) -> None:
        """End what a reload retired, once it is done, and find out who is left without answers.

        To be called now and then.
        """
        done = [member for member in self._retiring if not member.loop.busy]
        self._retiring = [member for member in self._retiring if member.loop.busy]
        for member in done:
            member.stop()
        for member in self._members.values():
            member.loop.pulse.look()

    @property
    def busy(self) -> int:
        """How many refreshes are at work."""
        return sum(member.loop.busy for member in self._everybody())

    def silent(self) -> list[str]:
        """Databases whose loop hangs; one that is away, or does not answer, is none."""
        return [alias for alias, member in self._members.items() if not member.loop.alive]

    def look(self, alias: str) -> None:
        """Read a database's snapshot now: something happened there."""
        member = self._members.get(alias)
        if member is not None:
            member.observer.look()

    def look_around(self, alias: str) -> None:
        """Look at everything anew: the database, another server perhaps, can be worked with."""
        member = self._members.get(alias)
        if member is not None:
            member.observer.renew()
            member.watch.renew()
            member.checker.look()
            member.vacuumer.look()

    def refreshed(self, alias: str, view: str) -> None:
        """A view was refreshed here: it may want to be vacuumed."""
        member = self._members.get(alias)
        if member is not None:
            member.vacuumer.refreshed(view)

    def share(self, alias: str) -> None:
        """Other views than before are left to daemons with a newer configuration."""
        member = self._members.get(alias)
        if member is not None:
            member.share()

    def drain(self) -> None:
        """Start nothing more."""
        for member in self._everybody():
            member.drain()

    def cancel(self) -> int:
        """Cancel what is at work; to be repeated while `busy`. Returns how many."""
        return sum(member.loop.cancel() for member in self._everybody())

    def stop(self) -> None:
        """End everything; what is at work is waited for."""
        _at_once(member.stop for member in self._everybody())
        self._members, self._retiring = {}, []

    def _everybody(self) -> list[_Member]:
        return [*self._members.values(), *self._retiring]

    def _name(self, alias: str) -> str:
        """A name for the next loop of a database.

        It is not the one's that retires: each lives, and tells what is at work, for itself.
        """
        self._loops[alias] += 1
        number = self._loops[alias]
        return self._worker if number == 1 else f"{self._worker}.{number}"

    def _make(self, config: Config, database: Database, views: Mapping[str, View]) -> _Member:
        with contextlib.ExitStack() as server:
            reachable = endpoint(config, database, server)
            loop = DatabaseLoop(
                database,
                reachable,
                views,
                worker=self._name(database.alias),
                emit=self._emit,
                vitals=self._vitals,
                prepare=self._prepare,
            )
            observer = Observer(database, reachable, views, latest=self._latest)
            watch = Watch(
                database.alias,
                reachable,
                views,
                emit=self._emit,
                left=loop.ask_what_is_left,
                busy=lambda: loop.busy,
            )
            checker = Checker(database.alias, reachable, views, emit=self._emit)
            vacuumer = Vacuumer(
                database.alias, reachable, views, needed=loop.wanted, emit=self._emit
            )
            return _Member(
                server=server.pop_all(),
                loop=loop,
                observer=observer,
                watch=watch,
                checker=checker,
                vacuumer=vacuumer,
            )


def _at_once(stops: Iterable[Callable[[], None]]) -> None:
    """Stop several together: where a database hangs, the patience with each does not add up."""
    threads = [threading.Thread(target=stop, name="stop") for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
