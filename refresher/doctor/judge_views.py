"""What is found about the managed views, what they read, and who reads them. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from refresher.catalog.model import RELATION_KINDS
from refresher.config.model import Kind, View
from refresher.doctor.judge_sources import judge_sources
from refresher.doctor.model import Facts, Finding, Severity, Standing
from refresher.doctor.words import does, listed
from refresher.names import quoted
from refresher.postgres.versions import FIRST_WITH_MAINTAIN
from refresher.runs import Strategy


def judge_views(views: Mapping[str, View], facts: Facts) -> Iterator[Finding]:
    """Whether they can be created, refreshed and trusted, and whether they tell too much."""
    yield from _judge_apply(views, facts)
    standing = facts.standing or ()
    contents = [each for each in standing if _has_contents(views[each.view], each)]
    yield from _judge_schemas(facts, standing)
    yield from _judge_standing(views, standing)
    yield from _judge_filled(facts)
    yield from _judge_refreshing(facts, contents)
    yield from _judge_temporary(views, facts, standing)
    yield from judge_sources(views, facts, contents)
    yield from _judge_unmanaged(facts)


def _has_contents(view: View, standing: Standing) -> bool:
    return view.refreshed and standing.kind == RELATION_KINDS[view.kind]


def _judge_apply(views: Mapping[str, View], facts: Facts) -> Iterator[Finding]:
    """What creating and changing views lacks: nothing grave where refresher only refreshes."""
    creates = any(
        each.kind is None or each.owned or views[each.view].owner is not None
        for each in facts.standing or ()
    )
    severity = Severity.ERROR if creates else Severity.NOTE
    if facts.lacking:
        yield Finding(
            severity=severity,
            topic="apply",
            message="refresher can't create or change all of its views",
            why="`refresher apply` begins with nothing before it can finish."
            if creates
            else "Refreshing is another matter: what stands can be refreshed without.",
            cure="correct the configuration, or have somebody run",
            sql=facts.lacking,
        )
    role = quoted(facts.server.role)
    for schema, theirs in _unchangeable(facts).items():
        yield Finding(
            severity=Severity.NOTE,
            topic="apply",
            message=f"{role} may not create in the schema {quoted(schema)}",
            why=f"{listed(theirs)} can be refreshed, but not changed: another definition is built"
            " beside the old one.",
            sql=(f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {role}",),
            views=tuple(theirs),
        )


def _unchangeable(facts: Facts) -> dict[str, list[str]]:
    """Schemas closed to us, and what stands there that we act as the owner of."""
    found: dict[str, list[str]] = {}
    for each in facts.standing or ():
        if each.kind is not None and each.owned and each.relation.schema in facts.closed:
            found.setdefault(each.relation.schema, []).append(each.view)
    return found


def _judge_schemas(facts: Facts, standing: Iterable[Standing]) -> Iterator[Finding]:
    us = facts.server.role
    closed: dict[tuple[str, str], list[str]] = {}
    for each in standing:
        if not each.owner_reaches and each.owner is not None:
            closed.setdefault((each.relation.schema, each.owner), []).append(each.view)
        # Who acts as an owner has what that has, once it does.
        if not each.reachable and (each.owner_reaches or not each.owned):
            closed.setdefault((each.relation.schema, us), []).append(each.view)
    for (schema, role), theirs in closed.items():
        yield Finding(
            severity=Severity.ERROR,
            topic="schemas",
            message=f"{quoted(role)} may not use the schema {quoted(schema)}",
            why=f"{listed(theirs)} {does(theirs, 'is', 'are')} there, or to be.",
            sql=(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}",),
            views=tuple(theirs),
        )
    role = quoted(us)
    for denied in facts.forbidden:
        usage = f"GRANT USAGE ON SCHEMA {quoted(denied.schema or '')} TO {role}"
        yield Finding(
            severity=Severity.ERROR,
            topic="sources",
            message=f"{role} may not create {denied.view}: {denied.problem}",
            why="`refresher apply` fails, and what the view reads can't be looked at here.",
            cure=None if denied.schema else f"grant it to {role}, or to the view's owner",
            sql=(usage,) if denied.schema else (),
            views=(denied.view,),
        )


def _judge_filled(facts: Facts) -> Iterator[Finding]:
    for view, problems in facts.unfillable.items():
        for problem in problems:
            yield Finding(
                severity=Severity.ERROR,
                topic="columns",
                message=f"{view} can't be filled: {problem}",
                why="Every refresh of it fails; what was filled before stays as it is.",
                cure="do as it says; `refresher plan` looks again",
                views=(view,),
            )


def _judge_standing(views: Mapping[str, View], standing: Iterable[Standing]) -> Iterator[Finding]:
    missing = tuple(each.view for each in standing if each.kind is None)
    if missing:
        yield Finding(
            severity=Severity.NOTE,
            topic="missing",
            message=f"{listed(missing)} {does(missing, 'does', 'do')} not exist yet",
            why="Until they stand, nobody can read them.",
            cure="`refresher apply` creates what is missing",
            views=missing,
        )
    for each in standing:
        wanted = views[each.view].kind
        if each.kind is not None and each.kind != RELATION_KINDS[wanted]:
            yield Finding(
                severity=Severity.ERROR,
                topic="kind",
                message=f"{each.relation} is no {wanted.value.replace('_', ' ')}",
                why="Something else has the name that the configuration gives to a view.",
                cure="rename one of them",
                views=(each.view,),
            )
    empty = tuple(each.view for each in standing if each.kind == "m" and not each.populated)
    if empty:
        yield Finding(
            severity=Severity.WARNING,
            topic="unpopulated",
            message=f"{listed(empty)} {does(empty, 'was', 'were')} never populated",
            why="Whoever reads an unpopulated materialized view gets an error.",
            cure=f"`refresher run-now {' '.join(empty)}` populates",
            views=empty,
        )


def _judge_refreshing(facts: Facts, contents: Iterable[Standing]) -> Iterator[Finding]:
    role = quoted(facts.server.role)
    for each in contents:
        owner = quoted(each.owner or "")
        if not each.refreshable:
            table = each.kind == RELATION_KINDS[Kind.TABLE]
            by_membership = table or facts.server.major < FIRST_WITH_MAINTAIN
            yield Finding(
                severity=Severity.ERROR,
                topic="refresh",
                message=f"{role} may not refresh {each.relation}, which belongs to {owner}",
                why="A table is written to, and its query read, by who acts as its owner."
                if table
                else "Before PostgreSQL 17 only an owner refreshes, or who acts as one."
                if by_membership
                else "That takes MAINTAIN, or its owner's rights. SELECT is for counting its rows.",
                sql=(f"GRANT {owner} TO {role}",)
                if by_membership
                else (f"GRANT MAINTAIN, SELECT ON {each.relation} TO {role}",),
                views=(each.view,),
            )
        elif not each.readable:
            yield Finding(
                severity=Severity.ERROR,
                topic="refresh",
                message=f"{role} may not read {each.relation}",
                why="A refresh ends with counting its rows and running its checks.",
                sql=(f"GRANT SELECT ON {each.relation} TO {role}",),
                views=(each.view,),
            )


def _judge_temporary(
    views: Mapping[str, View], facts: Facts, standing: Iterable[Standing]
) -> Iterator[Finding]:
    database = quoted(facts.server.database)
    for name, theirs in _without_temporary(views, standing).items():
        yield Finding(
            severity=Severity.ERROR,
            topic="temporary",
            message=f"{quoted(name)} may not keep temporary tables",
            why=f"It owns {listed(theirs)}, or will: REFRESH CONCURRENTLY keeps what differs in a"
            " temporary table of the owner's.",
            sql=(f"GRANT TEMPORARY ON DATABASE {database} TO {quoted(name)}",),
            views=tuple(theirs),
        )


def _without_temporary(
    views: Mapping[str, View], standing: Iterable[Standing]
) -> dict[str, list[str]]:
    """The owners that need TEMPORARY and lack it, and what they own."""
    owners: dict[str, list[str]] = {}
    for each in standing:
        view = views[each.view]
        concurrent = view.kind is Kind.MATERIALIZED_VIEW and view.strategy is not Strategy.FULL
        if concurrent and each.owner is not None and not each.owner_keeps_temporary:
            owners.setdefault(each.owner, []).append(each.view)
    return owners


def _judge_unmanaged(facts: Facts) -> Iterator[Finding]:
    if facts.unmanaged:
        yield Finding(
            severity=Severity.NOTE,
            topic="unmanaged",
            message="materialized views that refresher does not manage:"
            f" {listed(map(str, facts.unmanaged))}",
            why="How old their contents are it can't say, nor so of views that read them.",
            cure="`refresher import` writes a configuration for them; or leave them to whoever"
            " refreshes them",
        )
