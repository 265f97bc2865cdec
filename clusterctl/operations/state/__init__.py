"""What is true of a cluster now: its state, and each node that is not as it should be, with since when and why."""
