"""CreateFleet: which pools may be used, how many machines each one has, and spot requests."""
