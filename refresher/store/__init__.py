"""The `refresher` schema: migrations, fence, runs, view state."""
