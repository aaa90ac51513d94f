"""What a view would be like with everything that is not in its query. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from refresher.catalog.model import RELATION_KINDS
from refresher.definitions.compare import wanted_grants
from refresher.definitions.model import IndexFacts, RelationFacts, Subject


def completed(
    subject: Subject, facts: RelationFacts, indexes: Mapping[str, IndexFacts] | None, user: str
) -> RelationFacts:
    """What a view would be like with everything that is not in its query.

    What the configuration does not speak of stays as it stands.
    """
    view, standing = subject.view, subject.standing
    owner = view.owner or (standing.owner if standing else user)
    if view.grants is not None:
        grants: Mapping[str, frozenset[str]] = wanted_grants(view, owner)
    else:
        grants = standing.grants if standing else {}
    if indexes is None:
        indexes = {} if subject.managed or standing is None else standing.indexes
    kept_comment = standing.comment if standing else None
    comment = view.fills.described(view.key) if view.fills else view.comment
    kept_options = standing.options if standing else {}
    return replace(
        facts,
        kind=RELATION_KINDS[view.kind],
        indexes=indexes,
        owner=owner,
        grants=grants,
        comment=kept_comment if comment is None else comment,
        options=kept_options if view.options is None else view.options,
        populated=False,
    )
