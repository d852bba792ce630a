"""Our release format, and importers of foreign ones."""
