"""Where a stage keeps its files."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers import fast_directory


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that a server's own account can enter, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="refaults-", dir=fast_directory()) as path:
        Path(path).chmod(0o711)
        yield Path(path)
