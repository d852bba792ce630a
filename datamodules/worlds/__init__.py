"""Procedural data with exact labels."""
