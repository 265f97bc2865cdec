"""Identities in SSH: key pairs, endpoints to log in to, and known host keys."""
