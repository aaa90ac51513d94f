"""The sites of docs/privileges.md: whose views they are decides how little is enough."""

from refresher.doctor.recipe import Managed, Site
from refresher.names import RelationName

_VIEW = RelationName("public", "customer_sources")
_SOURCE = RelationName("sales", "orders")


def _site(view: Managed) -> Site:
    return Site(major=18, database="crm", role="refresher_daemon", views=(view,))


OWN = _site(Managed(relation=_VIEW, reads=(_SOURCE,)))
MEMBER = _site(Managed(relation=_VIEW, owner="crm_owner", reads=(_SOURCE,)))
BORROWED = _site(Managed(relation=_VIEW, owner="crm_owner", borrowed=True, reads=(_SOURCE,)))
