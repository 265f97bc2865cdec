"""Commands that reach what runs on the nodes: logins, files, plugins, notebook, tunnel."""
