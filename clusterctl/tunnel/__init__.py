"""The way from the laptop's ports to a cluster's: its process, and the connection files that make use of it."""
