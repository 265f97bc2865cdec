"""The Python environment of nodes: requirements, packages installed on the laptop, and the lock that uv makes."""
