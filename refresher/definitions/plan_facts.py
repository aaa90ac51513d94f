"""All that a plan is made from. Values only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from refresher.definitions.model import RelationFacts, Subject, Unreadable
from refresher.graph import Graph
from refresher.names import RelationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that depends on what goes, and can't be made to depend on what comes."""

    view: str
    """On whose relation it depends."""
    name: str
    """As `--allow-drop` takes it."""
    problem: str
    part_of: str | None = None
    """The view whose column it is: built anew, that depends on what comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """All that a plan is made from."""

    subjects: Mapping[str, Subject]
    """Each after those it would read."""
    graph: Graph
    renamed: Mapping[str, str] = field(default_factory=dict)
    """View → the former name that what stands still has."""
    left: Mapping[str, RelationName] = field(default_factory=dict)
    """View → what stands under its former name, although it stands under its new one."""
    outdated: Mapping[str, str] = field(default_factory=dict)
    """View → an upstream whose definition changed since the view's contents were computed."""
    removed: Mapping[str, RelationFacts] = field(default_factory=dict)
    """Views that were applied once and are no longer configured, and still stand; each before
    those it reads."""
    obstacles: Sequence[Obstacle] = ()
    broken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """View → checks of its columns that its definition breaks, in words."""
    strangers: Collection[str] = ()
    """Roles that own what would be changed, and that we can't act as."""
    closed: Collection[str] = ()
    """Schemas in which we may not create anything."""
    unreadable: Mapping[str, Sequence[Unreadable]] = field(default_factory=dict)
    """View → relations it would read and its owner may not."""
    prune: bool = False
    only: Collection[str] | None = None
    """Steps that concern neither these views nor what is missing for them are left out."""
    allow_drop: Collection[str] = ()
