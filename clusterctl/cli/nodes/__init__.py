"""Commands for access to the nodes: logins, files, plugins, notebook, tunnel."""
