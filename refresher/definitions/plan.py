"""From what is desired and what stands to the steps between them. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from refresher.config.model import Kind
from refresher.definitions.affected import Exchange, exchanges, is_changed
from refresher.definitions.compare import (
    Aspect,
    Drift,
    compare,
)
from refresher.definitions.index_steps import index_steps
from refresher.definitions.order import in_order, released
from refresher.definitions.plan_facts import PlanFacts
from refresher.definitions.problems import find_notes, find_problems
from refresher.definitions.step import (
    Alter,
    Create,
    Diff,
    Drop,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
    Widen,
)
from refresher.definitions.widening import widened_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ordered steps that remove all drift, or the problems that forbid them."""

    steps: tuple[Step, ...]
    problems: tuple[str, ...]
    """Why this can't be applied; the steps are shown all the same."""
    notes: tuple[str, ...]
    """What somebody should know although nothing is wrong."""
    drift: tuple[Drift, ...]

    @property
    def changes(self) -> bool:
        """Whether there is anything to apply."""
        return bool(self.steps)


def make_plan(facts: PlanFacts) -> Plan:
    """Decide what to do, in which order."""
    return _Planner(facts).plan()


class _Planner:
    def __init__(self, facts: PlanFacts) -> None:
        self._facts = facts
        self._subjects = facts.subjects
        self._managed = {
            label: subject for label, subject in facts.subjects.items() if subject.managed
        }
        self._exchanges = exchanges(facts.subjects)
        self._allowed = frozenset(facts.allow_drop)
        self._drift = {
            label: tuple(compare(subject.view, subject.desired, subject.standing))
            for label, subject in self._managed.items()
            if subject.desired is not None
        }

        self._asked_for = self._with_missing(facts.only)

    def _with_missing(self, only: Collection[str] | None) -> frozenset[str] | None:
        """The views that steps are asked for, and what is missing for them to be created."""
        if only is None:
            return None
        upstreams = frozenset[str]().union(*map(self._facts.graph.all_upstreams, only))
        missing = {label for label in upstreams if self._subjects[label].standing is None}
        return frozenset(only) | missing

    def plan(self) -> Plan:
        steps = [step for step in self._steps() if self._is_asked_for(step)]
        concerned = {label for step in steps for label in step.views}
        return Plan(
            steps=tuple(steps),
            problems=tuple(find_problems(self._facts, self._exchanges, concerned)),
            notes=tuple(find_notes(self._facts)),
            drift=tuple(found for drift in self._drift.values() for found in drift),
        )

    def _is_asked_for(self, step: Step) -> bool:
        only = self._asked_for
        if only is None:
            return True
        concerned = set(step.views)
        if isinstance(step, Replace):
            concerned |= self._released_for(step.views[0])
        return not concerned.isdisjoint(only)

    def _released_for(self, label: str) -> frozenset[str]:
        """Views that can't be exchanged before this one no longer reads what goes."""
        return frozenset[str]().union(
            *(
                exchange.beside | exchange.repointed
                for exchange in self._exchanges
                if label in released(self._subjects, exchange)
            )
        )

    def _steps(self) -> Iterator[Step]:
        for label, before in self._facts.renamed.items():
            yield Rename(views=(label,), before=before, why=(f"it was called {before}",))
        for group in in_order(self._subjects, self._exchanges, self._facts.graph):
            if isinstance(group, Exchange):
                yield self._swap(group)
                for label in self._ordered(group.beside):
                    if self._subjects[label].view.fills is not None:
                        yield self._populate(label, "it was built anew")
                for label in self._ordered(group.repointed):
                    yield from self._around(label, in_swap=True)
            else:
                yield from self._around(group, in_swap=False)
        yield from self._refreshes()
        if self._facts.prune:
            yield from self._drops()

    def _ordered(self, labels: Collection[str]) -> tuple[str, ...]:
        return tuple(label for label in self._subjects if label in labels)

    def _swap(self, exchange: Exchange) -> Swap:
        beside = self._ordered(exchange.beside)
        standing = [facts for label in beside if (facts := self._subjects[label].standing)]
        contents = [facts for facts in standing if facts.has_contents]
        known = [facts.rows for facts in contents if facts.rows is not None]
        return Swap(
            views=(*beside, *self._ordered(exchange.repointed)),
            beside=beside,
            repointed=self._ordered(exchange.repointed),
            dropped=tuple(
                sorted(exchange.broken | self._dropped(exchange.beside | exchange.broken))
            ),
            why=tuple(reason for label in beside for reason in self._why_beside(label, beside)),
            diffs=tuple(
                diff
                for label in (*beside, *self._ordered(exchange.repointed))
                for diff in self._diffs(label)
            ),
            rows=sum(known) if len(known) == len(contents) else None,
            bytes=sum(facts.bytes for facts in contents),
        )

    def _dropped(self, labels: Collection[str]) -> frozenset[str]:
        return frozenset(
            obstacle.name
            for obstacle in self._facts.obstacles
            if obstacle.view in labels and obstacle.name in self._allowed
        )

    def _why_beside(self, label: str, beside: Sequence[str]) -> Iterator[str]:
        subject = self._subjects[label]
        standing, desired = subject.standing, subject.desired
        if standing is None:
            yield f"{label} is missing, and is read by what is exchanged"
            return
        assert desired is not None  # noqa: S101 - what is built beside has a definition
        drift = self._drift.get(label, ())
        found = [each for each in drift if each.aspect is Aspect.DEFINITION]
        others = [each.aspect.value for each in drift if each.aspect is not Aspect.DEFINITION]
        reads = sorted(subject.read.union(subject.reads) & set(beside))
        if found:
            yield from (f"{label}: {each.message}" for each in found)
        elif standing.columns != desired.columns:
            yield f"{label}: its columns change with those of {', '.join(reads)}"
        else:
            yield f"{label}: it reads {', '.join(reads)}, and can only be re-pointed by rebuilding"
        if others:
            yield f"{label}: with it come {', '.join(dict.fromkeys(others))}"

    def _diffs(self, label: str) -> Iterator[Diff]:
        subject = self._subjects[label]
        if subject.standing and subject.desired and subject.standing.query != subject.desired.query:
            yield Diff(view=label, before=subject.standing.query, after=subject.desired.query)

    def _around(self, label: str, *, in_swap: bool) -> Iterator[Step]:
        """The steps of one managed view that is not built beside."""
        subject = self._managed.get(label)
        if subject is None or subject.desired is None:
            return
        standing = subject.standing
        aspects = {found.aspect: found for found in self._drift[label]}
        if standing is None:
            yield Create(views=(label,), why=(aspects[Aspect.MISSING].message,))
        elif not standing.is_view:
            return
        elif is_changed(subject) and not in_swap:
            why = (aspects[Aspect.DEFINITION].message,)
            diffs = tuple(self._diffs(label))
            if standing.has_contents:
                columns = tuple(widened_columns(subject).items())
                yield Widen(views=(label,), why=why, columns=columns, diffs=diffs)
            else:
                yield Replace(views=(label,), why=why, of=subject.view.kind, diffs=diffs)
        if standing is not None:
            yield from self._alter(label, aspects, in_swap=in_swap)
        if subject.view.refreshed:
            if standing is None or not standing.populated:
                fills = subject.view.kind is Kind.COLUMNS
                empty = "its columns were never filled" if fills else "it has no contents yet"
                yield self._populate(label, empty)
            yield from index_steps(subject, prune=self._facts.prune)

    def _populate(self, label: str, why: str) -> Populate:
        return Populate(views=(label,), why=(why,), of=self._subjects[label].view.kind)

    def _alter(
        self, label: str, aspects: Mapping[Aspect, Drift], *, in_swap: bool
    ) -> Iterator[Step]:
        kinds = [Aspect.OWNER, Aspect.GRANTS, Aspect.COMMENT]
        replaced = in_swap or is_changed(self._subjects[label])
        if not replaced:
            kinds.append(Aspect.OPTIONS)  # CREATE OR REPLACE sets them
        found = [aspects[kind] for kind in kinds if kind in aspects]
        if found:
            yield Alter(
                views=(label,),
                aspects=tuple(each.aspect.value for each in found),
                why=tuple(each.message for each in found),
            )

    def _refreshes(self) -> Iterator[Step]:
        """What reads something that changes, through what keeps its OID."""
        beside = {label for exchange in self._exchanges for label in exchange.beside}
        changed = {label for label, subject in self._subjects.items() if is_changed(subject)}
        stale: set[str] = set()
        for label, subject in self._managed.items():
            standing = subject.standing
            if not subject.view.refreshed:
                continue
            # What is filled by this plan has the new definitions in it already, but not what is
            # refreshed only after it.
            is_filled = label in beside or standing is None or not standing.populated
            upstreams = self._facts.graph.all_upstreams(label)
            causes = upstreams & (stale if is_filled else changed | stale)
            outdated = None if is_filled else self._facts.outdated.get(label)
            if not is_filled and label in changed:
                outdated = label
            if causes or outdated:
                stale.add(label)
                cause = outdated or min(causes)
                yield Refresh(
                    views=(label,),
                    of=subject.view.kind,
                    why=(f"its contents were computed before {_which(cause, label)} changed",),
                    rows=standing.rows if standing else None,
                    bytes=standing.bytes if standing else 0,
                )

    def _drops(self) -> Iterator[Step]:
        for label, facts in self._facts.removed.items():
            yield Drop(
                views=(label,),
                why=("it is no longer configured, and prune is on",),
                relation_kind=facts.kind,
                bytes=facts.bytes,
            )


def _which(cause: str, label: str) -> str:
    return "its query" if cause == label else cause
