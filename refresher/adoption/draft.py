"""From what stands to the files of a configuration; nothing is written here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from refresher.adoption.commands import does_more, refreshed_by
from refresher.adoption.describe import Described, describe
from refresher.adoption.model import Adoptable, Jobs, Refreshing
from refresher.adoption.naming import name_views
from refresher.adoption.rendering import render_config, render_query, render_views
from refresher.config.model import Kind
from refresher.names import RelationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the views come into: who connects, and what a configuration has already."""

    role: str
    defaults: frozenset[str] = frozenset()
    """The keys of its `defaults`."""
    taken: frozenset[str] = frozenset()
    """The names of its views."""
    alias: str | None = None
    """The database to name in each view; None where there is one only."""
    unmanaged: frozenset[RelationName] = frozenset()
    """Materialized views that are neither managed nor imported."""


def draft(views: Sequence[Adoptable], jobs: Jobs, surroundings: Surroundings) -> list[Described]:
    """Describe views, each under a name of its own and with the schedule of its job."""
    refreshed = {view.relation for view in views if view.kind is Kind.MATERIALIZED_VIEW}
    known = refreshed | surroundings.unmanaged
    by_job = {job: refreshed_by(job, jobs.functions, known) for job in jobs.jobs}
    names = name_views([view.relation for view in views], surroundings.taken)
    return [
        describe(
            view,
            names[view.relation],
            alias=surroundings.alias,
            role=surroundings.role,
            defaults=surroundings.defaults,
            jobs=jobs,
            refreshing=[
                Refreshing(
                    job=job,
                    others=tuple(sorted(relations - refreshed)),
                    does_more=does_more(job),
                )
                for job, relations in by_job.items()
                if view.relation in relations
            ],
        )
        for view in views
    ]


def new_files(views: Collection[Described]) -> Mapping[str, str]:
    """The files of a configuration of its own, by their paths in its folder."""
    return {"config.yaml": render_config([*views]), **_queries(views)}


def included_files(views: Collection[Described]) -> Mapping[str, str]:
    """The files that come to a configuration: one to include for each view, and its query."""
    return {
        **{f"views/{view.name}.yaml": render_views([view]) for view in views},
        **_queries(views),
    }


def _queries(views: Collection[Described]) -> dict[str, str]:
    return {f"sql/{view.name}.sql": render_query(view) for view in views}
