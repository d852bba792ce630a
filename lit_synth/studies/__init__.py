"""Studies: a claim of a paper, the runs that could refute it, and the verdict."""
