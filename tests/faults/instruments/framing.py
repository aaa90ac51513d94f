"""Where messages begin and end in what a client of PostgreSQL sends and hears. Pure.

Source: postgresql.org/docs, "Frontend/Backend Protocol", "Message Formats": a type of one byte and
a length of four that counts itself; the first message of a connection has no type.
"""

import struct
from dataclasses import dataclass, field

_LENGTH = struct.Struct("!I")
_FIRST = 4
_LATER = 5
"""Bytes before a message's contents: of the first one of a connection, and of all others."""

COMMAND_COMPLETE = b"C"
READY = b"Z"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, whole."""

    kind: bytes
    """Its type; empty for the first of a connection."""
    raw: bytes

    @property
    def contents(self) -> bytes:
        """What comes after type and length."""
        return self.raw[_LATER:] if self.kind else self.raw[_FIRST:]

    @property
    def statement(self) -> bytes:
        """The SQL it brings; nothing for most messages."""
        match self.kind:
            case b"Q":
                return self.contents.split(b"\0")[0]
            case b"P":
                return self.contents.split(b"\0")[1]
            case _:
                return b""

    @property
    def commits(self) -> bool:
        """Whether it asks for a COMMIT and nothing else."""
        return self.statement.strip(b" ;").upper() == b"COMMIT"


@dataclass(slots=True)
class Splitter:
    """Takes bytes as they come and gives messages."""

    begins: bool
    """Whether what comes is a connection's beginning, whose first message has no type."""
    _rest: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now, in order."""
        self._rest += data
        whole: list[Message] = []
        while (message := self._next()) is not None:
            whole.append(message)
            self.begins = False
        return whole

    def _next(self) -> Message | None:
        head = _FIRST if self.begins else _LATER
        if len(self._rest) < head:
            return None
        (length,) = _LENGTH.unpack(self._rest[head - _FIRST : head])
        end = head - _FIRST + length
        if len(self._rest) < end:
            return None
        raw, self._rest = self._rest[:end], self._rest[end:]
        return Message(b"" if self.begins else raw[:1], raw)
