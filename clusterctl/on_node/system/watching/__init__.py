"""What the watch of a node and those who ask for its services' health have in common."""
