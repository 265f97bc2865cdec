"""Commands for the life of clusters: start, grow, stop, end, inspect."""
