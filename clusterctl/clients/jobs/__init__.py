"""Jobs: commands of a user's that run on a node, each with a folder on the home that all nodes share."""
