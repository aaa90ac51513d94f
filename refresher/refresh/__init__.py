"""One refresh: the transaction and its strategies."""
