"""What keeps refresher from working in a database, and what cures it."""
