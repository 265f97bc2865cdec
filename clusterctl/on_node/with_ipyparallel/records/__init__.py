"""Files that outlive a controller, and files of its own that others read."""
