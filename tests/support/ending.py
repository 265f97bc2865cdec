"""Waits for what a cluster says of its own end."""

from __future__ import annotations

import pytest

from .laptop import poll


def ends(laptop, name):
    """What `status` says of the end."""
    return laptop.json("status", name, "--json", status=None)["ends"]


def until(laptop, name, what, is_so, *, deadline_s=45.0):
    """What is said of the end once it is so; else the test fails with what was said last."""
    said = {}

    def look():
        said.update(ends(laptop, name) or {})
        return said if said and is_so(said) else None

    try:
        return poll(look, what, deadline_s=deadline_s, every_s=0.3)
    except pytest.fail.Exception as exc:
        pytest.fail(f"{exc}; it says {said}")


def await_end(laptop, name):
    """Why it has ended."""
    return until(laptop, name, f"{name} has ended by itself", lambda said: said["phase"] == "ended", deadline_s=150)[
        "why"
    ]
