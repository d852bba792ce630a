"""Releases written in the layouts of others."""
