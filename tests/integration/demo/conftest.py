from collections.abc import Iterator

import pytest

from refresher.config.model import Secret
from refresher.demo.place import Place, own_place
from tests.servers import OwnedServer


@pytest.fixture(scope="session")
def demo_server() -> Iterator[Secret]:
    """This process's own: the demo's roles have fixed names, and a server shares its roles."""
    server = OwnedServer()
    yield Secret(server.conninfo())
    server.close()


@pytest.fixture
def place(demo_server: Secret) -> Iterator[Place]:
    with own_place(demo_server, keep=False) as place:
        yield place
