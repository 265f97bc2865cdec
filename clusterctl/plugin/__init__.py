"""The hooks of plugins: their specifications, where plugin classes come from, and who calls them in which order."""
