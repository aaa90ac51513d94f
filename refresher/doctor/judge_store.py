"""What is found about the schema `refresher`. Pure."""

from collections.abc import Iterator

from refresher.doctor.model import Facts, Finding, Severity, Store
from refresher.doctor.recipe import hand_over
from refresher.names import quoted


def judge_store(facts: Facts) -> Iterator[Finding]:
    """Whether it can be made, brought up to date and used."""
    store = facts.store
    if store is None:
        return
    if not store.present or store.vacant:
        yield _missing(store, facts)
    elif store.closed:
        yield _closed(store, facts)
    elif store.emptied:
        yield Finding(
            severity=Severity.ERROR,
            topic="store",
            message="the schema refresher stands but does not say its version",
            why="It was restored without its rows. Nothing in it can be used but the queries of"
            " maintained tables, which docs/operations.md tells how to keep.",
            cure="drop it; `refresher apply` makes a new one",
            sql=("DROP SCHEMA refresher CASCADE",),
        )
    elif store.version is not None and store.version > store.newest:
        yield Finding(
            severity=Severity.ERROR,
            topic="store",
            message=f"the store is of version {store.version}, and this refresher knows"
            f" {store.newest}",
            why="A newer refresher has been at work; this one refuses to touch its store.",
            cure="upgrade refresher",
        )
    elif store.version is not None and store.version < store.newest:
        yield _outdated(store, facts)


def _missing(store: Store, facts: Facts) -> Finding:
    role = quoted(facts.server.role)
    if store.owned or (store.may_create and not store.present):
        return Finding(
            severity=Severity.NOTE,
            topic="store",
            message="there is no store yet",
            why="Runs and states are kept in the schema refresher.",
            cure="`refresher apply` or `refresher run` makes it",
        )
    made = f"ALTER SCHEMA refresher OWNER TO {role}"
    return Finding(
        severity=Severity.ERROR,
        topic="store",
        message=f"there is no store, and {role} may not make one",
        why="Runs and states are kept in the schema refresher; nothing works without it.",
        sql=(made if store.present else f"CREATE SCHEMA refresher AUTHORIZATION {role}",),
    )


def _closed(store: Store, facts: Facts) -> Finding:
    role = quoted(facts.server.role)
    return Finding(
        severity=Severity.ERROR,
        topic="store",
        message=f"{role} may not use the store, which belongs to {store.owner}",
        why="Every command reads and writes the schema refresher, as its owner or a member of it.",
        sql=_admission(store, facts.server.role),
    )


def _outdated(store: Store, facts: Facts) -> Finding:
    role = quoted(facts.server.role)
    message = f"the store is of version {store.version}, and this refresher wants"
    if store.owned:
        return Finding(
            severity=Severity.NOTE,
            topic="store",
            message=f"{message} {store.newest}",
            why="Until then the other commands refuse to work.",
            cure="`refresher apply` or `refresher run` brings it up to date",
        )
    return Finding(
        severity=Severity.ERROR,
        topic="store",
        message=f"{message} {store.newest}, but {role} may not change it",
        why=f"The schema refresher belongs to {store.owner}; only its owner can upgrade it.",
        sql=_admission(store, facts.server.role),
    )


def _admission(store: Store, role: str) -> tuple[str, ...]:
    """Membership in the store's owner; but nobody is made a member of a superuser."""
    if store.owner_is_superuser:
        return hand_over(store.relations, role)
    return (f"GRANT {quoted(store.owner or '')} TO {quoted(role)}",)
