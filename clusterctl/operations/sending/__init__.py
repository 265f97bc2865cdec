"""What goes to nodes: who it belongs to there, what of a folder goes, and what nodes lack of it or know."""
