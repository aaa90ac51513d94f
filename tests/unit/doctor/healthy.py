"""Facts of a database in which all is well; a test names only what is not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from refresher.config.model import Database, Secret, View
from refresher.doctor.judge import judge
from refresher.doctor.model import Facts, Finding, Read, Server, Setting, Standing, Store, Usage
from refresher.names import RelationName
from tests.unit.builders import view

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
CRM = Database(alias="crm", conninfo=Secret(""))
VIEW = view("sources", key=("id",))

SERVER = Server(
    version="18.4",
    major=18,
    database="crm",
    role="daemon",
    superuser=False,
    pooled=False,
    replica=False,
    lineage_teller="daemon",
    lineage_hidden=(),
    sees_everybody=True,
)
USAGE = Usage(
    connections=10,
    role_limit=None,
    database_limit=None,
    waiting_commits=0,
    synchronous_standbys="",
    temporary_bytes=0,
    counted_since=NOON - timedelta(days=10),
    now=NOON,
)
STORE = Store(
    present=True,
    owner="daemon",
    owned=True,
    owner_is_superuser=False,
    may_create=False,
    vacant=False,
    emptied=False,
    version=3,
    relations=("migration", "run"),
    closed=(),
    newest=3,
)
STANDING = Standing(
    view="sources",
    relation=RelationName("public", "sources"),
    oid=1,
    kind="m",
    populated=True,
    owner="daemon",
    owned=True,
    refreshable=True,
    readable=True,
    reachable=True,
    owner_reaches=True,
    owner_keeps_temporary=True,
    readers=(),
    index_bytes=2**20,
)
READ = Read(
    view="sources",
    relation=RelationName("sales", "orders"),
    kind="r",
    reader="daemon",
    readable=True,
    filtered=False,
    forced=False,
    row_security=False,
    lockable=True,
    triggerable=True,
)


def setting(name: str, value: str, number: int | None = None, source: str = "default") -> Setting:
    return Setting(name=name, value=value, number=number, source=source)


SETTINGS = (
    setting("autovacuum", "on"),
    setting("default_transaction_read_only", "off"),
    setting("idle_session_timeout", "0", 0),
    setting("log_lock_waits", "on"),
    setting("maintenance_work_mem", "64MB", 65_536),
    setting("max_connections", "100", 100),
    setting("reserved_connections", "0", 0),
    setting("statement_timeout", "0", 0),
    setting("superuser_reserved_connections", "3", 3),
    setting("track_counts", "on"),
    setting("transaction_timeout", "0", 0),
    setting("work_mem", "4MB", 4096),
)

HEALTHY = Facts(
    server=SERVER,
    settings={each.name: each for each in SETTINGS},
    usage=USAGE,
    watches_clients=True,
    clock_offset=0.01,
    store=STORE,
    standing=(STANDING,),
    reads=(READ,),
    lacking=(),
    unmanaged=(),
)


def facts(*settings: Setting, **fields: Any) -> Facts:
    """Healthy ones but for some settings and fields."""
    merged = {**HEALTHY.settings, **{each.name: each for each in settings}}
    return replace(HEALTHY, settings=merged, **fields)


def findings(found: Facts, *views: View, database: Database = CRM) -> tuple[Finding, ...]:
    """What is said of them; the view is `sources` unless told otherwise."""
    return judge(database, {each.name: each for each in views or (VIEW,)}, found)
