"""What is asked of a method, and measured: one file a question."""
