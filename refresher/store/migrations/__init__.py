"""Numbered migrations of the `refresher` schema; never edited once released."""
