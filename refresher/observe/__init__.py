"""Reading state, rendering it, listening to events."""
