"""Programs for the system's own Python, 3.9 or later: the standard library alone, and no import of another room."""
