"""The hooks of plugins: their specifications, the loader of plugin classes, and the host that calls them in order."""
