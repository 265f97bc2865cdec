"""The Python environment of nodes: what is required, what is installed here, and the lock that uv makes of it."""
