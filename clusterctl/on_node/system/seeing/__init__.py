"""What a node has to show, for as long as somebody looks: its load, and its logs."""
