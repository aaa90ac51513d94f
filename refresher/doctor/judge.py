"""What is found in the facts of a database, gravest first. Pure."""

from collections.abc import Iterator, Mapping

from refresher.config.model import Database, View
from refresher.doctor.judge_server import judge_server
from refresher.doctor.judge_settings import judge_settings
from refresher.doctor.judge_store import judge_store
from refresher.doctor.judge_views import judge_views
from refresher.doctor.model import Facts, Finding, Severity

_ORDER = list(Severity)


def judge(database: Database, views: Mapping[str, View], facts: Facts) -> tuple[Finding, ...]:
    """Everything there is to say of a database, gravest first."""
    found = [
        *judge_server(facts),
        *judge_store(facts),
        *judge_views(views, facts),
        *judge_settings(database, views, facts),
        *_judge_unread(facts),
    ]
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))


def _judge_unread(facts: Facts) -> Iterator[Finding]:
    for what, problem in facts.unread.items():
        yield Finding(
            severity=Severity.WARNING,
            topic="unread",
            message=f"{what} could not be looked at: {problem}",
            why="Nobody can say that all is well there.",
        )
