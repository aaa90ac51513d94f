"""What the doctor makes of facts: each finding, and the silence where there is none."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from refresher.config.model import Kind, Throttle, Timeouts
from refresher.doctor.model import Facts, Finding, Forbidden, Setting, Severity
from refresher.names import RelationName
from refresher.runs import Strategy
from tests.documented import SECTIONS
from tests.pages import codes
from tests.unit.builders import view
from tests.unit.doctor.healthy import (
    CRM,
    HEALTHY,
    READ,
    SERVER,
    STANDING,
    STORE,
    USAGE,
    VIEW,
    facts,
    findings,
    setting,
)

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def one(found: Facts, *views: Any, **more: Any) -> Finding:
    (finding,) = findings(found, *views, **more)
    return finding


def server(**fields: Any) -> Facts:
    return facts(server=replace(SERVER, **fields))


def standing(**fields: Any) -> Facts:
    return facts(standing=(replace(STANDING, **fields),))


def reading(**fields: Any) -> Facts:
    return facts(reads=(replace(READ, **fields),))


def store(**fields: Any) -> Facts:
    return facts(store=replace(STORE, **fields))


def usage(**fields: Any) -> Facts:
    return facts(usage=replace(USAGE, **fields))


def test_where_all_is_well_nothing_is_said() -> None:
    assert findings(HEALTHY) == ()


NOT_YET: dict[str, Any] = {
    "kind": None,
    "oid": None,
    "owned": False,
    "refreshable": False,
    "readable": False,
}
NO_STORE: dict[str, Any] = {
    "present": False,
    "owner": None,
    "owned": False,
    "version": None,
    "relations": (),
}


EACH: list[tuple[Facts, Severity, str, list[str]]] = [
    (server(version="13.9", major=13), ERROR, "version", []),
    (server(version="19.0", major=19), NOTE, "version", []),
    (server(replica=True), ERROR, "replica", []),
    (
        facts(setting("default_transaction_read_only", "on")),
        ERROR,
        "read_only",
        ["ALTER ROLE daemon IN DATABASE crm SET default_transaction_read_only = off"],
    ),
    (
        facts(setting("default_transaction_read_only", "on", source="client")),
        ERROR,
        "read_only",
        [],
    ),
    (server(superuser=True), NOTE, "superuser", []),
    (usage(waiting_commits=2, synchronous_standbys="db2"), ERROR, "synchronous", []),
    (server(pooled=True), NOTE, "pooler", []),
    (facts(watches_clients=False), NOTE, "disconnects", []),
    (facts(clock_offset=2.1), WARNING, "clock", []),
    (facts(clock_offset=-2.1), WARNING, "clock", []),
    (
        server(lineage_hidden=("pg_control_system()",)),
        NOTE,
        "lineage",
        ["GRANT EXECUTE ON FUNCTION pg_control_system() TO daemon"],
    ),
    (store(**NO_STORE, may_create=True), NOTE, "store", []),
    (
        store(**NO_STORE),
        ERROR,
        "store",
        ["CREATE SCHEMA refresher AUTHORIZATION daemon"],
    ),
    (store(vacant=True, version=None), NOTE, "store", []),
    (
        store(vacant=True, version=None, owned=False, owner="b"),
        ERROR,
        "store",
        ["ALTER SCHEMA refresher OWNER TO daemon"],
    ),
    (
        store(emptied=True, version=None),
        ERROR,
        "store",
        ["DROP SCHEMA refresher CASCADE"],
    ),
    (store(version=4), ERROR, "store", []),
    (store(version=2), NOTE, "store", []),
    (
        store(version=2, owned=False, owner="B"),
        ERROR,
        "store",
        ['GRANT "B" TO daemon'],
    ),
    (
        store(closed=("run",), owned=False, owner="b"),
        ERROR,
        "store",
        ["GRANT b TO daemon"],
    ),
    (
        store(closed=("run",), owned=False, owner="b", owner_is_superuser=True),
        ERROR,
        "store",
        [
            "ALTER SCHEMA refresher OWNER TO daemon",
            "ALTER TABLE refresher.migration OWNER TO daemon",
            "ALTER TABLE refresher.run OWNER TO daemon",
        ],
    ),
    (facts(lacking=("GRANT x TO y",)), ERROR, "apply", ["GRANT x TO y"]),
    (
        facts(unfillable={"m": ("public.t has no column a; add it",)}),
        ERROR,
        "columns",
        [],
    ),
    (
        facts(closed=frozenset({"public"})),
        NOTE,
        "apply",
        ["GRANT USAGE, CREATE ON SCHEMA public TO daemon"],
    ),
    (
        standing(owner="o", owner_keeps_temporary=False),
        ERROR,
        "temporary",
        ["GRANT TEMPORARY ON DATABASE crm TO o"],
    ),
    (
        standing(owner="o", owner_reaches=False),
        ERROR,
        "schemas",
        ["GRANT USAGE ON SCHEMA public TO o"],
    ),
    (
        standing(reachable=False),
        ERROR,
        "schemas",
        ["GRANT USAGE ON SCHEMA public TO daemon"],
    ),
    (
        facts(forbidden=(Forbidden(view="sources", problem="no", schema="S"),)),
        ERROR,
        "sources",
        ['GRANT USAGE ON SCHEMA "S" TO daemon'],
    ),
    (
        facts(forbidden=(Forbidden(view="sources", problem="no", schema=None),)),
        ERROR,
        "sources",
        [],
    ),
    (standing(**NOT_YET), NOTE, "missing", []),
    (standing(kind="r"), ERROR, "kind", []),
    (standing(populated=False), WARNING, "unpopulated", []),
    (
        standing(owner="o", owned=False, refreshable=False),
        ERROR,
        "refresh",
        ["GRANT MAINTAIN, SELECT ON public.sources TO daemon"],
    ),
    (
        standing(readable=False),
        ERROR,
        "refresh",
        ["GRANT SELECT ON public.sources TO daemon"],
    ),
    (
        reading(readable=False, reader="Owner"),
        ERROR,
        "sources",
        ['GRANT SELECT ON sales.orders TO "Owner"'],
    ),
    (
        reading(filtered=True, row_security=True),
        WARNING,
        "row_security",
        ["CREATE POLICY refresher_reads ON sales.orders FOR SELECT TO daemon USING (true)"],
    ),
    (
        reading(lockable=False),
        NOTE,
        "locks",
        ["GRANT USAGE ON SCHEMA sales TO daemon", "GRANT SELECT ON sales.orders TO daemon"],
    ),
    (
        reading(triggerable=False),
        NOTE,
        "triggers",
        ["GRANT TRIGGER ON sales.orders TO daemon"],
    ),
    (
        standing(readers=("anon", "public")),
        WARNING,
        "readers",
        [
            "REVOKE ALL ON public.sources FROM anon",
            "REVOKE ALL ON public.sources FROM PUBLIC",
        ],
    ),
    (
        standing(readers=("public",)),
        NOTE,
        "readers",
        ["REVOKE ALL ON public.sources FROM PUBLIC"],
    ),
    (facts(unmanaged=(RelationName("a", "b"),)), NOTE, "unmanaged", []),
    (
        facts(setting("transaction_timeout", "30s", 30_000, "database")),
        WARNING,
        "transaction_timeout",
        ["ALTER ROLE daemon IN DATABASE crm SET transaction_timeout = 0"],
    ),
    (
        facts(setting("transaction_timeout", "30s", 30_000, "client")),
        WARNING,
        "transaction_timeout",
        [],
    ),
    (
        facts(setting("idle_session_timeout", "1min", 60_000, "user")),
        NOTE,
        "idle_session_timeout",
        ["ALTER ROLE daemon IN DATABASE crm SET idle_session_timeout = 0"],
    ),
    (
        usage(connections=90),
        WARNING,
        "connections",
        ["ALTER SYSTEM SET max_connections = 103"],
    ),
    (
        usage(role_limit=7),
        WARNING,
        "connections",
        ["ALTER ROLE daemon CONNECTION LIMIT 10"],
    ),
    (
        usage(database_limit=7),
        WARNING,
        "connections",
        ["ALTER DATABASE crm CONNECTION LIMIT -1"],
    ),
    *(
        (
            facts(setting(name, "off")),
            NOTE,
            name,
            [f"ALTER SYSTEM SET {name} = on", "SELECT pg_reload_conf()"],
        )
        for name in ("autovacuum", "track_counts", "log_lock_waits")
    ),
    (usage(temporary_bytes=10 * 2**30), NOTE, "work_mem", []),
    (standing(index_bytes=65 * 2**20), NOTE, "maintenance_work_mem", []),
    (facts(unread={"its clock": "no"}), WARNING, "unread", []),
]


@pytest.mark.parametrize(("found", "severity", "topic", "sql"), EACH)
def test_each_finding(found: Facts, severity: Severity, topic: str, sql: list[str]) -> None:
    finding = one(found)
    assert (finding.severity, finding.topic, list(finding.sql)) == (severity, topic, sql)
    assert finding.message
    assert finding.why.endswith(".")
    assert finding.sql or finding.cure or topic == "unread"


def test_the_topics_are_the_documented_ones() -> None:
    (listed,) = re.findall(r"^The topics are (.+)\.$", SECTIONS["refresher doctor"], re.MULTILINE)
    assert set(codes(listed)) == {
        # This one is about what the configuration asks for.
        "throttle",
        *(topic for _, _, topic, _ in EACH),
    }


@pytest.mark.parametrize(
    "found",
    [
        facts(clock_offset=-1.9),
        usage(connections=87),
        usage(role_limit=10),
        usage(temporary_bytes=9 * 2**30),
        standing(index_bytes=64 * 2**20),
        facts(setting("transaction_timeout", "15min", 900_000)),
        facts(setting("statement_timeout", "8s", 8000, "user")),
        # Row-level security that hides nothing, and a plain view that has an owner to ask.
        reading(row_security=True),
        reading(kind="f", lockable=False, triggerable=False),
    ],
)
def test_what_does_no_harm_is_no_finding(found: Facts) -> None:
    assert findings(found) == ()


def test_the_gravest_comes_first() -> None:
    found = facts(setting("autovacuum", "off"), clock_offset=9.0, lacking=("GRANT x TO y",))
    severities = [finding.severity for finding in findings(found)]
    assert severities == [ERROR, WARNING, NOTE]


def test_before_17_refreshing_takes_the_owners_rights() -> None:
    found = replace(
        standing(owner="o", owned=False, refreshable=False),
        server=replace(SERVER, major=16, version="16.4"),
    )
    assert one(found).sql == ("GRANT o TO daemon",)


def test_who_only_refreshes_needs_nothing_to_create_with() -> None:
    found = replace(
        standing(owner="o", owned=False),
        lacking=("GRANT o TO daemon",),
        closed=frozenset({"public"}),
    )
    assert one(found).severity is NOTE
    # One whose owner is configured, or that is missing, is to be created and changed, though.
    wanted = findings(found, replace(VIEW, owner="o"))
    assert [finding.severity for finding in wanted] == [ERROR]
    gone = replace(found, standing=(replace(STANDING, **NOT_YET),))
    assert {finding.topic for finding in findings(gone) if finding.severity is ERROR} == {"apply"}


def test_a_full_refresh_needs_no_temporary_table() -> None:
    found = standing(owner="o", owner_keeps_temporary=False)
    assert findings(found, replace(VIEW, strategy=Strategy.FULL)) == ()


def test_whoever_was_meant_to_read_may() -> None:
    found = standing(readers=("anon", "public"))
    wanted = replace(VIEW, grants={"anon": ("select",), "public": ("select",)})
    assert findings(found, wanted) == ()


def test_what_row_security_guards_below_is_open_above() -> None:
    found = replace(standing(readers=("public",)), reads=(replace(READ, row_security=True),))
    finding = one(found)
    assert finding.severity is WARNING
    assert "tables it reads have it" in finding.why


def test_a_plain_view_is_subject_to_row_security_as_ever() -> None:
    plain = view("sources", kind=Kind.VIEW)
    found = replace(standing(kind="v"), reads=(replace(READ, filtered=True),))
    assert findings(found, plain) == ()


def test_force_is_named() -> None:
    assert "FORCE" in one(reading(filtered=True, forced=True)).why
    assert "FORCE" not in one(reading(filtered=True)).why


def test_a_superuser_is_under_no_limit() -> None:
    found = replace(usage(role_limit=1), server=replace(SERVER, superuser=True))
    assert one(found).topic == "superuser"


def test_sources_of_one_role_are_granted_in_one_statement() -> None:
    reads = tuple(
        replace(READ, view=name, relation=RelationName("s", table), readable=False)
        for name in ("a", "b")
        for table in ("t", "u")
    )
    finding = one(facts(reads=reads, standing=()), view("a"), view("b"))
    assert finding.sql == ("GRANT SELECT ON s.t, s.u TO daemon",)
    assert finding.views == ("a", "b")


def test_a_timeout_is_told_with_where_it_comes_from() -> None:
    limit = setting("transaction_timeout", "30s", 30_000, "database")
    slow = replace(VIEW, timeouts=Timeouts(statement=timedelta(hours=1)))
    finding = one(facts(limit), slow)
    assert finding.message == "transaction_timeout is 30s, from ALTER DATABASE … SET"
    assert "up to 1h" in finding.why


def test_memory_that_refreshes_are_given_already_is_named() -> None:
    given = replace(CRM, session={"work_mem": "64MB", "maintenance_work_mem": "1GB"})
    finding = one(usage(temporary_bytes=10 * 2**30), database=given)
    assert "for refreshes 64MB" in finding.why
    assert findings(standing(index_bytes=65 * 2**20), database=given) == ()


def test_what_a_throttle_limits_should_be_seen() -> None:
    blind = facts(server=replace(SERVER, sees_everybody=False))
    assert findings(blind) == ()
    limited = replace(CRM, throttle=Throttle(active_connections=50))
    finding = one(blind, database=limited)
    assert (finding.severity, finding.topic) == (WARNING, "throttle")
    assert "active_connections" in finding.message
    assert finding.sql == ("GRANT pg_read_all_stats TO daemon",)
    assert findings(facts(), database=limited) == ()


def test_many_names_are_not_all_told() -> None:
    unmanaged = tuple(RelationName("public", f"v{number}") for number in range(12))
    assert one(facts(unmanaged=unmanaged)).message.endswith("public.v9 and 2 more")


def test_hardly_anything_known_is_no_crash() -> None:
    bare = Facts(server=SERVER, unread={"the views": "permission denied"})
    assert one(bare).topic == "unread"


def test_an_unknown_origin_is_told_as_postgresql_does() -> None:
    odd = Setting(name="transaction_timeout", value="1s", number=1000, source="override")
    assert one(facts(odd)).message.endswith("from override")
