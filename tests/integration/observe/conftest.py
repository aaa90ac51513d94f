from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.shop import Shop, open_shop


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    with open_shop(database) as opened:
        yield opened
