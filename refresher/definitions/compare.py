"""What differs between a definition and what stands. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from refresher.config.model import Kind, View
from refresher.definitions.model import RelationFacts
from refresher.graph import Graph
from refresher.runs import Strategy


class Aspect(StrEnum):
    """In what a relation drifts; also the label of `refresher_view_drift`."""

    MISSING = "missing"
    DEFINITION = "definition"
    INDEXES = "indexes"
    GRANTS = "grants"
    OWNER = "owner"
    COMMENT = "comment"
    OPTIONS = "options"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One way in which the catalog differs from the definition."""

    view: str
    aspect: Aspect
    message: str


_KIND_NAMES = {
    "v": "a view",
    "m": "a materialized view",
    "r": "a table",
    "p": "a partitioned table",
    "f": "a foreign table",
    "i": "an index",
    "I": "a partitioned index",
    "S": "a sequence",
    "c": "a composite type",
}


_WANTED = {
    Kind.VIEW: "a view",
    Kind.MATERIALIZED_VIEW: "a materialized view",
    Kind.TABLE: "a table that refresher made",
    Kind.COLUMNS: "a view",
}


def compare(view: View, desired: RelationFacts, standing: RelationFacts | None) -> list[Drift]:
    """Every way in which what stands differs from what is desired; none if all is well."""
    if standing is None:
        return [_drift(view, Aspect.MISSING, f"{view.relation} does not exist")]
    if standing.kind != desired.kind or not standing.is_view:
        return [_drift(view, Aspect.DEFINITION, kind_problem(view, standing))]
    found = _compare_definitions(view, desired, standing)
    found += _compare_indexes(view, desired, standing)
    if view.owner is not None and standing.owner != view.owner:
        message = f"owned by {standing.owner}, not {view.owner}"
        found.append(_drift(view, Aspect.OWNER, message))
    if view.grants is not None and wanted_grants(view, standing.owner) != dict(standing.grants):
        message = "the grants that stand are not the configured ones"
        found.append(_drift(view, Aspect.GRANTS, message))
    if view.comment is not None and standing.comment != view.comment:
        found.append(_drift(view, Aspect.COMMENT, "the comment is another one"))
    if view.options is not None and dict(standing.options) != dict(view.options):
        message = f"has the options {_shown(standing.options)}, not {_shown(view.options)}"
        found.append(_drift(view, Aspect.OPTIONS, message))
    return found


def _compare_definitions(
    view: View, desired: RelationFacts, standing: RelationFacts
) -> list[Drift]:
    if standing.columns != desired.columns:
        message = _columns_message(desired, standing)
    elif standing.query != desired.query:
        message = "the query that stands is another one"
    elif standing.primary_key != desired.primary_key:
        message = "the primary key that stands is another one"
    elif view.fills is not None and standing.comment != desired.comment:
        message = f"what stands {standing.comment or 'fills nothing'}"
    else:
        return []
    return [_drift(view, Aspect.DEFINITION, message)]


def kind_problem(view: View, standing: RelationFacts) -> str:
    """That something of another kind stands."""
    kind = _KIND_NAMES.get(standing.kind, "another kind of relation")
    return f"{view.relation} is {kind}, not {_WANTED[view.kind]}"


def wanted_grants(view: View, owner: str) -> dict[str, frozenset[str]]:
    """The configured grants as the catalog would show them."""
    grants = view.grants or {}
    return {role: frozenset(given) for role, given in grants.items() if role != owner and given}


def note_unknown(graph: Graph, view: View) -> list[str]:
    """Why nobody can tell how stale a view is, if so."""
    unmanaged = graph.unmanaged_upstreams(view.name)
    if not unmanaged:
        return []
    note = (
        f"its staleness is unknown, for it reads {', '.join(unmanaged)}: materialized, and not"
        " managed here; add it to the views"
    )
    return [note]


def note_blocked(view: View, standing: RelationFacts | None) -> list[str]:
    """Why a view can be filled once and never refreshed again, if so."""
    wanted = view.key or any(index.unique for index in view.indexes)
    stands = standing is not None and any(index.unique for index in standing.indexes.values())
    blocking = view.allow_blocking or view.strategy is Strategy.FULL
    if view.kind is not Kind.MATERIALIZED_VIEW or wanted or stands or blocking:
        return []
    note = (
        "it has no unique key, so every refresh after the first would have to block its readers,"
        " and fails instead; give it `key`, or `allow_blocking: true`"
    )
    return [note]


def _compare_indexes(view: View, desired: RelationFacts, standing: RelationFacts) -> list[Drift]:
    stand = set(standing.indexes.values())
    found = []
    for name, index in desired.indexes.items():
        if index in stand or index.primary:
            continue
        named = standing.indexes.get(name)
        problem = "missing" if named is None else f"another one stands: {named.body}"
        found.append(_drift(view, Aspect.INDEXES, f"index {name} ({index.body}): {problem}"))
    return found


def _shown(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(options.items())) or "(none)"


def _columns_message(desired: RelationFacts, standing: RelationFacts) -> str:
    wanted, stand = dict(desired.columns), dict(standing.columns)
    parts = [f"lacks column {name}" for name in wanted if name not in stand]
    parts += [f"has column {name} too" for name in stand if name not in wanted]
    parts += [
        f"has column {name} as {stand[name]}, not {wanted[name]}"
        for name in wanted
        if name in stand and stand[name] != wanted[name]
    ]
    return "what stands " + ", ".join(parts or ["has its columns in another order"])


def _drift(view: View, aspect: Aspect, message: str) -> Drift:
    return Drift(view=view.name, aspect=aspect, message=message)
