"""What forbids a plan, and what somebody should know of it. Pure."""

from collections.abc import Iterator, Sequence

from refresher.definitions.affected import Exchange
from refresher.definitions.compare import kind_problem, note_blocked, note_unknown
from refresher.definitions.index_steps import extra_indexes
from refresher.definitions.plan_facts import PlanFacts
from refresher.names import quoted


def find_problems(
    facts: PlanFacts, exchanges: Sequence[Exchange], concerned: set[str]
) -> Iterator[str]:
    """Why a plan can't be applied whose steps concern these views."""
    for label, subject in facts.subjects.items():
        if subject.managed and subject.standing is not None and not subject.standing.is_view:
            yield f"{label}: {kind_problem(subject.view, subject.standing)}; rename one of them"
        yield from (f"{label}: {each}" for each in facts.broken.get(label, ()))
    yield from _privileges(facts, exchanges, concerned)
    for exchange in exchanges:
        if concerned & (exchange.beside | exchange.repointed):
            yield from _broken(facts, exchange)
            yield from _stuck(facts, exchange)


def _broken(facts: PlanFacts, exchange: Exchange) -> Iterator[str]:
    """Unmanaged views that would not work any more."""
    for label, subject in facts.subjects.items():
        if label in exchange.broken and label not in facts.allow_drop:
            yield (
                f"{label}, which is not managed, would not work any more: {subject.problem};"
                f" change it first, or let it go with --allow-drop {label!r}"
            )


def _stuck(facts: PlanFacts, exchange: Exchange) -> Iterator[str]:
    """What is no view, depends on what goes, and can't depend on what comes."""
    going = exchange.beside | exchange.broken
    for obstacle in facts.obstacles:
        if obstacle.part_of in going or obstacle.name in facts.allow_drop:
            continue
        if obstacle.view in going:
            yield (
                f"{obstacle.name} {obstacle.problem}; change it first, or let it go with"
                f" --allow-drop {obstacle.name!r}"
            )


def _privileges(
    facts: PlanFacts, exchanges: Sequence[Exchange], concerned: set[str]
) -> Iterator[str]:
    beside = {label for exchange in exchanges for label in exchange.beside} & concerned
    schemas = {facts.subjects[label].view.relation.schema for label in beside}
    for schema in sorted(schemas.intersection(facts.closed)):
        name = quoted(schema)
        yield f"nothing can be built in schema {name}: GRANT CREATE ON SCHEMA {name}"
    for label, subject in facts.subjects.items():
        if label not in concerned:
            continue
        standing, desired = subject.standing, subject.desired
        if standing is not None and standing.owner in facts.strangers:
            owner = quoted(standing.owner)
            yield f"{label} belongs to {owner}: only its members may change it; GRANT {owner}"
        for source in facts.unreadable.get(label, ()):
            owner = quoted(desired.owner) if desired else "somebody"
            yield (
                f"{label} can't be read or filled: its owner {owner} may not read"
                f" {source.relation}; {source.cure}"
            )


def find_notes(facts: PlanFacts) -> Iterator[str]:
    """What somebody should know although nothing is wrong."""
    for label, subject in facts.subjects.items():
        if not subject.managed:
            continue
        yield from (f"{label}: {note}" for note in note_unknown(facts.graph, subject.view))
        yield from (f"{label}: {note}" for note in note_blocked(subject.view, subject.standing))
        if label in facts.left:
            yield (
                f"{label}: {facts.left[label]}, whose place it was to take, stands beside it and is"
                f" left alone; `refresher destroy {subject.view.renamed_from}` drops it"
            )
        if not facts.prune:
            for name in extra_indexes(subject):
                yield f"{label}: index {name} stands and is not configured; it stays"
    if not facts.prune:
        for label in facts.removed:
            yield (
                f"{label} is no longer configured, and still stands: `refresher destroy {label}`"
                " drops it, and so does `prune: true`"
            )
