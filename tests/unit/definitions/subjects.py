"""Views for tests of what is pure: a test names only what it is about."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from refresher.config.model import Kind
from refresher.definitions.affected import is_changed
from refresher.definitions.model import RelationFacts, Subject
from refresher.graph import Graph
from refresher.names import RelationName
from tests.unit.builders import view

_KINDS = {"v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW}

KEPT = (("id", "integer"), ("name", "text"))
APPENDED = (*KEPT, ("more", "text"))
DROPPED = KEPT[:1]
RETYPED = (("id", "bigint"), KEPT[1])


def facts(**given: Any) -> RelationFacts:
    """A materialized view as it stands, populated, unless told otherwise."""
    return RelationFacts(
        **{
            "oid": 1,
            "kind": "m",
            "query": "SELECT 1",
            "columns": KEPT,
            "indexes": {},
            "owner": "crm",
            "grants": {},
            "comment": None,
            "populated": True,
            **given,
        }
    )


def subject(
    label: str,
    kind: str = "m",
    *,
    reads: Iterable[str] = (),
    read: Iterable[str] | None = None,
    missing: bool = False,
    broken: bool = False,
    managed: bool = True,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **view_fields: Any,
) -> Subject:
    """A view that stands as it is desired, unless told otherwise.

    Args:
        label: its name; what it reads has names of one letter.
        kind: `v` or `m`.
        reads: what it would read.
        read: what it reads as it stands, if that is something else.
        missing: whether nothing stands.
        broken: whether it would not work any more.
        managed: whether it is configured.
        before: what is different of what stands.
        after: what is different of what is desired.
        view_fields: what is different of the configured view.
    """
    stands = facts(**{"kind": kind, **(before or {})})
    desired = facts(**{"kind": kind, "populated": False, **(after or {})})
    return Subject(
        label=label,
        view=view(
            label, **{"kind": _KINDS[kind], "relation": RelationName("crm", label), **view_fields}
        ),
        managed=managed,
        standing=None if missing else stands,
        desired=None if broken else desired,
        problem="it needs what goes" if broken else None,
        read=frozenset() if missing else frozenset(reads if read is None else read),
        reads=frozenset() if broken else frozenset(reads),
    )


def changed(label: str, kind: str = "m", **given: Any) -> Subject:
    """A view whose query is another one, with the same columns unless told otherwise."""
    after = {"query": "SELECT 2", **given.pop("after", {})}
    return subject(label, kind, after=after, **given)


def world(*subjects: Subject) -> dict[str, Subject]:
    return {each.label: each for each in subjects}


def graph_of(subjects: Mapping[str, Subject]) -> Graph:
    """The managed views, and those they read through unmanaged plain ones."""

    def upstreams(label: str) -> frozenset[str]:
        return frozenset(
            found
            for read in subjects[label].reads
            for found in ([read] if subjects[read].managed else upstreams(read))
        )

    managed = [each for each in subjects.values() if each.managed]
    return Graph(
        {each.label: upstreams(each.label) for each in managed},
        frozenset(each.label for each in managed if each.view.refreshed),
    )


@st.composite
def worlds(draw: st.DrawFn, size: int = 7) -> dict[str, Subject]:
    """Views that would read only those before them, and stand reading each other as they like.

    As PostgreSQL has it: nothing stands that reads what is not there, and what reads something
    else has another query. What nobody manages stays as it is, or can't.
    """
    labels = "abcdefghij"[: draw(st.integers(1, size))]
    states = {label: draw(st.sampled_from(_STATES)) for label in labels}
    stands = [label for label in labels if states[label] != "missing"]
    stood = draw(st.one_of(st.just(stands), st.permutations(stands)))
    found: dict[str, Subject] = {}
    for label in labels:
        below = stood[: stood.index(label)] if label in stood else []
        found[label] = draw(_subjects(label, states[label], below, found))
    return found


_STATES = [*["same"] * 4, "changed", "changed", "changed", "missing", "unmanaged", "broken"]


@st.composite
def _subjects(
    draw: st.DrawFn,
    label: str,
    state: str,
    below: list[str],
    found: Mapping[str, Subject],
) -> Subject:
    kind = draw(st.sampled_from("vvm"))
    before: dict[str, Any] = {
        "populated": kind == "v" or draw(st.sampled_from([True, True, True, False]))
    }
    lower = [each for each in found if found[each].desired is not None]
    both = [each for each in lower if each in below]
    if state == "missing":
        return subject(label, kind, reads=_some(draw, lower), missing=True)
    if state == "broken":
        read = _some(draw, [each for each in found if each in below])
        if read:
            return subject(label, kind, read=read, managed=False, broken=True, before=before)
    if state in {"broken", "unmanaged"}:
        retyped = any(is_changed(found[each]) for each in both) and draw(st.booleans())
        after = {"columns": RETYPED if retyped else KEPT}
        read = _some(draw, both)
        return subject(label, kind, reads=read, managed=False, before=before, after=after)
    if state == "same":
        return subject(label, kind, reads=_some(draw, both), before=before)
    before["kind"] = draw(st.sampled_from([kind, kind, kind, "v", "m"]))
    before["populated"] |= before["kind"] == "v"
    columns = draw(st.sampled_from([KEPT, KEPT, APPENDED, DROPPED, RETYPED]))
    reads, read = _some(draw, lower), _some(draw, below)
    if draw(st.booleans()):
        read |= reads.intersection(below)
    return changed(label, kind, reads=reads, read=read, before=before, after={"columns": columns})


def _some(draw: st.DrawFn, labels: list[str]) -> frozenset[str]:
    return draw(st.frozensets(st.sampled_from(labels), max_size=3)) if labels else frozenset()
