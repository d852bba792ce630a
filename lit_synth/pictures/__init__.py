"""Images put together for people to look at."""
