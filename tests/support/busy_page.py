"""Says whether somebody edits the page of `every_hook`: a program that goes to the master, for the standard library."""

from pathlib import Path


def main(values):
    """Return what is asked for who works."""
    draft = Path(values["draft"])
    return lambda: "somebody edits the page" if draft.exists() else ""
