"""Where a setting comes from, and what changes it. Pure."""

from refresher.doctor.model import Facts, Setting
from refresher.names import quoted

_ORIGINS = {
    "default": "PostgreSQL's default",
    "configuration file": "postgresql.conf",
    "command line": "the server's command line",
    "environment variable": "the server's environment",
    "database": "ALTER DATABASE … SET",
    "user": "ALTER ROLE … SET",
    "database user": "ALTER ROLE … IN DATABASE … SET",
    "global": "ALTER ROLE ALL SET",
    "client": "the connection itself: conninfo, PGOPTIONS or the pooler",
    "session": "a SET that the pooler kept from somebody's session",
}


_AFTER_ROLES = frozenset({"client", "session"})
"""Sources that a role's settings don't override (src/include/utils/guc.h, GucSource)."""


def origin(setting: Setting) -> str:
    """Where a setting comes from, in words."""
    return _ORIGINS.get(setting.source, setting.source)


def for_role(facts: Facts, setting: Setting, value: str) -> tuple[str, ...]:
    """The statement that gives a setting to our role here; none where a role's don't count."""
    if setting.source in _AFTER_ROLES:
        return ()
    role, database = quoted(facts.server.role), quoted(facts.server.database)
    return (f"ALTER ROLE {role} IN DATABASE {database} SET {setting.name} = {value}",)


def at_its_origin(setting: Setting) -> str | None:
    """What to do about a setting that no statement changes for us."""
    return f"take it out of {origin(setting)}" if setting.source in _AFTER_ROLES else None
