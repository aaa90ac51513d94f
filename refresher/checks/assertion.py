"""The `assert` check: the user's own SQL, which must return true."""

from psycopg import sql

from refresher.checks.asking import Asker
from refresher.errors import FailureReason, RefreshError

# Within parentheses it can only ask: there is no COMMIT there, and no second statement.
_QUESTION = sql.SQL("SELECT (\n{assertion}\n)")


def evaluate(asker: Asker, assertion: str) -> bool:
    """Run an assertion; in a refresh's transaction it sees the new contents.

    Raises:
        RefreshError: (check) it fails, or returns something else than one boolean.
        psycopg.Error: something fails, whatever is asserted.
    """
    match asker.ask(_QUESTION.format(assertion=sql.SQL(assertion))):
        case [(bool() as holds,)]:
            return holds
    message = "the assertion must return one row with one boolean"
    raise RefreshError(message, reason=FailureReason.CHECK)
