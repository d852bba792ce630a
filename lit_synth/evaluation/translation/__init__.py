"""What is measured of methods that translate: one file a question."""
