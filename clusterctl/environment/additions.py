"""Packages that come to a list of requirements: one of the same name takes the former one's place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_REMOTE = re.compile(r"(\w+\+)?(https?|ssh|git)://")


def add_requirements(former: Sequence[str], packages: Iterable[str]) -> tuple[str, ...]:
    """Return the requirements with these packages.

    Raises:
        UsageError: one of them is no requirement, or something that only this computer has.
    """
    by_name = {_name(requirement): requirement for requirement in former}
    return tuple((by_name | {_name(package): package for package in packages}).values())


def _name(requirement: str) -> str:
    """Return what a requirement is known by: the name of the package, or a URL without one."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if _REMOTE.match(requirement):
        return requirement
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        raise UsageError(
            f"{requirement!r} is no package",
            remedy="write it as pip does: numpy, 'numpy>=1.26', 'name @ git+https://...'; what only this computer has"
            " must go into an index or a Git repository first",
        ) from None
    if parsed.url and not _REMOTE.match(parsed.url):
        raise UsageError(f"{requirement}: only this computer has it", remedy="put it into an index or a Git repository")
    return canonicalize_name(parsed.name)
