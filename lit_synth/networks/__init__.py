"""Architectures, one file per family, injected into methods by class path."""
