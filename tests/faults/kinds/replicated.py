"""A primary with a standby, and a proxy that leads daemons to it: a place for three kinds."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.instruments import cluster, proxy
from tests.faults.instruments.cluster import Pair
from tests.faults.instruments.proxy import Proxy
from tests.faults.places import Place
from tests.servers import fast_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated(Place):
    """The replicas go through the proxy; whoever connects to `both` finds the primary himself."""

    pair: Pair
    address: Proxy
    both: str


@contextlib.contextmanager
def replicated(_folder: Path) -> Iterator[Replicated]:
    """The place."""
    with (
        cluster.running() as pair,
        tempfile.TemporaryDirectory(dir=fast_directory()) as directory,
        proxy.running(Path(directory), pair.primary.conninfo) as address,
    ):
        yield Replicated(
            superuser=pair.conninfo(),
            daemon=address.conninfo(pair.primary.conninfo),
            pair=pair,
            address=address,
            both=pair.conninfo(),
        )
