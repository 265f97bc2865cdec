"""Images, types of machines, launches of single types, and the life of each instance."""
