"""What the verb `predict` can be asked, and what it writes."""
