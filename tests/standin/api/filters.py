"""EC2's filters: each names an attribute, any of its values will do, `*` and `?` are wildcards, all filters must hold.

From "List and filter using the CLI and API" in the EC2 user guide. Values are case-sensitive.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in value]
    return re.compile("".join(parts), re.DOTALL)


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits the whole value."""
    return any(_pattern(pattern).fullmatch(value) for pattern in patterns)


def tags_match(tags: Mapping[str, str], name: str, values: Iterable[str]) -> bool | None:
    """Whether a filter by tags holds; None if it is none of those."""
    if name.startswith("tag:"):
        key = name[4:]
        return key in tags and matches(tags[key], values)
    if name == "tag-key":
        return any(matches(key, values) for key in tags)
    if name == "tag-value":
        return any(matches(value, values) for value in tags.values())
    return None


def holds(
    filters: Iterable[Mapping[str, Any]], *, tags: Mapping[str, str], attribute: Callable[[str], Iterable[str]]
) -> bool:
    """Whether all filters hold for a thing with these tags; `attribute` gives the values under other names."""
    for each in filters:
        by_tags = tags_match(tags, each["Name"], each["Values"])
        if by_tags is None:
            by_tags = any(matches(value, each["Values"]) for value in attribute(each["Name"]))
        if not by_tags:
            return False
    return True
