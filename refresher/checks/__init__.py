"""Rules on contents."""
