"""What stands, in the words of the configuration. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from refresher.adoption.model import Adoptable, Jobs, Refreshing, StandingIndex
from refresher.adoption.schedule import translate
from refresher.config.lexer import scan
from refresher.config.model import GRANT_OPTION, PRIVILEGES, Kind
from refresher.names import RelationName, fitted_name, quoted

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A view as it is written into a configuration."""

    name: str
    relation: RelationName
    query: str
    keys: Mapping[str, Value]
    notes: tuple[str, ...]
    """What whoever takes it over has to know; in words for people."""


def describe(
    view: Adoptable,
    name: str,
    *,
    alias: str | None,
    role: str,
    defaults: Collection[str],
    jobs: Jobs,
    refreshing: Sequence[Refreshing],
) -> Described:
    """Describe a view so that nothing of it differs from what stands.

    Args:
        view: what stands.
        name: what it is to be called.
        alias: the database to name, where there are several.
        role: who connects: a view that names no owner would come to be theirs.
        defaults: the keys that `defaults` of the configuration has; none of them may apply.
        jobs: where the jobs are from.
        refreshing: the jobs that refresh it.
    """
    keys: dict[str, Value] = {"kind": view.kind.value}
    notes: list[str] = []
    if alias is not None:
        keys["database"] = alias
    if view.relation != RelationName("public", name):
        keys["relation"] = str(view.relation)
    if view.kind is not Kind.VIEW:
        keys["schedule"] = _schedule(jobs, refreshing, notes)
        keys |= _uniqueness(view, keys["schedule"], notes)
        if indexes := _indexes(view):
            keys["indexes"] = indexes
        if not view.facts.populated:
            notes.append("it was never populated: the first apply fills it")
    keys |= _access(view, role, defaults, notes)
    if view.facts.comment is not None:
        keys["comment"] = view.facts.comment
    if view.facts.options:
        keys["options"] = dict(view.facts.options)
    notes += [
        f"the index {quoted(index)} is invalid and was left out; drop it"
        for index in sorted(view.facts.invalid_indexes)
    ]
    return Described(
        name=name,
        relation=view.relation,
        query=view.facts.query.strip().removesuffix(";"),
        keys=keys,
        notes=tuple(notes),
    )


def _schedule(jobs: Jobs, refreshing: Sequence[Refreshing], notes: list[str]) -> Value:
    """The schedule of the first job that can be taken over; all of them are named."""
    taken: Value = "manual"
    where = f", in the database {jobs.database}" if jobs.database else ""
    for each in refreshing:
        job = each.job
        if not job.active:
            notes.append(f"{job} would refresh it, but is not active: its schedule was left")
            continue
        if taken == "manual":
            try:
                taken = translate(job.schedule, jobs.timezone)
            except ValueError as error:
                notes.append(f"{job} refreshes it by a schedule of its own: {error}")
        notes.append(
            f"{job} of pg_cron ({job.schedule}) refreshes it too; once refresher runs{where}:"
            f" SELECT cron.unschedule({job.number}){_caveat(each)}"
        )
    if taken == "manual":
        notes.append(
            "nothing that is seen here refreshes it: give it a schedule, such as {every: 15m}"
        )
    elif jobs.timezone is None:
        notes.append("cron.timezone can't be seen by this role: GMT, its default, was assumed")
    return taken


def _caveat(refreshing: Refreshing) -> str:
    """What would be lost with the job."""
    lost = [f"refreshes {', '.join(map(str, refreshing.others))}"] if refreshing.others else []
    lost += ["may do other work"] if refreshing.does_more else []
    return f", but mind that it also {' and '.join(lost)}" if lost else ""


def _uniqueness(view: Adoptable, schedule: Value, notes: list[str]) -> dict[str, Value]:
    if view.key_index is not None:
        found = next(index for index in view.indexes if index.name == view.key_index)
        return {"key": list(found.columns or ())}
    if any(index.identifies for index in view.indexes):
        return {}
    if schedule == "manual":
        notes.append("it has no unique index: give it a key, so that readers go on in a refresh")
        return {}
    notes.append("it has no unique index: readers wait for each refresh until it has a key")
    return {"allow_blocking": True}


def _indexes(view: Adoptable) -> list[Value]:
    return [_index(view, index) for index in view.indexes if not _is_made_by_key(view, index)]


def _is_made_by_key(view: Adoptable, index: StandingIndex) -> bool:
    """Whether `key` says it all: one of another name is what the key needs, and keeps its name."""
    if index.facts.primary:
        return True
    usual = fitted_name(view.relation.name, *(index.columns or ()), suffix="key")
    return index.name == view.key_index == usual


def _index(view: Adoptable, index: StandingIndex) -> dict[str, Value]:
    described = _shape(index)
    if index.facts.unique:
        described["unique"] = True
    usual = fitted_name(view.relation.name, *(index.columns or ()), suffix="idx")
    if "columns" not in described or index.name != usual:
        described["name"] = index.name
    if index.facts.statistics:
        described["statistics"] = {str(number): target for number, target in index.facts.statistics}
    return described


def _shape(index: StandingIndex) -> dict[str, Value]:
    """What it is made of, in the plainest words that say it all."""
    body, plain = index.facts.body, index.plain
    condition = body.removeprefix(f"{plain} WHERE ")
    sayable = body == plain or condition != body
    if index.facts.tablespace is not None or not sayable:
        return {"definition": _placed(body, index.facts.tablespace)}
    described: dict[str, Value] = {}
    if index.columns is not None:
        described["columns"] = list(index.columns)
    elif index.expression is not None:
        described["expression"] = index.expression
    else:
        return {"definition": body}
    if index.method != "btree":
        described["method"] = index.method
    if condition != body:
        described["where"] = condition
    if index.include:
        described["include"] = list(index.include)
    return described


def _placed(body: str, tablespace: str | None) -> str:
    """The definition with its tablespace, which `pg_get_indexdef` keeps to itself."""
    if tablespace is None:
        return body
    depth, end = 0, len(body)
    for token in scan(body):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if not depth and token.is_word("where"):
            end = token.start
            break
    return f"{body[:end].rstrip()} TABLESPACE {quoted(tablespace)} {body[end:]}".rstrip()


def _access(
    view: Adoptable, role: str, defaults: Collection[str], notes: list[str]
) -> dict[str, Value]:
    access: dict[str, Value] = {}
    if view.facts.owner != role or "owner" in defaults:
        access["owner"] = view.facts.owner
    grants = view.facts.grants
    if any(" of a column" in privilege for given in grants.values() for privilege in given):
        notes.append("privileges on single columns stand; no key has words for them, so the grants")
    elif any("${" in grantee for grantee in grants):
        notes.append("a role's name can't be a key in YAML, so the grants")
    elif grants or "grants" in defaults:
        ranked = {grantee: sorted(given, key=_rank) for grantee, given in grants.items()}
        access["grants"] = dict(sorted(ranked.items()))
        return access
    else:
        return access
    notes[-1] += " were left out: they stay as they stand"
    return access


def _rank(privilege: str) -> int:
    return PRIVILEGES.index(privilege.removesuffix(GRANT_OPTION))
