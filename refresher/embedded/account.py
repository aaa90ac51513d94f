"""Who the server runs as: PostgreSQL refuses to be root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from refresher.errors import RefresherError

_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user and group that own the server's files and processes."""

    name: str
    user: int
    group: int
    switched: bool
    """Whether that is somebody else than the user of this process."""

    @classmethod
    def for_server(cls) -> "Account":
        """The user of this process; `nobody` if that is root, since no user is ever created.

        Raises:
            RefresherError: if this is root and the system knows no `nobody`.
        """
        user = os.geteuid()
        if user:
            return cls(name=_name_of(user), user=user, group=os.getegid(), switched=False)
        try:
            entry = pwd.getpwnam(_UNPRIVILEGED)
        except KeyError as error:
            message = (
                f"PostgreSQL can't run as root, and there is no user {_UNPRIVILEGED} here to run it"
                " as; start refresher as an ordinary user"
            )
            raise RefresherError(message) from error
        return cls(name=_UNPRIVILEGED, user=entry.pw_uid, group=entry.pw_gid, switched=True)

    def owns(self, path: Path) -> bool:
        """Whether the path is this account's."""
        return path.stat().st_uid == self.user

    def take(self, path: Path) -> None:
        """Make the account the owner of a path this process has just created."""
        if self.switched:
            os.chown(path, self.user, self.group)

    def barrier(self, path: Path) -> Path | None:
        """The outermost of the path and its parents that the account can't enter or execute.

        None if it can reach the path. Access lists are not looked at, only modes.
        """
        if not self.switched:
            return None
        return next((step for step in (*reversed(path.parents), path) if not self._may(step)), None)

    def _may(self, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.user:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.group:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
