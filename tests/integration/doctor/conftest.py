"""A database to be looked at, with views that refresher's role owns unless told otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from refresher.config.model import Database as DatabaseConfig
from refresher.config.model import Kind, Secret, View
from refresher.doctor.examine import examine
from refresher.doctor.judge import judge
from refresher.doctor.model import Facts, Finding, Severity
from refresher.names import RelationName
from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.servers import endpoint_of

PLAIN = Kind.VIEW


@dataclass
class Patient:
    database: Database
    admin: Connection
    role: str
    """What refresher connects as."""
    views: dict[str, View] = field(default_factory=dict)

    def execute(self, *statements: str) -> None:
        """As the superuser; `{role}` and `{database}` are the patient's."""
        for statement in statements:
            named = statement.replace("{role}", self.role).replace("{database}", self.database.name)
            self.admin.execute(named.encode())

    def define(
        self, name: str, query: str, kind: Kind = Kind.MATERIALIZED_VIEW, **fields: Any
    ) -> None:
        """Name a view in the configuration."""
        self.views[name] = View(
            name=name,
            database="crm",
            relation=fields.pop("relation", RelationName("public", name)),
            kind=kind,
            query=query,
            query_path=Path(f"{name}.sql"),
            **fields,
        )

    def create(
        self, name: str, query: str, kind: Kind = Kind.MATERIALIZED_VIEW, **fields: Any
    ) -> None:
        """Name a view and have it stand, as refresher's role owns it or the given `owner`."""
        self.define(name, query, kind, **fields)
        words = kind.value.replace("_", " ")
        owner = fields.get("owner", self.role)
        self.execute(
            f"CREATE {words} {name} AS {query}", f'ALTER {words} {name} OWNER TO "{owner}"'
        )

    def facts(self, conninfo: str | None = None) -> Facts:
        return examine(endpoint_of(conninfo or self.database.conninfo_as(self.role)), self.views)

    def findings(self, topic: str, conninfo: str | None = None) -> list[Finding]:
        """What is found about one thing."""
        database = DatabaseConfig(alias="crm", conninfo=Secret(""))
        found = judge(database, self.views, self.facts(conninfo))
        return [finding for finding in found if finding.topic == topic]

    def finding(self, topic: str, severity: Severity) -> Finding:
        """The one finding about it."""
        (found,) = self.findings(topic)
        assert found.severity is severity
        return found

    def cure(self, finding: Finding) -> None:
        """Carry out its SQL; it is not found again."""
        assert finding.sql
        self.execute(*finding.sql)
        assert self.findings(finding.topic) == []


@pytest.fixture
def patient(database: Database, make_role: Callable[..., str]) -> Iterator[Patient]:
    """One whose role owns the store and may create in `public`."""
    role = make_role("Daemon")
    quoted = f'"{role}"'
    with database.connect() as admin:
        admin.execute(
            f"GRANT CREATE ON SCHEMA public TO {quoted};"
            f" ALTER SCHEMA refresher OWNER TO {quoted};"
            f" GRANT ALL ON ALL TABLES IN SCHEMA refresher TO {quoted}".encode()
        )
        yield Patient(database, admin, role)
