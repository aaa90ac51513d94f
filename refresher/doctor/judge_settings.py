"""What is found about the server's settings, and what is worth changing. Pure."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from refresher.config.model import Database, View
from refresher.doctor.model import BESIDES_WORKERS, Facts, Finding, Severity, Usage
from refresher.doctor.origins import at_its_origin, for_role, origin
from refresher.durations import format_duration
from refresher.names import quoted

_RELOAD = "SELECT pg_reload_conf()"
_SPILLED_A_DAY = 2**30


def judge_settings(
    database: Database, views: Mapping[str, View], facts: Facts
) -> Iterator[Finding]:
    """Timeouts that end refreshes, connections that run out, and what helps."""
    yield from _judge_timeouts(views, facts)
    yield from _judge_connections(database, facts)
    yield from _judge_throttle(database, facts)
    yield from _judge_statistics(facts)
    yield from _judge_memory(database, facts)


def _judge_timeouts(views: Mapping[str, View], facts: Facts) -> Iterator[Finding]:
    limit = facts.settings.get("transaction_timeout")
    refreshed = {name: view for name, view in views.items() if view.refreshed}
    if limit is not None and limit.number:
        allowed = timedelta(milliseconds=limit.number)
        cut = tuple(name for name, view in refreshed.items() if view.timeouts.statement > allowed)
        if cut:
            yield Finding(
                severity=Severity.WARNING,
                topic="transaction_timeout",
                message=f"transaction_timeout is {limit.value}, from {origin(limit)}",
                why="It ends every refresh that takes longer, although timeouts.statement allows"
                f" up to {format_duration(max(refreshed[name].timeouts.statement for name in cut))}"
                ".",
                cure=at_its_origin(limit),
                sql=for_role(facts, limit, "0"),
                views=cut,
            )
    idle = facts.settings.get("idle_session_timeout")
    if idle is not None and idle.number:
        yield Finding(
            severity=Severity.NOTE,
            topic="idle_session_timeout",
            message=f"idle_session_timeout is {idle.value}, from {origin(idle)}",
            why="A daemon's connections wait for the next due instant; one that was closed"
            " meanwhile costs a refresh its first attempt.",
            cure=at_its_origin(idle),
            sql=for_role(facts, idle, "0"),
        )


def _judge_connections(database: Database, facts: Facts) -> Iterator[Finding]:
    usage = facts.usage
    if usage is None:
        return
    wanted = database.max_parallel + BESIDES_WORKERS
    why = (
        f"A daemon opens up to {wanted}: max_parallel, and {BESIDES_WORKERS}. Without them"
        " refreshes wait or fail."
    )
    free = _free(facts, usage)
    if free is not None and free < wanted:
        enough = _number(facts, "max_connections") + wanted - free
        yield Finding(
            severity=Severity.WARNING,
            topic="connections",
            message=f"the server has room for {max(free, 0)} connections of refresher",
            why=why,
            cure="close what needs none, lower max_parallel, or raise max_connections (restart)",
            sql=(f"ALTER SYSTEM SET max_connections = {enough}",),
        )
    role, name = quoted(facts.server.role), quoted(facts.server.database)
    for limit, whose, statement in (
        (usage.role_limit, f"role {role}", f"ALTER ROLE {role} CONNECTION LIMIT {wanted}"),
        (usage.database_limit, f"database {name}", f"ALTER DATABASE {name} CONNECTION LIMIT -1"),
    ):
        if limit is not None and limit < wanted and not facts.server.superuser:
            yield Finding(
                severity=Severity.WARNING,
                topic="connections",
                message=f"the {whose} may have {limit} connections",
                why=why,
                sql=(statement,),
            )


def _judge_throttle(database: Database, facts: Facts) -> Iterator[Finding]:
    keys = database.throttle.keys
    if keys and not facts.server.sees_everybody:
        role = quoted(facts.server.role)
        yield Finding(
            severity=Severity.WARNING,
            topic="throttle",
            message=f"{role} does not see what throttle limits: {', '.join(keys)}",
            why="Other roles' sessions, and how far standbys lag, are for members of"
            " pg_read_all_stats. What is not seen delays no refresh.",
            sql=(f"GRANT pg_read_all_stats TO {role}",),
        )


def _free(facts: Facts, usage: Usage) -> int | None:
    if "max_connections" not in facts.settings:
        return None
    kept = _number(facts, "superuser_reserved_connections")
    kept += _number(facts, "reserved_connections")
    return _number(facts, "max_connections") - kept - usage.connections


def _number(facts: Facts, name: str) -> int:
    setting = facts.settings.get(name)
    return (setting and setting.number) or 0


_SWITCHES = {
    "autovacuum": "Nobody removes the rows that concurrent refreshes leave dead, and views grow.",
    "track_counts": "The churn of refreshes is not counted, and autovacuum never comes.",
    "log_lock_waits": "With it the server's log says who kept a refresh waiting.",
}


def _judge_statistics(facts: Facts) -> Iterator[Finding]:
    for name, why in _SWITCHES.items():
        setting = facts.settings.get(name)
        if setting is not None and setting.value == "off":
            yield Finding(
                severity=Severity.NOTE,
                topic=name,
                message=f"{name} is off",
                why=why,
                sql=(f"ALTER SYSTEM SET {name} = on", _RELOAD),
            )


def _judge_memory(database: Database, facts: Facts) -> Iterator[Finding]:
    usage = facts.usage
    work_mem = facts.settings.get("work_mem")
    if usage is not None and work_mem is not None:
        days = max((usage.now - usage.counted_since) / timedelta(days=1), 1.0)
        spilled = usage.temporary_bytes / days
        given = database.session.get("work_mem")
        if spilled >= _SPILLED_A_DAY:
            yield Finding(
                severity=Severity.NOTE,
                topic="work_mem",
                message=f"queries here write {spilled / 2**30:,.1f} GiB a day to temporary files",
                why=f"work_mem is {work_mem.value}"
                + (f", for refreshes {given}" if given else "")
                + ": sorts and hashes that need more go to disk. Refreshes are among the largest.",
                cure=f"give refreshes more: databases.{database.alias}.session:"
                " {work_mem: 256MB}",
            )
    building = facts.settings.get("maintenance_work_mem")
    largest = max((each.index_bytes for each in facts.standing or ()), default=0)
    if building is not None and building.number and largest > building.number * 1024:
        given = database.session.get("maintenance_work_mem")
        if given is None:
            yield Finding(
                severity=Severity.NOTE,
                topic="maintenance_work_mem",
                message=f"maintenance_work_mem is {building.value}; the largest index of a view has"
                f" {largest / 2**20:,.0f} MiB",
                why="Indexes are built anew by every full refresh, on disk where memory is short.",
                cure=f"give it more: databases.{database.alias}.session:"
                f" {{maintenance_work_mem: {-(-largest // 2**20)}MB}}",
            )
