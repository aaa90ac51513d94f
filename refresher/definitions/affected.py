"""What a change of definitions sets in motion among views that read each other. Pure.

PostgreSQL binds a view to what it reads by OID, and can't change a materialized view's query. So:

- a changed materialized view is built beside, and so is a plain view that loses or retypes columns;
- a changed table is, too, unless its columns only become wider and nothing reads it;
- a plain view that reads one of these is re-pointed, by CREATE OR REPLACE, and keeps its OID;
- a materialized view that reads one of these directly is built beside, too;
- and so is a plain view between two of these: the lower one must not be built on the old one.

A materialized view behind a plain one that keeps its OID keeps its own: refreshing it afterwards
brings its contents up to the change. A plain view that comes to read nothing of all this is no part
of it: it is replaced before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refresher.definitions.model import Subject, replaceable, stands_as_desired
from refresher.definitions.widening import is_widened


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Views that are exchanged together, since they read each other."""

    beside: frozenset[str]
    """Built beside what stands, which is then dropped."""
    repointed: frozenset[str]
    """Plain views that keep their OID, and are made to read what comes."""
    broken: frozenset[str]
    """Unmanaged views that read what goes, and would not work with what comes."""


def is_changed(subject: Subject) -> bool:
    """Whether a view stands, and its query is another one."""
    standing = subject.standing
    if standing is None or subject.desired is None or not standing.is_view:
        return False
    return not stands_as_desired(subject)


def is_replaced(subject: Subject) -> bool:
    """Whether a managed view can be given its other query as it stands, and keep its OID."""
    return subject.managed and is_changed(subject) and _is_replaceable(subject)


def is_passage(subject: Subject) -> bool:
    """Whether what is built on it must be built on what comes: not if it has contents."""
    standing, desired = subject.standing, subject.desired
    if desired is None or standing is None:
        return desired is not None
    unfilled = subject.managed and not standing.populated
    return standing.is_view and (desired.kind == "v" or unfilled)


def read_through(subjects: Mapping[str, Subject], start: Iterable[str]) -> frozenset[str]:
    """Passages that some views would read, through others too."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for read in subjects[waiting.pop()].reads - found:
            if is_passage(subjects[read]):
                found.add(read)
                waiting.append(read)
    return frozenset(found)


def exchanges(subjects: Mapping[str, Subject]) -> list[Exchange]:
    """The groups of views that must be exchanged, each as small as can be."""
    found = _Closure(subjects)
    concerned = found.beside | found.repointed | found.broken
    return [
        Exchange(
            beside=group & found.beside,
            repointed=group & found.repointed,
            broken=group & found.broken,
        )
        for group in _connected(subjects, concerned)
    ]


class _Closure:
    """Grows until nothing more is concerned."""

    def __init__(self, subjects: Mapping[str, Subject]) -> None:
        self._subjects = subjects
        self.beside = frozenset(
            label
            for label, subject in subjects.items()
            if is_changed(subject)
            and not _is_replaceable(subject)
            and not is_widened(subject, subjects.values())
        )
        self.repointed = frozenset[str]()
        self.broken = frozenset[str]()
        before = None
        while before != (self.beside, self.repointed, self.broken):
            before = (self.beside, self.repointed, self.broken)
            self._spread()

    def _spread(self) -> None:
        going = self.beside | self.broken
        built_on = self._built_on()
        readers = [
            (label, subject)
            for label, subject in self._subjects.items()
            if subject.standing is not None and subject.read & going and label not in going
        ]
        self.broken |= {label for label, subject in readers if subject.desired is None}
        rows = frozenset(str(self._subjects[label].view.relation) for label in going)
        self.repointed |= {
            label
            for label, subject in readers
            if _is_replaceable(subject, rows) and (label in built_on or not is_replaced(subject))
        }
        self.beside |= {
            label
            for label, subject in readers
            if subject.desired is not None and not _is_replaceable(subject, rows)
        }
        self.beside |= built_on & read_through(self._subjects, self.beside)
        self._prepare_repointed(built_on)
        self.repointed -= self.beside

    def _prepare_repointed(self, built_on: frozenset[str]) -> None:
        """What re-pointed views come to read must be there, and changed, when they are."""
        for label in self.repointed:
            for read in self._subjects[label].reads & built_on - self.beside:
                if self._subjects[read].standing is None:
                    self.beside |= {read}
                elif is_changed(self._subjects[read]):
                    self.repointed |= {read}

    def _built_on(self) -> frozenset[str]:
        """Passages that would read something built beside, through others too."""
        found: set[str] = set()
        grown = True
        while grown:
            new = {
                label
                for label, subject in self._subjects.items()
                if label not in found
                and label not in self.beside
                and is_passage(subject)
                and subject.reads & (self.beside | found)
            }
            grown = bool(new)
            found |= new
        return frozenset(found)


def _is_replaceable(subject: Subject, rows: frozenset[str] = frozenset()) -> bool:
    """Whether CREATE OR REPLACE will do, where these relations' rows come to have other types."""
    standing, desired = subject.standing, subject.desired
    if standing is None or desired is None:
        return False
    whole = any(type_.removesuffix("[]") in rows for _, type_ in standing.columns)
    return replaceable(standing, desired) and not whole


def _connected(subjects: Mapping[str, Subject], labels: frozenset[str]) -> list[frozenset[str]]:
    """These views in groups that read each other, as they stand or as they would."""
    groups: list[frozenset[str]] = []
    for label in sorted(labels):
        subject = subjects[label]
        near = ((subject.read | subject.reads) & labels) | {label}
        joined = [group for group in groups if group & near]
        groups = [group for group in groups if group not in joined]
        groups.append(near.union(*joined))
    return groups
