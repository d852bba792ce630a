"""Frozen feature extractors with a stated input range, and how each is obtained."""
