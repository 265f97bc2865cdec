"""Launch instances, wait for them, and terminate them."""
