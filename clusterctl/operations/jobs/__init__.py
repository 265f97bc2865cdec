"""Jobs: commands of a user's that run on a node, with the code of a folder."""
