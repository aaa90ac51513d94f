"""The PostgreSQL majors refresher works on. Pure."""

OLDEST_MAJOR = 14
NEWEST_MAJOR = 18
"""The newest that it was tested on; a newer one is not refused."""

FIRST_WITH_MAINTAIN = 17
"""From here on a role can refresh what it does not own (its release notes, "Privileges")."""
