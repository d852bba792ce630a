"""Public files of weights, read without executing anything, as networks of ours."""
