"""`refresher run`: the composition root."""
