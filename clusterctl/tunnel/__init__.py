"""The tunnel from ports of the laptop to ports of a cluster: its process, and the connection files that use it."""
