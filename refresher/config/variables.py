"""Environment variables in values: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.

They are replaced in scalars after the document is parsed, so that a variable can change a value
but never the structure. What they hold may be secret: it never shows in a message (but for the
name of an included file, when a fault is in that file).
"""

import re
from collections.abc import Mapping

_DOLLAR = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}$]*))?\})?"
)
_MAX_CHARACTERS = 2**20
"""What all variables together may add: a value used a million times must not fill the memory."""


class VariableError(ValueError):
    """A variable can't be used as it is written. The message holds names, no values."""


class Variables:
    """Replaces variables by what an environment holds."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._room = _MAX_CHARACTERS

    def expand(self, text: str) -> str:
        """Replace every variable in a value.

        `${NAME:-default}` takes the default when the variable is unset or empty, as the shell does.

        Raises:
            VariableError: a variable is unset, or a `$` begins nothing that is understood.
        """
        unset = {
            match["name"]
            for match in _DOLLAR.finditer(text)
            if match["name"] and self._value(match) is None
        }
        if unset:
            names = ", ".join(f"${{{name}}}" for name in sorted(unset))
            message = f"{names} not set; set it in the environment, or write ${{NAME:-default}}"
            raise VariableError(message)
        return _DOLLAR.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        value = self._value(match) if match["name"] else None
        if value is None:
            message = "a $ begins a variable; write '${NAME}' in quotes, or $$ for a dollar sign"
            raise VariableError(message)
        self._room -= len(value)
        if self._room < 0:
            message = f"variables add more than {_MAX_CHARACTERS} characters; use fewer of them"
            raise VariableError(message)
        return value

    def _value(self, match: re.Match[str]) -> str | None:
        value = self._environment.get(match["name"])
        if not value and match["default"] is not None:
            return match["default"]
        return value
