"""Python environments in a cache: built once, read-only, and looked at before they are used."""
