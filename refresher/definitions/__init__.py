"""Desired definitions against the catalog."""
