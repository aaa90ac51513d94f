"""Sessions, timeouts, failure reasons, named queries."""
