"""What stands in PostgreSQL's catalog."""
