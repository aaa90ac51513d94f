"""The last net under secrets: whatever is about to be logged is masked first.

Secrets are kept out of messages where those are made; this catches what slipped through, such as a
conninfo that a driver quoted in an error.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from refresher.config.model import Secret

MASK = "…"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|file)?|secret|token|conninfo|credentials?", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"""(\b\w*(?:password|passwd|passphrase|secret|token)["']?\s*[=:]\s*)   # password =
        (?:'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[^\s&;,'"]+)                # 'it', "it" or it""",
    re.IGNORECASE | re.VERBOSE,
)
_IN_ADDRESS = re.compile(r"(://[^\s/:@]*:)\S*@")
"""`://user:password@`: up to the last @ of the word, for people forget to escape theirs."""


def masked(value: Any) -> Any:  # noqa: ANN401, PLR0911 - a log field may be anything; a case a type
    """The value as it may be logged: plain data, every secret in it replaced by `…`."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _masked_text(value)
        case Secret():
            return MASK
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(name): masked_field(str(name), item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(item) for item in value]
        case _:
            return _masked_text(str(value))


def masked_field(name: str, value: Any) -> Any:  # noqa: ANN401 - a log field may be anything
    """The value of a named field; a name such as `password` masks it whole."""
    return MASK if value is not None and _SECRET_NAME.fullmatch(name) else masked(value)


def _masked_text(text: str) -> str:
    return _IN_ADDRESS.sub(rf"\1{MASK}@", _ASSIGNED.sub(rf"\1{MASK}", text))
