"""Wiring: from the INI file to the context of a run. The only place where concrete classes are chosen."""
