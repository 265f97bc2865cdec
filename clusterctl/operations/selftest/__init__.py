"""`selftest`: a smallest cluster of real machines, every promise checked on it, and its end."""
