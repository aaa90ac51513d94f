"""Text to value, for every kind of text a configuration has.

Each function raises ValueError with what is wrong and what to write instead.
"""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from refresher.config.faults import shorten, suggest
from refresher.config.model import EMBEDDED, GRANT_OPTION, PRIVILEGES, Secret
from refresher.durations import parse_duration
from refresher.names import check_name

_LONGEST = timedelta(days=3660)
# lock_timeout and statement_timeout are int4 milliseconds, and 0 would mean none at all
# (postgresql.org/docs: Statement Behavior).
_LONGEST_TIMEOUT = timedelta(milliseconds=2**31 - 1)
_MAX_PORT = 65_535

# What refresher sets for every transaction itself; role changes would evade the owner's rights.
_OWN_SETTINGS = frozenset(
    {
        *("statement_timeout", "lock_timeout", "transaction_timeout"),
        *("idle_in_transaction_session_timeout", "idle_session_timeout"),
        *("transaction_isolation", "transaction_read_only", "transaction_deferrable"),
        *("default_transaction_isolation", "default_transaction_read_only"),
        *("default_transaction_deferrable", "client_connection_check_interval"),
        *("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"),
        "tcp_user_timeout",
        *("role", "session_authorization", "client_encoding"),
    }
)
_PERCENTAGE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?%")
SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
OPTION = re.compile(r"(toast\.)?[a-z_][a-z0-9_]*")
COLUMN_NUMBER = re.compile(r"[1-9]|[12][0-9]|3[0-2]")
"""An index has at most 32 columns (INDEX_MAX_KEYS of every stock build)."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def parse_wait(text: str) -> timedelta:
    """A duration of at least a millisecond."""
    return _bounded(text, shortest="1ms", longest=_LONGEST)


def parse_interval(text: str) -> timedelta:
    """A duration of at least a second: nothing is due more often."""
    return _bounded(text, shortest="1s", longest=_LONGEST)


def parse_timeout(text: str) -> timedelta:
    """A duration that PostgreSQL's timeouts can hold."""
    return _bounded(text, shortest="1ms", longest=_LONGEST_TIMEOUT)


def parse_limit(text: str) -> timedelta | Literal["none"]:
    """A duration, or the word none."""
    return "none" if text == "none" else parse_wait(text)


def _bounded(text: str, *, shortest: str, longest: timedelta) -> timedelta:
    duration = parse_duration(text)
    if duration < parse_duration(shortest):
        message = f"{text!r} is too short; write {shortest} or more"
        raise ValueError(message)
    if duration > longest:
        message = f"{text!r} is too long; write {longest.days}d or less"
        raise ValueError(message)
    return duration


def parse_percentage(text: str) -> float:
    """A percentage as a fraction of 1."""
    if not _PERCENTAGE.fullmatch(text):
        message = f"{text!r} is not a share; write it like 20% or 0.2"
        raise ValueError(message)
    return float(text[:-1]) / 100


def check_handle(name: str) -> str:
    """A name for a view or a database: good for a file name, a metric label, an argument."""
    check_name(name)
    if "/" in name or name[0] in ".-" or not name.isprintable() or name != name.strip():
        message = (
            f"{name!r} can't be used: it becomes a file name and a metric's label;"
            " leave out slashes, control characters, spaces around it, and a dot or dash before it"
        )
        raise ValueError(message)
    return name


def check_setting(name: str) -> str:
    """The name of a PostgreSQL setting that is not refresher's own."""
    if not SETTING.fullmatch(name):
        message = f"{name!r} is not a setting's name; write it like work_mem, in lower case"
        raise ValueError(message)
    if name in _OWN_SETTINGS:
        message = f"{name} is set by refresher itself; remove it (timeouts belong to `timeouts`)"
        raise ValueError(message)
    return name


def check_privilege(text: str) -> str:
    """A privilege on a relation."""
    if text.removesuffix(GRANT_OPTION) in PRIVILEGES:
        return text
    message = f"{text!r} is not a privilege; {suggest(text, PRIVILEGES)}"
    raise ValueError(message)


def check_option(name: str) -> str:
    """The name of a relation option, as in `WITH (…)`."""
    if not OPTION.fullmatch(name):
        message = f"{name!r} is not an option's name; write it like fillfactor, in lower case"
        raise ValueError(message)
    return check_name(name)


def parse_column_number(text: str) -> int:
    """The number of an index's column."""
    if not COLUMN_NUMBER.fullmatch(text):
        message = f"{text!r} is not the number of an index's column; write one from 1 to 32"
        raise ValueError(message)
    return int(text)


def parse_conninfo(text: str) -> Secret:
    """What libpq can connect with, or the word embedded. No message quotes it."""
    if text == EMBEDDED:
        return Secret(text)
    # psycopg is only loaded where a server is named.
    from psycopg import ProgrammingError  # noqa: PLC0415 - see above
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see above

    try:
        known = conninfo_to_dict(text)
    except ProgrammingError:
        message = "is not a libpq connection string; write it like postgresql://user@host/database"
        raise ValueError(message) from None  # libpq quotes what it was given
    if not known:
        message = "is empty; write it like postgresql://user@host/database, or the word embedded"
        raise ValueError(message)
    if _is_torn(known):
        message = (
            "is torn apart by a character of its user or password that a URI can't hold; write %40"
            " for @, %2F for / and %3A for :"
        )
        raise ValueError(message)
    return Secret(text)


def _is_torn(parameters: Mapping[str, object]) -> bool:
    """Whether libpq would take a piece of a password for a host or a port, and tell it."""
    ports = str(parameters.get("port", "")).split(",")
    hosts = str(parameters.get("host", "")).split(",")
    return any(port and not port.isdecimal() for port in ports) or any(
        "@" in host and not host.startswith(("/", "@")) for host in hosts
    )


@cache
def _zone_names() -> list[str]:
    return sorted(available_timezones())


def parse_zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(shorten(name), _zone_names(), n=1, cutoff=0.8)
        advice = f"did you mean {near[0]}?" if near else "write it like Europe/Amsterdam"
        message = f"{name!r} is not a time zone; {advice}"
        raise ValueError(message) from error


def parse_address(text: str) -> Address:
    """`host:port`, an IPv6 host in brackets."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        message = f"{text!r} has no port between 0 and {_MAX_PORT}; write it like 127.0.0.1:9187"
        raise ValueError(message)
    if host.startswith("[") and host.endswith("]") and _is_ipv6(host[1:-1]):
        return Address(host[1:-1], int(port))
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host):
        message = f"{text!r} has no host; write it like 127.0.0.1:9187, [::1]:9187 or 0.0.0.0:9187"
        raise ValueError(message)
    return Address(host, int(port))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
