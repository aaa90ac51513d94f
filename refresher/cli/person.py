"""Who is at the keyboard."""

import getpass
import socket


def name_of_person() -> str:
    """Who asks for something, as the store records it: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"  # the user of a container may have no name
    return f"{user}@{socket.gethostname()}"
