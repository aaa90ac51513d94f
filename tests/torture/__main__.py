"""Plays the whole torture on each PostgreSQL named in PG_MAJORS, one after the other."""

# ruff: noqa: T201 - it reports on the terminal

import os
import subprocess
import sys

from refresher.embedded.installation import VARIABLE
from refresher.errors import RefresherError
from tests.majors.__main__ import ROOT, install


def main() -> int:
    """Return what the shell is to see: 1 if a major failed."""
    failed = [major for major in os.environ["PG_MAJORS"].split() if not _passes(major)]
    if failed:
        print(f"Failed on PostgreSQL {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _passes(major: str) -> bool:
    try:
        programs = install(major)
    except RefresherError as error:
        print(f"PostgreSQL {major}: {error}", file=sys.stderr)
        return False
    print(f"\nPostgreSQL {major}", flush=True)
    command = [sys.executable, "-m", "pytest", "-s", "-q", "tests/acceptance/test_torture.py"]
    environment = {**os.environ, VARIABLE: str(programs)}
    run = subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, env=environment, check=False)
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
