"""A connected client of a cluster, on a laptop and on the cluster's own nodes."""
