"""Networks in folders that cannot execute code: the release format and a cache of releases."""
