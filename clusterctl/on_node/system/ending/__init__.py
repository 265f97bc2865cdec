"""The end of a cluster by itself: what its master judges, says and does, and what its workers are told."""
