"""Reading everything a plan is made from. Nothing here changes the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter

from refresher.config.model import View
from refresher.definitions.breaking import read_broken
from refresher.definitions.dependents import read_dependents, read_reads, read_strangers
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts, Subject
from refresher.definitions.plan import Plan, make_plan
from refresher.definitions.plan_facts import Obstacle, PlanFacts
from refresher.definitions.requirements import closed_schemas
from refresher.definitions.simulate import simulate
from refresher.definitions.simulation import Simulation
from refresher.graph import Graph
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from refresher.store.definition import AppliedView, read_applied, read_contents, read_former


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and what it was made from."""

    plan: Plan
    simulation: Simulation
    former: Mapping[str, RelationName]
    """Where views stand that are to be renamed, or that are no longer configured."""


def read_plan(
    connection: Connection,
    views: Mapping[str, View],
    *,
    prune: bool = False,
    only: Collection[str] | None = None,
    allow_drop: Collection[str] = (),
) -> Planned:
    """Compare the definitions of one database with what stands, and plan the steps between them.

    Args:
        connection: where they are.
        views: all managed views of that database.
        prune: whether views that are no longer configured are to be dropped.
        only: the views that steps are asked for; all definitions are compared nevertheless.
        allow_drop: what may be dropped where it would not work any more, as problems name it.

    Raises:
        CatalogError: schemas, roles or privileges are missing that the definitions need.
        ConfigError: PostgreSQL refuses some of them.
        PlanError: they read each other in a circle.
        psycopg.Error: the database went away, or does not let us read what they read.
    """
    renaming = _read_renaming(connection, views)
    renamed = renaming.places
    moved = {name: place for name, place in renamed.items() if place != views[name].relation}
    simulation = simulate(connection, views, renamed=moved)
    subjects = simulation.subjects
    applied = read_applied(connection)
    owners = {subject.standing.owner for subject in subjects.values() if subject.standing}
    removed = _read_removed(connection, applied, views, subjects)
    former = {name: applied[name].relation for name in removed}
    facts = PlanFacts(
        subjects=subjects,
        graph=simulation.graph,
        renamed={name: views[name].renamed_from or "" for name in renamed},
        left=renaming.left,
        outdated=_outdated(applied, read_contents(connection, views), simulation.graph),
        removed=removed,
        obstacles=_read_obstacles(connection, subjects),
        broken=read_broken(connection, views, simulation.desired),
        strangers=read_strangers(connection, owners),
        closed=closed_schemas(
            connection, (subject.view.relation.schema for subject in subjects.values())
        ),
        unreadable=simulation.unreadable,
        prune=prune,
        only=only,
        # What is to go anyway needs nobody to allow it once more.
        allow_drop={*allow_drop, *(map(str, former.values()) if prune else ())},
    )
    return Planned(plan=make_plan(facts), simulation=simulation, former={**renamed, **former})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renaming:
    """What `renamed_from` means for what stands."""

    places: Mapping[str, RelationName]
    """Views that go by another name in the database or in the store, and where they stand."""
    left: Mapping[str, RelationName]
    """Views that stand under their new name, and what stands under the former one as well."""


def _read_renaming(connection: Connection, views: Mapping[str, View]) -> _Renaming:
    before = {name: view.renamed_from for name, view in views.items() if view.renamed_from}
    former = read_former(connection, list(before.values()))
    places = {
        name: former.get(old, RelationName(views[name].relation.schema, old))
        for name, old in before.items()
    }
    own = {name: views[name].relation for name in places}
    stand = read_facts_of(connection, [*places.values(), *own.values()])
    standing = {name: place for name, place in places.items() if place in stand}
    return _Renaming(
        places={
            name: place
            for name, place in standing.items()
            if own[name] not in stand or (own[name] == place and before[name] in former)
        },
        left={
            name: place
            for name, place in standing.items()
            if own[name] in stand and own[name] != place
        },
    )


def _outdated(
    applied: Mapping[str, AppliedView], contents: Mapping[str, datetime], graph: Graph
) -> dict[str, str]:
    """Views whose contents were computed before they, or something they read, changed."""
    found = {}
    for name, as_of in contents.items():
        causes = [
            upstream
            for upstream in sorted({name, *graph.all_upstreams(name)})
            if upstream in applied
            and (changed := applied[upstream].changed_at) is not None
            and changed > as_of
        ]
        if causes:
            found[name] = causes[0]
    return found


def _read_removed(
    connection: Connection,
    applied: Mapping[str, AppliedView],
    views: Mapping[str, View],
    subjects: Mapping[str, Subject],
) -> dict[str, RelationFacts]:
    """Views that were applied once, are no longer configured, and still stand; readers first."""
    formerly = {view.renamed_from for view in views.values()}
    taken = {subject.view.relation for subject in subjects.values() if subject.managed}
    gone = {
        name: view.relation
        for name, view in applied.items()
        if name not in views and name not in formerly and view.relation not in taken
    }
    stand = read_facts_of(connection, list(gone.values()))
    found = {
        name: stand[relation]
        for name, relation in gone.items()
        if relation in stand and stand[relation].is_view
    }
    reads = read_reads(connection, found)
    order = reversed(list(TopologicalSorter(reads).static_order()))
    return {name: found[name] for name in order}


def _read_obstacles(connection: Connection, subjects: Mapping[str, Subject]) -> list[Obstacle]:
    labels = {
        subject.standing.oid: label
        for label, subject in subjects.items()
        if subject.standing and subject.standing.is_view
    }
    columns = {
        label: {name for name, _ in subject.desired.columns} if subject.desired else None
        for label, subject in subjects.items()
    }
    found = []
    dependents = read_dependents(connection, labels)
    strangers = read_strangers(connection, {each.owner for each in dependents if each.owner})
    for dependent in dependents:
        label = labels[dependent.relation]
        problem = dependent.problem(label, columns[label], strangers)
        if problem is not None:
            part_of = None if dependent.statement else labels.get(dependent.part_of or 0)
            found.append(
                Obstacle(view=label, name=dependent.name, part_of=part_of, problem=problem)
            )
    return found
