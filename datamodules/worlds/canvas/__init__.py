"""What the worlds draw with."""
