"""Filling columns of a table that is somebody else's, in batches between its other writers."""
