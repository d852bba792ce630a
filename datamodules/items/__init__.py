"""Which item is drawn when, and what it is."""
