"""Which views something has happened to since that was last asked, in one cheap query.

Whoever watches over thousands of views would otherwise have to read them all every two seconds to
see what a person, another replica or a dead process's lock has changed. What is told is where to
look, never what to find: whoever looks reads the view anew.

Rows become visible in the order of their commits, not in that of their times or numbers. So what
began is asked for from ten seconds before the last answer on, and told once; what lasts is compared
with what lasted then, and that needs no times at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from refresher.catalog.introspection import read_standing
from refresher.config.model import View
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection

_QUERIES = load_queries("refresher.store", "touched.sql")

_OVERLAP = timedelta(seconds=10)
"""How much later than its own time a row may be committed and still be noticed: a session that
stays idle in a transaction for so long is ended."""
_CATALOG = "catalog"
_LINEAGE = "lineage"
_LASTING = frozenset({"open", "pause", _CATALOG, _LINEAGE})


class Mark(NamedTuple):
    """Something that has happened to a view, and what tells it from another such thing."""

    what: str
    view: str | None
    """None where it may have been any."""
    mark: int


@dataclass(frozen=True, slots=True)
class Touch:
    """An answer."""

    now: datetime
    """When it was given, by the database's clock."""
    views: frozenset[str]
    """Those to look at; some may be nobody's views any more."""


@dataclass(slots=True)
class Marks:
    """What was told so far: enough to know what is new."""

    _lasting: frozenset[Mark] = frozenset()
    _begun: frozenset[Mark] = frozenset()

    def compare(self, marks: Iterable[Mark]) -> frozenset[Mark]:
        """What has come, what lasted and does no more, and the runs that are still open.

        Of those nobody can tell whether the process that began them still lives.
        """
        told = frozenset(marks)
        lasting = frozenset(mark for mark in told if mark.what in _LASTING)
        begun = told - lasting
        news = (lasting ^ self._lasting) | (begun - self._begun)
        self._lasting, self._begun = lasting, begun
        return news | frozenset(mark for mark in lasting if mark.what == "open")


@dataclass(slots=True)
class Touched:
    """One watcher's memory of one database.

    The first answer names every view, as nothing is known before it; ask before anything is read,
    so that nothing can happen in between unseen.
    """

    except_worker: str = ""
    """Whose runs are left out: those of this process, whose end it knows without asking."""
    beside_refreshes: bool = False
    """Whether looks for drift, judged checks and others' refreshes are told, too."""
    _since: datetime | None = None
    _marks: Marks = field(default_factory=Marks)
    _standing: dict[str, int] = field(default_factory=dict)

    def ask(self, connection: Connection, views: Mapping[str, View]) -> Touch:
        """Which of these views to look at.

        Raises:
            psycopg.Error: the database went away.
        """
        asked = {"since": self._since, "except": self.except_worker}
        rows = connection.execute(_QUERIES["touched"], asked).fetchall()
        now: datetime = rows[0]["now"]
        marks = [Mark(row["what"], row["view"], row["mark"]) for row in rows]
        if self.beside_refreshes:
            beside = connection.execute(_QUERIES["touched_by_others"], asked)
            marks += [Mark(**row) for row in beside]
        news = self._marks.compare(marks)
        found = {mark.view for mark in news if mark.view is not None}
        if any(mark.what == _CATALOG for mark in news) or self._standing.keys() != views.keys():
            found |= self._moved(connection, views)
        if any(mark.what == _LINEAGE for mark in news):
            found |= views.keys()  # nothing that was known is known of this server
        self._since = now - _OVERLAP
        return Touch(now, frozenset(found))

    def _moved(self, connection: Connection, views: Mapping[str, View]) -> set[str]:
        """The views under whose name something else stands than before."""
        standing = read_standing(connection, views)
        before = self._standing
        self._standing = {name: hash(standing.get(name)) for name in views}
        return {name for name, found in self._standing.items() if before.get(name) != found}


def read_outline(connection: Connection) -> tuple[int | None, ...]:
    """Numbers that stay the same as long as nobody changes who reads whom, or the registry."""
    row = connection.execute(_QUERIES["outline"]).fetchone()
    return tuple(row.values()) if row else ()
