"""refresher keeps PostgreSQL materialized views fresh, and proves it."""

__version__ = "0.1.0"
