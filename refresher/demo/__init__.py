"""The incident, replayed and cured."""
