"""Programs of the system that some tests need: `@pytest.mark.program("promtool")`.

A new machine has none of them, and `make test` works there all the same: tests without their
program are left out, and the head of the run says so. Where EVERYTHING is set, as in CI, they fail.
"""

import os
import shutil

import pytest

EVERYTHING = "REFRESHER_TEST_EVERYTHING"
PACKAGES = {
    "ip": "iproute2",
    "pgbouncer": "pgbouncer",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
"""Program → the Debian package that brings it."""
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def find_program(name: str) -> str:
    """Where a program is; the test fails if it is nowhere."""
    found = shutil.which(name, path=_PATH)
    assert found, f"{name} is missing: apt-get install {PACKAGES[name]}"
    return found


def missing_programs() -> list[str]:
    """What is not on this machine."""
    return [name for name in PACKAGES if shutil.which(name, path=_PATH) is None]


def lacks_a_program(item: pytest.Item) -> bool:
    """Whether a test is to be left out here."""
    if EVERYTHING in os.environ:
        return False
    return any(mark.args[0] in missing_programs() for mark in item.iter_markers("program"))


def report_header() -> str | None:
    """What the head of the run says of tests that are left out."""
    missing = missing_programs()
    if not missing or EVERYTHING in os.environ:
        return None
    packages = " ".join(sorted({PACKAGES[name] for name in missing}))
    return f"left out: tests that need {', '.join(missing)} (apt-get install {packages})"
