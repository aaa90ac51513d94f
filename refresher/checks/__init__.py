"""Rules on columns and contents."""
