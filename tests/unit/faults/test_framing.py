import struct

import pytest

from tests.faults.instruments.framing import Splitter


def message(kind: bytes, contents: bytes) -> bytes:
    return kind + struct.pack("!I", len(contents) + 4) + contents


STARTUP = message(b"", b"\x00\x03\x00\x00user\0somebody\0\0")
QUERY = message(b"Q", b"SELECT 1\0")
COMMIT = message(b"Q", b"commit ;\0")
PARSE = message(b"P", b"name\0COMMIT\0\0\0")
READY = message(b"Z", b"I")
EVERYTHING = STARTUP + QUERY + COMMIT + PARSE + READY


@pytest.mark.parametrize("step", [1, 3, 7, len(EVERYTHING)])
def test_messages_are_whole_however_their_bytes_come(step: int) -> None:
    splitter = Splitter(begins=True)
    pieces = [EVERYTHING[start : start + step] for start in range(0, len(EVERYTHING), step)]

    messages = [whole for piece in pieces for whole in splitter.feed(piece)]

    assert [whole.raw for whole in messages] == [STARTUP, QUERY, COMMIT, PARSE, READY]
    assert [whole.statement for whole in messages] == [
        b"",
        b"SELECT 1",
        b"commit ;",
        b"COMMIT",
        b"",
    ]
    assert [whole.commits for whole in messages] == [False, False, True, True, False]


def test_an_empty_message_is_one() -> None:
    assert [whole.kind for whole in Splitter(begins=False).feed(message(b"S", b""))] == [b"S"]
