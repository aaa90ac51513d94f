from collections.abc import Iterator

import pytest

from refresher import embedded
from refresher.config.model import Secret
from refresher.demo.place import Place, own_place


@pytest.fixture(scope="module")
def demo_server() -> Iterator[Secret]:
    """A server of the module's own: the demo's roles have fixed names, and a server shares them."""
    with embedded.start() as running:
        yield Secret(running.conninfo)


@pytest.fixture
def place(demo_server: Secret) -> Iterator[Place]:
    with own_place(demo_server, keep=False) as place:
        yield place
