"""Images with attributes: from a world, or from files and a table."""
