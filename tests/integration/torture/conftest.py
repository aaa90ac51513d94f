from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from refresher.postgres.sessions import Connection
from tests.conftest import Database
from tests.torture import rendering, scenario, strangers
from tests.torture.chain import Chain
from tests.torture.scenario import Roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The chain as it begins, created by hand, with what strangers built on it."""

    connection: Connection
    chain: Chain
    roles: Roles


@pytest.fixture
def torture_roles(make_role: Callable[..., str]) -> Roles:
    return scenario.make_roles(make_role)


@pytest.fixture
def standing(bare_database: Database, torture_roles: Roles) -> Iterator[Standing]:
    chain = scenario.begin(torture_roles)
    with bare_database.connect() as connection:
        scenario.create_source(connection, torture_roles)
        for statement in rendering.statements(chain):
            connection.execute(statement)
        strangers.create_strangers(connection, chain, torture_roles)
        yield Standing(connection=connection, chain=chain, roles=torture_roles)
