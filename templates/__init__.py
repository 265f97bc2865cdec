"""Texts that are written to nodes. Data only: filled by clusterctl.node.render."""
