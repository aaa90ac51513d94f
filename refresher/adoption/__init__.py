"""Making a configuration of views that stand already."""
