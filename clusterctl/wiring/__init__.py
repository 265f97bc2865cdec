"""INI path to Parts. The only place where concrete classes are chosen."""
