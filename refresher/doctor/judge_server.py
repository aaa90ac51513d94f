"""What is found about the server and the way to it. Pure."""

from collections.abc import Iterator

from refresher.doctor.model import BESIDES_WORKERS, Facts, Finding, Severity
from refresher.doctor.origins import at_its_origin, for_role
from refresher.names import quoted
from refresher.postgres.versions import NEWEST_MAJOR, OLDEST_MAJOR

_CLOCK_SECONDS = 2.0
"""The daemon looks every two seconds for what is due: less than that makes no difference."""


def judge_server(facts: Facts) -> Iterator[Finding]:
    """Its version, its part in a cluster, the pooler before it, the role, the clock, its name."""
    yield from _judge_version(facts)
    yield from _judge_writing(facts)
    yield from _judge_role(facts)
    yield from _judge_commits(facts)
    yield from _judge_way(facts)
    yield from _judge_lineage(facts)


def _judge_version(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.major < OLDEST_MAJOR:
        yield Finding(
            severity=Severity.ERROR,
            topic="version",
            message=f"the server is PostgreSQL {server.version}",
            why=f"refresher needs PostgreSQL {OLDEST_MAJOR} or newer, and refuses this one.",
            cure="upgrade the server",
        )
    elif server.major > NEWEST_MAJOR:
        yield Finding(
            severity=Severity.NOTE,
            topic="version",
            message=f"the server is PostgreSQL {server.version}",
            why=f"This release of refresher was tested on {OLDEST_MAJOR} to {NEWEST_MAJOR}.",
            cure="see whether there is a newer refresher",
        )


def _judge_writing(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.replica:
        yield Finding(
            severity=Severity.ERROR,
            topic="replica",
            message="the server is a read-only replica",
            why="Nothing can be refreshed on it; what the primary refreshes appears here, too.",
            cure="point conninfo at the primary (several hosts: add"
            " target_session_attrs=read-write)",
        )
    default = facts.settings.get("default_transaction_read_only")
    if default is not None and default.value == "on":
        yield Finding(
            severity=Severity.ERROR,
            topic="read_only",
            message=f"transactions of {server.role} are read-only unless they say otherwise",
            why="refresher refuses to work where somebody asked for nothing to be written.",
            cure=at_its_origin(default),
            sql=for_role(facts, default, "off"),
        )


def _judge_commits(facts: Facts) -> Iterator[Finding]:
    usage = facts.usage
    if usage is not None and usage.waiting_commits:
        yield Finding(
            severity=Severity.ERROR,
            topic="synchronous",
            message="COMMITs wait for a synchronous standby:"
            f" {usage.waiting_commits} for 10 s and longer",
            why="Until one answers, no refresh ends, nor a daemon's sign of life. Starting a daemon"
            " anew does not help.",
            cure="bring a standby of synchronous_standby_names"
            f" ({usage.synchronous_standbys}) back, or take it out and reload the server",
        )


def _judge_lineage(facts: Facts) -> Iterator[Finding]:
    hidden, role = facts.server.lineage_hidden, quoted(facts.server.lineage_teller)
    if hidden:
        yield Finding(
            severity=Severity.NOTE,
            topic="lineage",
            message=f"{role} may not ask the server which one it is",
            why="After a failover or a restore nobody notices that as_of goes by another server's"
            " clock: views may be staler than they say until they are refreshed.",
            sql=tuple(f"GRANT EXECUTE ON FUNCTION {name} TO {role}" for name in hidden),
        )


def _judge_role(facts: Facts) -> Iterator[Finding]:
    server = facts.server
    if server.superuser:
        yield Finding(
            severity=Severity.NOTE,
            topic="superuser",
            message=f"refresher connects as {server.role}, a superuser",
            why="It needs to be none; whoever gets hold of its password is one.",
            cure="`refresher doctor --sql` prints a role that may do no more than it must",
        )


def _judge_way(facts: Facts) -> Iterator[Finding]:
    if facts.server.pooled:
        yield Finding(
            severity=Severity.NOTE,
            topic="pooler",
            message="a pooler in transaction mode is between refresher and the server",
            why="That works. A refresh holds one of its server connections until it ends, and"
            " the host of a daemon that died is noticed when the pooler notices.",
            cure=f"let its pool hold max_parallel + {BESIDES_WORKERS} connections for each daemon,"
            " and its query_timeout be longer than any refresh",
        )
    if facts.watches_clients is False:
        yield Finding(
            severity=Severity.NOTE,
            topic="disconnects",
            message="the server can't notice that a client vanished while it works for it",
            why="client_connection_check_interval does not work on its platform: the locks of a"
            " daemon that died are held until what it ran ends.",
            cure="keep timeouts.statement short",
        )
    offset = facts.clock_offset
    if offset is not None and abs(offset) > _CLOCK_SECONDS:
        way = "ahead of" if offset > 0 else "behind"
        yield Finding(
            severity=Severity.WARNING,
            topic="clock",
            message=f"the database's clock is {abs(offset):,.1f} s {way} this machine's",
            why="What is due goes by the database's clock. This machine wakes up for it at the"
            " wrong moment, and a Prometheus here is wrong about staleness.",
            cure="let NTP keep both: `timedatectl status` tells whether it does",
        )
