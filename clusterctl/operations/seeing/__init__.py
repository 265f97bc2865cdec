"""What all nodes of a cluster do at this moment, kept up to date for as long as somebody looks."""
