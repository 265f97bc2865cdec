"""`selftest`: start a smallest cluster of real machines, check every promise on it, and end it."""
