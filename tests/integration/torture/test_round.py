"""A round finds out those who change definitions carelessly, and not those who do nothing."""

import random
from dataclasses import dataclass, field

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.torture import rendering
from tests.torture import round as torture
from tests.torture.chain import Chain
from tests.torture.checker import violations
from tests.torture.history import Ended, Observations
from tests.torture.round import Place, Plan
from tests.torture.scenario import Roles


@dataclass(slots=True)
class Careless:
    """Drops everything with CASCADE and creates it anew, one statement after the other."""

    connection: Connection
    wanted: list[Chain] = field(default_factory=list)
    stands: Chain | None = None

    def write(self, chain: Chain) -> None:
        self.wanted.append(chain)

    def plan(self) -> tuple[int, bool]:
        changes = self.stands is not self.wanted[-1]
        return (10 if changes else 0), changes

    def apply(self) -> Ended:
        if self.stands is not None:
            first = rendering.quoted(self.stands.relations[0].name)
            # It does not give way: whoever waits for it does.
            self.connection.execute("SET deadlock_timeout = '60s'")
            self.connection.execute(f"DROP VIEW {first} CASCADE")
        self.stands = self.wanted[-1]
        for statement in rendering.statements(self.stands):
            self.connection.execute(statement)
        return Ended(code=0, seconds=0.0, text="")

    def apply_and_kill(self, chance: random.Random) -> Ended:
        del chance
        return self.apply()

    def refresh(self) -> int:
        return 0


class Idle(Careless):
    """Says that all is done, and has done nothing."""

    def apply(self) -> Ended:
        if self.stands is None:
            return Careless.apply(self)
        self.stands = self.wanted[-1]
        return Ended(code=0, seconds=0.0, text="")


def play(database: Database, roles: Roles, kind: type[Careless]) -> Observations:
    with database.connect() as connection:
        place = Place(
            connection=connection,
            conninfo=database.conninfo,
            reader=database.conninfo_as(roles.reader),
            roles=roles,
            program=kind(connection),
        )
        return torture.play(Plan(changes=2, kills=0, seed=1, baseline=1.0), place)


def rules(seen: Observations) -> set[str]:
    return {violation.rule for violation in violations(seen)}


def test_dropping_and_creating_anew_is_found_out(
    bare_database: Database, torture_roles: Roles
) -> None:
    found = rules(play(bare_database, torture_roles, Careless))
    assert {"read fails", "strangers", "kept"} <= found
    assert found.isdisjoint({"applied", "planned", "catalog"})


def test_doing_nothing_is_found_out_and_leaves_readers_alone(
    bare_database: Database, torture_roles: Roles
) -> None:
    found = rules(play(bare_database, torture_roles, Idle))
    assert "catalog" in found
    assert found.isdisjoint({"read fails", "read waits", "read shows nothing"})
