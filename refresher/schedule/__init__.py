"""When a view is due, and waking up for it."""
