"""What is found about what views read, as whom, and who reads them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from refresher.config.model import View
from refresher.doctor.model import Facts, Finding, Read, Severity, Standing
from refresher.doctor.words import does, listed
from refresher.names import RelationName, quoted

_TABLES = frozenset("rp")


def judge_sources(
    views: Mapping[str, View], facts: Facts, contents: Iterable[Standing]
) -> Iterator[Finding]:
    """Whether the views' owners see all they must, and nobody sees what they must not.

    `contents` are the materialized views among them that stand.
    """
    if facts.reads is not None:
        yield from _judge_reading(views, facts.reads)
        yield from _judge_filters(views, facts.reads)
        yield from _judge_beneath(facts, facts.reads)
    yield from _judge_readers(views, facts, contents)


@dataclass(frozen=True, slots=True)
class _Group:
    """What one role reads in one way, and for which views."""

    role: str
    reads: tuple[Read, ...]

    @property
    def relations(self) -> list[str]:
        return list(dict.fromkeys(str(read.relation) for read in self.reads))

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(read.view for read in self.reads))


def _by_role(reads: Iterable[Read]) -> list[_Group]:
    groups: dict[str, list[Read]] = {}
    for read in reads:
        groups.setdefault(read.reader, []).append(read)
    return [_Group(role, tuple(theirs)) for role, theirs in groups.items()]


def _judge_reading(views: Mapping[str, View], reads: Iterable[Read]) -> Iterator[Finding]:
    for group in _by_role(read for read in reads if not read.readable):
        relations = ", ".join(group.relations)
        refreshed = any(views[name].refreshed for name in group.views)
        yield Finding(
            severity=Severity.ERROR,
            topic="sources",
            message=f"{quoted(group.role)} may not read {listed(group.relations)}",
            why=f"{listed(group.views)} {does(group.views, 'reads', 'read')} with its rights:"
            f" {'every refresh fails with permission' if refreshed else 'every query fails'}.",
            sql=(f"GRANT SELECT ON {relations} TO {quoted(group.role)}",),
            views=group.views,
        )


def _judge_filters(views: Mapping[str, View], reads: Iterable[Read]) -> Iterator[Finding]:
    filtered = [read for read in reads if read.filtered and views[read.view].refreshed]
    for group in _by_role(filtered):
        relations = dict.fromkeys(read.relation for read in group.reads)
        owns = any(read.forced for read in group.reads)
        yield Finding(
            severity=Severity.WARNING,
            topic="row_security",
            message=f"row-level security hides rows of {listed(group.relations)} from"
            f" {quoted(group.role)}",
            why=f"{listed(group.views)} {does(group.views, 'is', 'are')} refreshed with its"
            " rights: rows may be missing, maybe all, and every refresh succeeds."
            + (" FORCE ROW LEVEL SECURITY holds for a table's owner, too." if owns else ""),
            cure="admit it, unless that is meant; a `min_rows` check is a guard",
            sql=tuple(
                f"CREATE POLICY refresher_reads ON {relation} FOR SELECT"
                f" TO {quoted(group.role)} USING (true)"
                for relation in relations
            ),
            views=group.views,
        )


def _judge_beneath(facts: Facts, reads: Iterable[Read]) -> Iterator[Finding]:
    """What refresher's own role could do with the tables beneath, and better should."""
    tables = [read for read in reads if read.kind in _TABLES]
    role = quoted(facts.server.role)
    unlockable = list(dict.fromkeys(read.relation for read in tables if not read.lockable))
    if unlockable:
        yield Finding(
            severity=Severity.NOTE,
            topic="locks",
            message=f"{role} can't lock {listed(map(str, unlockable))}",
            why="A refresh that could would wait for whoever is reloading them. This one notices"
            " afterwards, keeps the old contents and tries again.",
            sql=(*_usage(unlockable, role), f"GRANT SELECT ON {_joined(unlockable)} TO {role}"),
        )
    untriggerable = list(dict.fromkeys(read.relation for read in tables if not read.triggerable))
    if untriggerable:
        yield Finding(
            severity=Severity.NOTE,
            topic="triggers",
            message=f"{role} may not create triggers on {listed(map(str, untriggerable))}",
            why="Nothing in this release does; change capture will.",
            sql=(f"GRANT TRIGGER ON {_joined(untriggerable)} TO {role}",),
        )


def _usage(relations: Iterable[RelationName], role: str) -> tuple[str, ...]:
    schemas = ", ".join(dict.fromkeys(quoted(relation.schema) for relation in relations))
    return (f"GRANT USAGE ON SCHEMA {schemas} TO {role}",)


def _judge_readers(
    views: Mapping[str, View], facts: Facts, contents: Iterable[Standing]
) -> Iterator[Finding]:
    """Who reads what nobody asked to be readable; grants in the configuration are such a wish."""
    protected = {read.view for read in facts.reads or () if read.row_security}
    for each in contents:
        asked = views[each.view].grants or {}
        unasked = tuple(role for role in each.readers if role not in asked)
        if not unasked:
            continue
        guarded = each.view in protected
        named = ["everybody" if role == "public" else role for role in unasked]
        yield Finding(
            severity=Severity.WARNING if guarded or unasked != ("public",) else Severity.NOTE,
            topic="readers",
            message=f"{each.relation} is readable by {listed(named)}",
            why="Row-level security never protects a materialized view"
            + (", and tables it reads have it: their rows show here." if guarded else "."),
            cure="`grants` in the configuration says who shall read it",
            sql=tuple(
                f"REVOKE ALL ON {each.relation} FROM"
                f" {'PUBLIC' if role == 'public' else quoted(role)}"
                for role in unasked
            ),
            views=(each.view,),
        )


def _joined(relations: Iterable[RelationName]) -> str:
    return ", ".join(map(str, relations))
